import dataclasses
import json
import math
import shutil
import sys
from contextlib import closing
from pathlib import Path

import fsspec
import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.numpy import save

from analysis.load import load
from harness import probes
from harness.condition import Outcome, Pack
from harness.errors import RecordsError, UserError
from harness.generate import main
from harness.models import models
from harness.planning.cohort import make_trial
from harness.planning.space import Space
from harness.results import reader
from harness.results.reader import read
from harness.results.writer import Writer
from harness.tasks import heldout_set
from harness.training.loop import build_task, train
from harness.training.samples import SAMPLE_LENGTH, TEMPERATURES
from harness.training.weights import rebuild
from tests.commands import own_space
from tests.commands import run_without_pictures as run
from tests.trials import end_weights, letters, same_numbers, trained
from tests.trials import make_trial as make_palindrome_trial

TINY = {
    "models": "rnn,lstm", "lengths": "8", "hidden_size": "8", "batch_size": "8", "learning_rate": "0.03",
    "seeds": "2", "max_steps": "40", "observe": "0", "eval_every": "20", "sample_every": "40",
    "lr_trials": "1", "lr_batch": "1",
}  # fmt: skip


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> Path:
    """A finished run of text_study on a small text."""
    folder = tmp_path_factory.mktemp("text")
    (folder / "corpus.txt").write_text(letters(2_000))
    settings = TINY | {"corpus": str(folder / "corpus.txt")}
    arguments = ["--executor", "serial", "--results", str(folder / "results")]
    assert run(["--space", own_space(folder, "text_study", settings), *arguments]) == 0
    return folder / "results"


@pytest.fixture
def space(tmp_path) -> Space:
    (tmp_path / "corpus.txt").write_text(letters(2_000))
    return Space(
        name="test", summary="", tasks=("text",), models=("lstm",), lengths=(8,), hidden_size=8, batch_size=8,
        learning_rate=(0.03,), max_steps=40, observe=0, eval_every=20,
        options={"corpus": str(tmp_path / "corpus.txt")},
    )  # fmt: skip


def trials_of(space: Space, count: int = 2):
    return tuple(make_trial(space, space.conditions()[0], 0.03, seed) for seed in range(count))


def generate(results: Path, *more: str, trial: str | None = None) -> int:
    trial = trial or reader.checkpoints(results / "text_study")[0]
    return main(["--trial", trial, "--results", str(results), "--prompt", "abac", "--length", "30", *more])


def open_writer(folder: Path, definition, conditions=()) -> Writer:
    return Writer(
        folder, definition, conditions, options={}, measures=probes.measure_columns(), provenance={}
    )


def test_samples_and_checkpoints_change_no_number_of_the_training(space):
    plain = trained(Pack(trials_of(space)))
    more = trained(Pack(trials_of(space), (), True, 20))
    assert all(same_numbers(a, b) for a, b in zip(plain, more, strict=True))
    assert [run.checkpoint for run in plain] == [None, None]
    assert not any(run.samples for run in plain)
    assert Pack(trials_of(space), (), True, 20).pack_id == Pack(trials_of(space)).pack_id


@pytest.mark.contract
def test_samples_are_taken_at_even_steps_and_do_not_depend_on_the_pack(space):
    together = train(Pack(trials_of(space), sample_every=20))
    for trial, result in zip(trials_of(space), together, strict=True):
        assert train(Pack((trial,), sample_every=20))[0].samples == result.samples
    samples = together[0].samples
    assert samples["step"] == [step for step in (0, 20, 40) for _ in TEMPERATURES]
    assert samples["temperature"] == list(TEMPERATURES) * 3
    assert samples["mode"] == ["greedy", "sample", "sample", "sample"] * 3
    task = build_task(trials_of(space)[0].condition)
    assert set(samples["prompt"]) == {task.prompt}
    assert all(len(text) == SAMPLE_LENGTH and set(text) <= set(task.vocabulary) for text in samples["text"])
    assert together[1].samples["text"] != samples["text"]


def test_a_checkpoint_holds_the_final_weights_and_rebuilds_the_model(space):
    trial = trials_of(space)[0]
    (run,) = trained(Pack((trial,), checkpoints=True))
    model = rebuild(run.checkpoint)
    assert torch.equal(torch.nn.utils.parameters_to_vector(model.parameters()), end_weights(run))
    about, task = run.checkpoint.metadata, build_task(trial.condition)
    assert (about["trial_id"], about["step"]) == (trial.trial_id, 40)
    own = models.options("lstm")
    assert about["options"] == {name: v for name, v in trial.condition.options if name in own}
    assert about["vocabulary"] == "abcde"
    assert about["bigram_entropy"] == task.data.bigram_entropy
    inputs, targets = heldout_set(task, "text", "test")
    outputs = model(inputs)
    assert about["heldout_loss"] == pytest.approx(task.loss(outputs, targets).mean().item(), rel=1e-5)
    right = (outputs.argmax(-1) == targets).float().mean().item()
    assert about["heldout_accuracy"] == pytest.approx(right)
    assert about["heldout_loss"] == run.evals[-1][1]


class Pairs(torch.nn.Module):
    """A table of pairs: what it has no state for, it cannot be taken through time with."""

    def __init__(self, input_size: int, hidden_size: int, output_size: int) -> None:
        super().__init__()
        self.table = torch.nn.Linear(input_size, output_size)

    def forward(self, inputs):
        return self.table(inputs)


def test_a_model_without_steps_is_trained_but_cannot_write(space, tmp_path, capsys):
    space = space.override({"models": "tests.test_generate:Pairs"})
    pack = Pack(trials_of(space, 1), (), True, 20)
    results = train(pack)
    assert results[0].samples == {}
    open_writer(tmp_path / "r", space.definition(), space.conditions()).write_pack(pack, results)
    command = ["--trial", pack.trials[0].trial_id, "--results", str(tmp_path / "r"), "--prompt", "a"]
    assert main(command) == 2
    assert "if you trust it, say --model tests.test_generate:Pairs" in capsys.readouterr().err
    assert main([*command, "--model", "tests.test_generate:Pairs"]) == 2
    assert "model tests.test_generate:Pairs cannot write" in capsys.readouterr().err


def test_the_checkpoint_of_a_diverged_trial_is_of_its_last_evaluation_before(space):
    trial = dataclasses.replace(trials_of(space)[0], learning_rate=1e38)
    (result,) = train(Pack((trial,), checkpoints=True))
    assert result.outcome == Outcome.DIVERGED
    assert result.checkpoint.metadata["step"] == 0
    assert all(np.isfinite(array).all() for array in result.checkpoint.tensors.values())


def test_checkpoints_of_any_task_are_kept_but_only_text_is_written(tmp_path, capsys):
    trial = make_palindrome_trial()
    (result,) = train(Pack((trial,), checkpoints=True))
    open_writer(tmp_path / "r", {"name": "test"}, [trial.condition]).write_pack(Pack((trial,)), [result])
    assert main(["--trial", trial.trial_id, "--results", str(tmp_path / "r"), "--prompt", "a"]) == 2
    assert "is of task palindrome, which has no text to write" in capsys.readouterr().err
    rebuilt = rebuild(result.checkpoint)
    assert rebuilt(torch.zeros(3, 4, 10)).shape == (3, 10)
    assert "vocabulary" not in result.checkpoint.metadata
    json.dumps(result.checkpoint.metadata, allow_nan=False)


def test_a_run_keeps_samples_and_checkpoints_of_its_report_trials(results):
    folder = results / "text_study"
    trials = read(folder, "trials")
    report = set(trials["trial_id"][trials["phase"] == "report"])
    assert len(report) == 4
    assert set(reader.checkpoints(folder)) == report
    samples = load(folder).read("samples")
    assert list(samples.columns) == ["trial_id", "step", "prompt", "text", "mode", "temperature"]
    assert len(samples) == 4 * 2 * len(TEMPERATURES)
    assert set(samples["trial_id"]) == report
    with safe_open(folder / "checkpoints" / f"{min(report)}.safetensors", framework="numpy") as file:
        assert json.loads(file.metadata()["checkpoint"])["trial_id"] == min(report)


def test_checkpoints_of_packs_that_were_not_recorded_whole_do_not_exist(results, tmp_path):
    shutil.copytree(results / "text_study", tmp_path / "text_study")
    folder = tmp_path / "text_study"
    cut = sorted((folder / "trials").glob("*.parquet"))[0]
    lost = set(read(folder, "trials", packs=[cut.stem])["trial_id"])
    cut.unlink()  # killed just before the last file
    assert lost.isdisjoint(reader.checkpoints(folder))
    assert len(reader.checkpoints(folder)) == 2
    with closing(open_writer(folder, reader.read_definition(folder))) as writer:
        writer.repair()
    assert len(list((folder / "checkpoints").iterdir())) == 2
    assert len(list((folder / "samples").iterdir())) == 1


@pytest.mark.parametrize("content", [b"", b"half of it", save({"x": np.zeros(2)}), save({}, {"other": "{}"})])
def test_a_damaged_checkpoint_is_a_clear_error(content, tmp_path):
    file = tmp_path / "checkpoints" / "x.safetensors"
    file.parent.mkdir()
    file.write_bytes(content)
    with pytest.raises(RecordsError, match=r"x.safetensors is no checkpoint of this harness"):
        reader.read_checkpoint(tmp_path, "x")


def test_a_checkpoint_that_was_not_kept_is_a_clear_error(results):
    folder = results / "text_study"
    known = ", ".join(reader.checkpoints(folder))
    with pytest.raises(RecordsError, match=f"has no checkpoints/x.safetensors; known: {known}"):
        reader.read_checkpoint(folder, "x")


def test_a_checkpoint_is_read_back_to_the_bit(space, tmp_path):
    pack = Pack(trials_of(space, 1), checkpoints=True)
    (result,) = train(pack)
    open_writer(tmp_path / "r", space.definition(), space.conditions()).write_pack(pack, [result])
    found = reader.read_checkpoint(tmp_path / "r", pack.trials[0].trial_id)
    assert found.metadata == result.checkpoint.metadata
    assert found.tensors.keys() == result.checkpoint.tensors.keys()
    for name, array in found.tensors.items():
        np.testing.assert_array_equal(array, result.checkpoint.tensors[name], strict=True)
    rebuild(found)


def test_the_prompt_is_continued_for_longer_than_the_unroll(results, capsys):
    assert generate(results) == 0
    shown = capsys.readouterr()
    assert shown.out.startswith("abac")
    assert len(shown.out) == 4 + 30 + 1
    folder = results / "text_study"
    about = reader.read_checkpoint(folder, reader.checkpoints(folder)[0]).metadata
    for number in (f"{about['heldout_loss']:.4f} nats", f"{about['heldout_loss'] / math.log(2):.3f} bits"):
        assert number in shown.err
    assert f"accuracy {about['heldout_accuracy']:.3f}" in shown.err
    for name in ("unigram", "bigram"):
        entropy = about[f"{name}_entropy"]
        assert f"{name} entropy {entropy:.4f}" in shown.err.replace("entropy of the text", "entropy").lower()


def test_the_folder_of_the_space_will_do_and_so_will_the_beginning_of_an_id(results, capsys):
    trial = reader.checkpoints(results / "text_study")[0]
    assert generate(results, trial=trial) == 0
    whole = capsys.readouterr().out
    assert generate(results / "text_study", trial=trial[:6]) == 0
    assert capsys.readouterr().out == whole


def test_weights_behind_a_uri_write_what_local_ones_write(results, capsys):
    """fsspec's memory file system stands for remote storage."""
    fsspec.filesystem("memory").put(str(results), "/weights", recursive=True)
    trial = reader.checkpoints(results / "text_study")[0]
    said = []
    for place in (str(results), "fsspec+memory://weights", "fsspec+memory://weights/text_study"):
        assert main(["--trial", trial, "--results", place, "--prompt", "abac"]) == 0
        said.append(capsys.readouterr().out)
    assert said[0] == said[1] == said[2]


def test_modes_and_seeds(results, capsys):
    def said(*more: str) -> str:
        assert generate(results, *more) == 0
        return capsys.readouterr().out

    assert said("--seed", "1") == said("--seed", "1") != said("--seed", "2")
    assert said("--mode", "greedy") == said("--temperature", "0") == said("--mode", "beam", "--beams", "1")
    assert said("--mode", "greedy", "--n", "5") == said("--mode", "greedy"), "there is only one"
    assert said("--n", "3").count("abac") >= 3
    assert "--- 3 of 3" in said("--mode", "beam", "--n", "3")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--trial", "zzz"], "no trial with weights is named 'zzz'"),
        (["--trial", ""], "4 trials are named ''"),
        (["--prompt", "a?"], "the prompt has '?', which the model does not know"),
        (["--prompt", ""], "the prompt is empty"),
        (["--results", "nowhere"], "no weights are kept in nowhere"),
        (["--mode", "beam", "--n", "11"], "--n 11 is more than"),
    ],
)
def test_bad_input_is_one_line_and_exit_status_2(results, capsys, arguments, said):
    assert generate(results, *arguments) == 2
    error = capsys.readouterr().err.strip()
    assert said in error
    assert "\n" not in error
    if "trial" in said:
        assert reader.checkpoints(results / "text_study")[0] in error, "known ones are named"


def test_sampling_is_refused_where_it_cannot_be(space):
    with pytest.raises(UserError, match="sample_every=30 is not a multiple of eval_every=20"):
        space.override({"sample_every": "30"})
    with pytest.raises(UserError, match="sample_every=100: no text in tasks=palindrome"):
        Space(name="test", summary="", sample_every=100)
    with pytest.raises(UserError, match="checkpoints=maybe is not allowed; expected true or false"):
        space.override({"checkpoints": "maybe"})
    assert space.override({"checkpoints": "true"}).checkpoints is True


def damaged(results: Path, tmp_path: Path, change) -> int:
    """What generate answers where `change` was made to the fields and tensors of a checkpoint."""
    folder = tmp_path / "text_study"
    shutil.copytree(results / "text_study", folder, dirs_exist_ok=True)
    trial = reader.checkpoints(folder)[0]
    held = reader.read_checkpoint(folder, trial)
    fields, tensors = dict(held.metadata), dict(held.tensors)
    fields = change(fields, tensors) or fields
    content = save(tensors, {"checkpoint": fields if isinstance(fields, str) else json.dumps(fields)})
    (folder / "checkpoints" / f"{trial}.safetensors").write_bytes(content)
    return main(["--trial", trial, "--results", str(folder), "--prompt", "a", "--length", "5"])


def put(**values):
    return lambda fields, tensors: fields.update(values)


def lacking(name):
    return lambda fields, tensors: {field: value for field, value in fields.items() if field != name}


FIELDS = (
    "trial_id", "step", "model", "options", "input_size", "hidden_size", "output_size", "length",
    "every_step", "task", "heldout_split", "heldout_loss", "heldout_accuracy",
)  # fmt: skip

DAMAGES = {
    **{f"no {name}": (lacking(name), f"has no {name}") for name in FIELDS},
    **{f"{name} is a list": (put(**{name: ["x"]}), f"its {name} is ") for name in FIELDS},
    **{f"{name} is huge": (put(**{name: 10**400}), f"its {name} is ") for name in FIELDS},
    "a class that would be imported": (put(model="tests.no_such_module:Evil"), "say --model tests.no_such"),
    "an unknown model": (put(model="lstn"), "no model named 'lstn'"),
    "another model": (put(model="gru", options={}), "cells.0.bias has shape (8,)"),
    "another size": (put(hidden_size=9), "shape"),
    "a size that fills memory": (put(hidden_size=10**9), "hidden_size is 1000000000, but its tensors hold"),
    "layers without end": (put(options={"layers": 10**9}), "layers is 1000000000, but"),
    "an unknown option": (put(options={"heat": 1}), "its options name 'heat'"),
    "an option of another type": (put(options={"layers": "2"}), "layers='2'"),
    "a choice that is none": (put(options={"init": "zeros"}), "init='zeros'"),
    "another trial": (put(trial_id="0" * 16), "its trial_id is"),
    "a shorter vocabulary": (put(vocabulary="abc"), "its input_size is 5; expected 3"),
    "a vocabulary with a pair": (put(vocabulary="aacde"), "a character twice"),
    "half a character": (put(vocabulary="abcd\ud800"), "a lone surrogate"),
    "a list of characters": (put(vocabulary=list("abcde")), "its vocabulary is"),
    "a negative size": (put(input_size=-5), "its input_size is -5"),
    "a flag for a number": (put(step=True), "its step is True"),
    "fields in a list": (lambda f, t: [1], "expected fields by name"),
    "deep nesting": (lambda f, t: "[" * 100_000, "no checkpoint of this harness"),
    "no JSON": (lambda f, t: "{", "no checkpoint of this harness"),
    "a tensor missing": (lambda f, t: t.pop("out.bias") is None or None, "has no tensor 'out.bias'"),
    "a tensor more": (lambda f, t: t.update(more=np.zeros(1)), "has a tensor 'more'"),
    "a tensor of another shape": (lambda f, t: t.update({"out.bias": np.zeros((5, 1), "f4")}), "shape"),
    "a tensor of another type": (lambda f, t: t.update({"out.bias": np.zeros(5)}), "type torch.float64"),
    "a tensor that is not finite": (
        lambda f, t: t.update({"out.bias": np.full(5, np.nan, "f4")}),
        "out.bias has values that are not finite",
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", DAMAGES)
def test_a_checkpoint_with_another_header_is_refused_by_field(kind, results, tmp_path, capsys):
    change, said = DAMAGES[kind]
    assert damaged(results, tmp_path, change) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert "tests.no_such_module" not in sys.modules


def test_a_task_without_entropies_and_accuracy_is_described_without_them(results, tmp_path, capsys):
    def change(fields, tensors):
        del fields["unigram_entropy"], fields["bigram_entropy"]
        fields["heldout_accuracy"] = None

    assert damaged(results, tmp_path, change) == 0
    assert "accuracy" not in capsys.readouterr().err


def test_tabs_and_form_feeds_are_written_as_they_are(results, tmp_path, capsys):
    assert damaged(results, tmp_path, put(vocabulary="a\t\f\r\v")) == 0
    written = capsys.readouterr().out
    assert len(written) == 1 + 5 + 1
    assert set(written) <= set("a\t\f\r\v\n")


AMOUNTS = [
    (["--length", "1000000000"], "--length 1000000000 times --n 1 is 1,000,000,000 characters"),
    (["--n", "1000000000"], "times --n 1000000000"),
    (["--mode", "beam", "--beams", "1000000000"], "times --beams 1000000000"),
    (["--prompt", "a" * 100_001], "--prompt has 100,001 characters; at most 100,000"),
]


@pytest.mark.parametrize(("more", "said"), AMOUNTS)
def test_more_than_fits_in_memory_is_refused(more, said, results, capsys):
    assert generate(results, *more) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("seed", [str(2**63), "1" * 30, "-1"])
def test_a_seed_that_no_generator_takes_is_refused(seed, results, capsys):
    with pytest.raises(SystemExit):
        generate(results, f"--seed={seed}")
    said = capsys.readouterr().err
    assert "--seed" in said and seed in said

import itertools
import math
import os
import tracemalloc
from collections import Counter
from pathlib import Path
from pydoc_data.topics import topics

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from harness.condition import Pack
from harness.errors import RecordsError, UserError
from harness.planning.cohort import make_trial
from harness.planning.fields import parse_settings
from harness.planning.growth import check_growth
from harness.planning.space import Space
from harness.tasks import heldout_set, tasks
from harness.tasks.text import PYDOC, bigram_entropy, entropy, prepare, read_corpus
from harness.training.loop import build_task
from tests.trials import letters, mostly_contract, same_numbers, trained

PARTS = ("train", "validation", "test")


@pytest.fixture
def corpus(tmp_path) -> str:
    file = tmp_path / "corpus.txt"
    file.write_text(letters(2_000))
    return str(file)


def space(**changes) -> Space:
    return Space(
        name="test",
        summary="",
        tasks=("text",),
        **dict(models=("lstm",), lengths=(8,), hidden_size=8, learning_rate=(0.01,)) | changes,
    )


def text_of(task, indices) -> str:
    return "".join(task.vocabulary[i] for i in indices.tolist())


def symbols(text: str) -> np.ndarray:
    return np.array([ord(character) for character in text])


def test_entropies_of_short_strings_are_those_computed_by_hand():
    assert entropy(symbols("aabb")) == pytest.approx(math.log(2))
    assert entropy(symbols("abcdabcd")) == pytest.approx(math.log(4))
    assert entropy(symbols("aaab")) == pytest.approx(-0.75 * math.log(0.75) - 0.25 * math.log(0.25))
    assert entropy(symbols("aaaa")) == 0
    assert bigram_entropy(symbols("abababab")) == pytest.approx(0)
    # pairs aa, ab, bb, ba: after each of a and b, either half the time
    assert bigram_entropy(symbols("aabba")) == pytest.approx(math.log(2))
    # after a: a, b, b (entropy of 1/3, 2/3), three pairs of four; after b: a, always
    third = -math.log(1 / 3) / 3 - math.log(2 / 3) * 2 / 3
    assert bigram_entropy(symbols("aabab")) == pytest.approx(0.75 * third)


def test_the_default_corpus_ships_with_python():
    text = read_corpus(PYDOC)
    assert text == "\n".join(topics[name] for name in sorted(topics))
    task = tasks.build("text", {}, length=30)
    assert task.vocabulary == "".join(sorted(set(text)))
    assert sum(len(part) for part in task.data.parts.values()) == len(text)
    assert "".join(text_of(task, task.data.parts[split]) for split in PARTS) == text


def test_levels_are_the_entropies_of_the_text(corpus):
    text = Path(corpus).read_text()
    task = tasks.build("text", {"corpus": corpus}, length=8)
    assert task.baseline_loss == entropy(symbols(text[:1_800]))
    assert task.data.bigram_entropy == bigram_entropy(symbols(text[:1_800]))
    assert task.solved_at == 1 - task.data.bigram_entropy / task.baseline_loss
    assert task.drop_at == task.chance == 0 < task.recovered_at < task.solved_at < 1


def test_sequences_are_windows_of_their_part_and_targets_the_characters_after(corpus):
    task = tasks.build("text", {"corpus": corpus}, length=8)
    text = Path(corpus).read_text()
    cuts = {"train": text[:1800], "validation": text[1800:1900], "test": text[1900:]}
    drawn = {
        "train": task.draw(torch.Generator().manual_seed(0), 500),
        "validation": heldout_set(task, "text", "validation"),
        "test": heldout_set(task, "text", "test"),
        "probe": heldout_set(task, "text", "probe", 5),
    }
    for split, (inputs, targets) in drawn.items():
        assert inputs.shape == (len(targets), 8, 5)
        assert torch.equal(inputs.sum(-1), torch.ones(len(targets), 8))
        for x, y in zip(inputs.argmax(-1), targets, strict=True):
            assert text_of(task, x) + text_of(task, y[-1:]) in cuts[split.replace("probe", "validation")]
            assert torch.equal(x[1:], y[:-1])
    assert len(drawn["test"][0]) == 12, "100 characters hold 12 windows of 8 and one character more"
    assert text_of(task, drawn["test"][0].argmax(-1).flatten()) == cuts["test"][:96]
    assert len(drawn["probe"][0]) == 5
    assert heldout_set(task, "text", "control") is None


def test_every_training_window_can_be_drawn(tmp_path):
    file = tmp_path / "short.txt"
    file.write_text(letters(60))
    task = tasks.build("text", {"corpus": str(file)}, length=2)
    inputs, _ = task.draw(torch.Generator().manual_seed(0), 5_000)
    text = file.read_text()[:54]
    assert {text_of(task, x) for x in inputs.argmax(-1)} == {text[i : i + 2] for i in range(52)}


def test_loss_and_score_of_known_predictors(corpus):
    task = tasks.build("text", {"corpus": corpus}, length=8)
    _, targets = task.draw(torch.Generator().manual_seed(0), 4_000)
    counts = torch.bincount(task.data.parts["train"]).float()
    frequencies = counts.log().expand(4_000, 8, -1)
    loss = task.loss(frequencies, targets)
    assert loss.shape == (4_000,)
    assert loss.mean() == pytest.approx(task.baseline_loss, rel=0.01), "unigram entropy"
    assert task.score(frequencies, targets).mean() == pytest.approx(0, abs=0.01)
    certain = 1e4 * F.one_hot(targets, 5).float()
    assert task.loss(certain, targets).max() == 0
    assert task.score(certain, targets).min() == 1
    uniform = torch.zeros(4_000, 8, 5)
    assert torch.allclose(task.loss(uniform, targets), torch.tensor(math.log(5)))


BAD = {
    "": "is empty",
    "\0\1\2" * 100: "is binary",
    "to be or not to be": "has 18 characters: too few for lengths=8",
    "a" * 1_000: "is no text",
    "ab" * 1_000: "is no text",
}


@pytest.mark.parametrize("content", BAD)
def test_a_file_that_is_no_corpus_is_refused_in_one_line(content, tmp_path):
    file = tmp_path / "bad.txt"
    file.write_text(content)
    with pytest.raises(UserError, match=BAD[content]) as error:
        space(options={"corpus": str(file)})
    assert "\n" not in str(error.value)
    assert f"corpus={file}" in str(error.value)


def test_a_file_that_is_missing_or_not_utf_8_is_refused_in_one_line(tmp_path):
    (tmp_path / "latin").write_bytes("é".encode("latin-1") * 1_000)
    for name, said in {"latin": "utf-8", "none": "No such file"}.items():
        with pytest.raises(UserError, match=f"corpus=.*{name} cannot be read .*{said}"):
            space(options={"corpus": str(tmp_path / name)})


def test_a_byte_order_mark_is_no_character(tmp_path, corpus):
    marked = tmp_path / "marked.txt"
    marked.write_text(Path(corpus).read_text(), encoding="utf-8-sig")
    plain, with_mark = (space(options={"corpus": path}) for path in (corpus, str(marked)))
    assert plain.conditions() == with_mark.conditions()


def test_what_is_no_regular_file_is_not_read(tmp_path, monkeypatch):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    for name in (str(tmp_path / "pipe"), str(tmp_path / "folder"), "/dev/zero", "/dev/null"):
        with pytest.raises(UserError, match=f"corpus={name} is no regular file"):
            space(options={"corpus": name})
    with (tmp_path / "huge").open("wb") as sparse:
        sparse.truncate(10**13)
    with pytest.raises(
        UserError, match=r"has 1e.04 GB: reading it takes up to 1.2e.05 GB of memory in every"
    ):
        space(options={"corpus": str(tmp_path / "huge")})
    for name in ("a\0b", "x" * 300):
        with pytest.raises(UserError, match="cannot be read"):
            space(options={"corpus": name})


def test_a_path_with_a_comma_is_given_in_quotes(corpus, tmp_path):
    (tmp_path / "a, b.txt").write_text(Path(corpus).read_text())
    quoted = parse_settings([f'corpus="{tmp_path}/a, b.txt"'])
    assert space().override(quoted).conditions() == space(options={"corpus": corpus}).conditions()


TEXTS = {
    "letters": letters(5_000),
    "one of each": "".join(map(chr, range(32, 400))),
    "many characters": "".join(chr(0x4E00 + i * i % 30_000) for i in range(60_000)),
    "the last comes once": "abcab" * 100 + "z",
    "short": "ab",
}


@pytest.mark.parametrize("name", TEXTS)
def test_counting_in_parts_changes_no_bit_of_the_entropies(name, monkeypatch):
    """The reference counts as a dict does, symbol by symbol: a sum depends on the order of its terms."""

    def reference(found):
        counts = Counter(found).values()
        return -sum(n / len(found) * math.log(n / len(found)) for n in counts)

    monkeypatch.setattr("harness.tasks.text.COUNTED", 777)
    prepare.cache_clear()
    text = TEXTS[name]
    data = prepare(text)
    train = text[: round(0.9 * len(text))]
    assert data.unigram_entropy == reference(train)
    pairs = list(itertools.pairwise(train))
    assert data.bigram_entropy == (reference(pairs) - reference(train[:-1]) if pairs else 0)
    assert "".join(data.vocabulary[i] for split in PARTS for i in data.parts[split].tolist()) == text
    prepare.cache_clear()


def test_a_corpus_takes_a_few_bytes_for_each_character():
    text = letters(2_000_000)
    tracemalloc.start()
    data = prepare(text)
    kept, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    prepare.cache_clear()
    assert data.parts["train"].element_size() == 1
    assert kept < 1.2 * len(text)
    assert peak < 30 * len(text), "a part is counted at a time: 72 bytes a character before"


def test_a_corpus_counts_by_its_content_wherever_it_lies(corpus, tmp_path, monkeypatch):
    copy = tmp_path / "elsewhere.txt"
    copy.write_text(Path(corpus).read_text())
    here, there = (space(options={"corpus": path}) for path in (corpus, str(copy)))
    assert here.definition() == there.definition()
    a, b = here.conditions()[0], there.conditions()[0]
    assert a == b
    assert (a.condition_id, make_trial(here, a, 0.1, 0).trial_id) == (
        b.condition_id,
        make_trial(there, b, 0.1, 0).trial_id,
    )
    assert a.files != b.files
    assert build_task(b).corpus == str(copy)
    monkeypatch.chdir(tmp_path)
    assert space(options={"corpus": "elsewhere.txt"}).conditions()[0].files == b.files, "paths are absolute"
    with pytest.raises(UserError, match="content of corpus repeats"):
        space(options={"corpus": (corpus, str(copy))})

    copy.write_text(Path(corpus).read_text().replace("b", "x", 1))
    edited = space(options={"corpus": str(copy)})
    assert edited.conditions()[0].condition_id != a.condition_id
    assert space().conditions()[0].condition_id != a.condition_id
    check_growth(here.definition(), space(options={"corpus": (corpus, str(copy))}).definition(), tmp_path)
    with pytest.raises(RecordsError, match="content of corpus"):
        check_growth(here.definition(), edited.definition(), tmp_path)


def test_a_corpus_that_changes_after_the_start_is_not_trained_on(corpus):
    (condition,) = space(options={"corpus": corpus}).conditions()
    Path(corpus).write_text(letters(2_000) + "b")
    with pytest.raises(ValueError, match="has another content than when the run started"):
        build_task(condition)


@pytest.mark.parametrize(
    ("model", "batch_size"), mostly_contract(itertools.product(["rnn", "lstm"], [1, 16]), ("lstm", 1))
)
def test_numbers_are_bit_equal_in_packs_of_1_2_and_8(model, batch_size, corpus):
    drawn = space(
        models=(model,), batch_size=batch_size, max_steps=40, observe=0, eval_every=20,
        options={"corpus": corpus},
    )  # fmt: skip
    trials = [make_trial(drawn, drawn.conditions()[0], 0.01, seed) for seed in range(8)]
    alone = trained(Pack((trials[0],)))[0]
    assert same_numbers(alone, trained(Pack(tuple(trials[:2])))[0])
    assert same_numbers(alone, trained(Pack(tuple(trials)))[0])


@pytest.mark.contract
def test_an_lstm_learns_more_of_the_default_corpus_than_pairs_of_characters_say():
    drawn = space(
        optimizers=("adam",), lengths=(15,), hidden_size=64, batch_size=32, max_norms=(5.0,),
        max_steps=450, observe=0, eval_every=450,
    )  # fmt: skip
    (run,) = trained(Pack((make_trial(drawn, drawn.conditions()[0], 0.01, 0),)))
    task = build_task(run.trial.condition)
    loss = run.evals[-1][1]
    assert loss < task.data.bigram_entropy < task.data.unigram_entropy
    assert run.solved_step == 450

import json
import math
import re

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from analysis.as_json import plain
from analysis.load import LoadError, load
from analysis.report import main, write_report
from analysis.sections import SECTIONS
from harness.planning.space import Space
from harness.results.folder import Folder
from harness.results.schema import METADATA_KEY
from tests.folders import ENDS_BY_RATE, TUNED, a_result, drops_folder, grid_folder, make_folder
from tests.trials import make_trial


def test_json_holds_every_share_with_its_limits(tmp_path):
    page = json.loads(write_report(load(drops_folder(tmp_path)), style="json").read_text())
    clipped, free = page["p_solved"]
    assert (clipped["model"], clipped["max_norm"], clipped["k"], clipped["n"]) == ("rnn", 1.0, 2, 2)
    assert (clipped["low"], clipped["high"]) == (pytest.approx(0.3424, abs=1e-4), 1.0)
    assert free["max_norm"] == "inf"
    assert set(page["sections"]) == {section.title for section in SECTIONS}
    assert page["sections"]["Drops after convergence"][0]["drops"] == 3
    assert page["sections"]["Drops after convergence"][1]["median_depth"] is None


@pytest.mark.parametrize(
    ("value", "expected"),
    [(math.nan, None), (None, None), (math.inf, "inf"), (-math.inf, "-inf"), (1.5, 1.5)],
)
def test_json_has_no_values_of_its_own_making(value, expected):
    assert plain(value) == expected


def test_markdown_has_its_pictures_beside_it(tmp_path, capsys):
    out = tmp_path / "page.md"
    assert main([str(drops_folder(tmp_path)), "--format", "md", "--out", str(out)]) == 0
    text = out.read_text()
    pictures = re.findall(r"!\[.*?\]\((.*?)\)", text)
    assert pictures
    assert all((tmp_path / name).read_bytes().startswith(b"\x89PNG") for name in pictures)
    assert "| model | optimizer |" in text
    assert f"report: {out}" in capsys.readouterr().out


def two_folders(tmp_path, commit: str):
    """The same condition in two folders: seeds 0 and 1, and seeds 1 and 2."""
    space = Space(**TUNED, learning_rate=(0.1,), seeds=2)
    for name, seeds in (("a", (0, 1)), ("b", (1, 2))):
        results = [a_result(make_trial(seed, 0.1), watched_steps=10) for seed in seeds]
        make_folder(tmp_path / name, space, results)
    if commit:
        metadata = {METADATA_KEY: json.dumps({"git_commit": commit}).encode(), b"schema_version": b"3"}
        for path in (tmp_path / "b" / "trials").glob("*.parquet"):
            table = pq.read_table(path)
            pq.write_table(table.replace_schema_metadata(metadata), path)
    return tmp_path / "a", tmp_path / "b"


def test_several_folders_are_one_and_a_trial_counts_once(tmp_path):
    results = load(*two_folders(tmp_path, ""))
    assert sorted(results.report_trials["seed"]) == [0, 1, 2]
    assert len(results.conditions) == 1
    assert results.name == "a + b"
    assert sorted(results.read("evals")["trial_id"]) == sorted(results.trials["trial_id"])


def test_folders_of_different_code_are_refused_unless_told(tmp_path, capsys):
    folders = two_folders(tmp_path, "other")
    with pytest.raises(LoadError, match=r"different code \(git_commit: None and other\)"):
        load(*folders)
    assert len(load(*folders, mixed=True).trials) == 3
    assert main([*map(str, folders), "--format", "json"]) == 2
    assert "--mixed" in capsys.readouterr().err
    assert main([*map(str, folders), "--format", "json", "--mixed"]) == 0


def test_tables_of_another_version_are_refused(tmp_path):
    folder = drops_folder(tmp_path)
    definition = json.loads((folder / "space.json").read_text())
    (folder / "space.json").write_text(json.dumps(definition | {"schema_version": 1}))
    with pytest.raises(LoadError, match="written with version 1 of the tables"):
        load(folder)


def test_histories_are_read_for_the_trials_asked_for_only(tmp_path, monkeypatch):
    results = load(drops_folder(tmp_path))
    wanted = results.trials["trial_id"].iloc[0]
    opened = []
    read = Folder.read
    monkeypatch.setattr(
        Folder, "read", lambda self, names, *rest: opened.extend(names) or read(self, names, *rest)
    )
    found = results.read("steps", columns=["trial_id", "loss"], trials=[wanted])
    assert set(found["trial_id"]) == {wanted}
    assert list(found.columns) == ["trial_id", "loss"]
    assert len(opened) == 1


def test_a_folder_behind_a_uri_reads_like_a_local_one(tmp_path, monkeypatch):
    """fsspec's memory file system stands for remote storage; a file:// URI is a path."""
    folder = drops_folder(tmp_path)
    memory = fsspec.filesystem("memory")
    memory.put(str(folder), "/bucket/x", recursive=True)
    local = load(folder)
    monkeypatch.chdir(tmp_path)
    for uri in ("fsspec+memory://bucket/x", folder.resolve().as_uri()):
        remote = load(uri)
        assert remote.name == "x"
        assert remote.trials.drop(columns="folder").equals(local.trials.drop(columns="folder"))
        assert remote.read("steps").equals(local.read("steps"))
        write_report(remote, style="json")
        assert json.loads(Folder.of(uri).content("report.json"))["p_solved"], "beside the tables"
    main([str(folder), "--format", "json", "--out", "fsspec+memory://bucket/other/page.json"])
    assert json.loads(memory.cat_file("/bucket/other/page.json"))["p_solved"]


def test_a_report_is_not_written_below_a_file(tmp_path, monkeypatch, capsys):
    folder = drops_folder(tmp_path)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("")
    before = sorted(tmp_path.rglob("*"))
    for out, message in (
        ("gopher://host/page.html", "gopher://host cannot be opened"),
        ("file/page.html", "is not a folder"),
    ):
        assert main([str(folder), "--out", out]) == 2
        assert message in capsys.readouterr().err
    assert sorted(tmp_path.rglob("*")) == before


def test_what_cannot_be_read_is_said_in_one_line(tmp_path, capsys):
    folder = drops_folder(tmp_path)
    for place, message in [
        (tmp_path, "it holds results folders: x"),
        ("gopher://host/x", "gopher://host/x cannot be opened"),
    ]:
        assert main([str(place)]) == 2
        assert message in capsys.readouterr().err
    junk = folder / "trials" / "0123456789abcdef.parquet"
    junk.write_text("not Parquet")
    assert main([str(folder)]) == 2
    assert f"trials/{junk.name} is no Parquet file" in capsys.readouterr().err
    pq.write_table(pa.table({"trial_id": [1]}), junk)
    assert main([str(folder)]) == 2
    assert f"trials/{junk.name} is no file of trials that this harness wrote" in capsys.readouterr().err
    for content in (b"[1]", b"\xff\xfe"):
        (folder / "space.json").write_bytes(content)
        assert main([str(folder)]) == 2
        assert "space.json is damaged" in capsys.readouterr().err


@pytest.mark.contract
def test_a_page_of_tuning_trials_only_can_be_written_in_every_format(tmp_path):
    results = load(grid_folder(tmp_path, ENDS_BY_RATE))
    for style in ("html", "md", "json"):
        assert write_report(results, style=style).stat().st_size > 500

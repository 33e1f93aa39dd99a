"""The commit that is recorded is of the harness's own checkout, or there is none."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from harness.results import provenance
from harness.results.provenance import git_commit

SOURCE = Path(provenance.__file__)


def git(where: Path, *arguments: str) -> str:
    names = ["-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "core.hooksPath=/dev/null"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return subprocess.run(
        ["git", *names, *arguments], cwd=where, check=True, capture_output=True, text=True, env=environment
    ).stdout.strip()


def committed(where: Path, *, with_files: bool = True) -> str:
    """A repository at `where`, which tracks its files or none; its commit."""
    where.mkdir(parents=True, exist_ok=True)
    git(where, "init", "-q")
    git(where, "add", "." if with_files else "--intent-to-add")
    git(where, "commit", "-q", "--allow-empty", "-m", "One")
    return git(where, "rev-parse", "HEAD")


def placed(root: Path, monkeypatch) -> Path:
    """The harness as it would lie in `root`: this module is at root/harness/results/provenance.py."""
    file = root / "harness" / "results" / "provenance.py"
    file.parent.mkdir(parents=True)
    shutil.copy(SOURCE, file)
    monkeypatch.setattr(provenance, "__file__", str(file))
    return file


def test_a_checkout_of_the_harness_has_its_commit(tmp_path, monkeypatch):
    file = placed(tmp_path / "checkout", monkeypatch)
    commit = committed(tmp_path / "checkout")
    assert git_commit() == commit
    git(tmp_path / "checkout", "-c", "user.name=x", "tag", "-a", "v1", "-m", "v1")
    assert git_commit() == commit, "a tag is no identity: another clone may lack it"
    file.write_text(file.read_text() + "\n")
    assert git_commit() == f"{commit}-dirty"


INSIDE = {
    "an environment in another repository": ("other/.venv/lib/python3.11/site-packages", "other", False),
    "an environment that another repository tracks": ("other/.venv/lib/site-packages", "other", True),
    "a copy in a folder of another repository": ("other/vendor", "other", True),
    "a repository around it that tracks other files": ("other", "other", False),
    "no repository": ("plain", None, False),
}


@pytest.mark.parametrize("where", INSIDE)
def test_elsewhere_there_is_no_commit(where, tmp_path, monkeypatch):
    place, repository, tracked = INSIDE[where]
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    placed(tmp_path / place, monkeypatch)
    if repository:
        committed(tmp_path / repository, with_files=tracked)
    assert git_commit() is None


def test_a_repository_that_the_environment_names_does_not_count(tmp_path, monkeypatch):
    """As in a hook of git, which sets GIT_DIR."""
    commit = committed(tmp_path / "hooked")
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "hooked" / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(tmp_path / "hooked"))
    placed(tmp_path / "plain", monkeypatch)
    assert git_commit() != commit


def test_without_git_there_is_no_commit(monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert git_commit() is None


@pytest.mark.parametrize(
    ("said", "recorded"),
    [
        ("s3://bucket/results", "s3://bucket/results"),
        ("s3://AKIA:hush@bucket/x", "s3://***@bucket/x"),
        ("https://hush@host/x", "https://***@host/x"),
        ("https://host/x?X-Amz-Signature=hush&a=1", "https://host/x?X-Amz-Signature=***&a=1"),
        ("--token=hush", "--token=***"),
        ("secret_access_key='hush hush'", "secret_access_key=***"),
        ("max_norms=0.5,inf", "max_norms=0.5,inf"),
        ("corpus=data/key.txt", "corpus=data/key.txt"),
    ],
)
def test_credentials_on_the_command_line_are_not_recorded(said, recorded):
    assert provenance.provenance({}, "serial", "cpu", None, ["--set", said])["argv"] == ["--set", recorded]

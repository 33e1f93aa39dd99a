"""The soak itself: it kills where its seed says, and it would say so if something were lost or doubled."""

import signal
import subprocess
import sys

import pandas as pd
import pytest

from benchmarks.soak import local
from benchmarks.soak.local import Tally, Watched
from benchmarks.soak.tables import Contents, digest


@pytest.fixture
def looks(monkeypatch):
    """What the next looks at a folder find."""
    found = []
    monkeypatch.setattr(local, "looked", lambda *_: found.pop(0))
    return found


def trials(*names: str, **digests: str) -> Contents:
    return Contents(list(names), digests, 0)


@pytest.mark.parametrize(
    ("found", "lost", "doubled", "differing"),
    [
        ([trials("a"), trials("a", "b")], 0, 0, 0),
        ([trials("a", "c"), trials("a", "b")], 1, 0, 0),
        ([trials("a"), trials("a", "a", "b")], 0, 1, 1),
        ([trials(), trials("a", "b", steps="another")], 0, 0, 1),
    ],
)
def test_what_is_lost_doubled_or_different_is_counted(found, lost, doubled, differing, looks, tmp_path):
    tally = Tally()
    looks.extend(found)
    watched = Watched(tmp_path, tally, "a folder")
    watched.look("killed")
    watched.finish(trials("a", "b"))
    assert (tally.lost, tally.doubled, tally.differing) == (lost, doubled, differing)
    assert tally.sound == (not (lost or doubled or differing))


def test_a_digest_tells_the_last_bit_and_neither_order_nor_clocks():
    table = pd.DataFrame({"trial_id": ["a", "b"], "loss": [0.1, float("nan")], "seconds": [1.0, 2.0]})
    other = table.iloc[::-1][["seconds", "loss", "trial_id"]].assign(seconds=3.0)
    assert digest(other) == digest(table)
    assert digest(table.assign(loss=[0.1 + 2**-56, float("nan")])) != digest(table)


@pytest.mark.slow
def test_a_fault_is_at_the_event_that_is_asked_for_every_time(tmp_path):
    undisturbed = local.run(tmp_path / "whole")
    assert undisturbed.answer > 100
    assert local.run(tmp_path / "beyond", "kill", undisturbed.answer + 1).answer == undisturbed.answer
    for name in ("one", "other"):
        assert local.run(tmp_path / name, "kill", 60).signal == signal.SIGKILL
    files = [
        sorted(p.relative_to(tmp_path / n).as_posix() for p in (tmp_path / n).rglob("*"))
        for n in ("one", "other")
    ]
    assert files[0] == files[1] and any("trials/" in file for file in files[0])
    assert local.as_made("storage error", local.run(tmp_path / "error", "storage error", 40, 28))


def soak(*arguments: str) -> str:
    """What a soak says in the end; it must have found nothing."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.soak", *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()[-1]


@pytest.mark.slow
def test_a_few_kills_lose_nothing():
    assert "lost 0, doubled 0, differing 0, unexpected 0" in soak(
        "--seed", "7", "--kills", "8", "--on-ray", "0"
    )


@pytest.mark.ray
def test_two_kills_on_a_cluster_lose_nothing():
    assert "seed 1: 2 faults" in soak("--seed", "1", "--kills", "2", "--on-ray", "2")

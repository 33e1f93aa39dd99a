"""Tries classes in a child process: the driver outlives whatever they do, and says what it was."""

import contextlib
import json
import os
import pickle
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from harness.driver.tryout.child import Job
from harness.driver.tryout.watch import SAID, STACK
from harness.errors import UserError, is_library

START = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from harness.driver.tryout.child import main; main(sys.argv[2])"
"""What the child runs: it finds modules where this process does."""

OVERTIME = 2.0
"""Seconds beyond a limit in which the child writes where it is."""

POLL = 0.05
"""Seconds between two looks at the child."""


def tried_apart(job: Job) -> list[str]:
    """What `judge` finds, from a child process; UserError also if the child ends or does not come to an end."""
    with tempfile.TemporaryDirectory(prefix="stability-tryout-") as name:
        folder = Path(name)
        with (folder / "errors.txt").open("wb") as errors:
            child = subprocess.Popen(
                [sys.executable, "-c", START, json.dumps(sys.path), name],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                start_new_session=True,
            )
        try:
            _hand_over(child, job)
            in_time = _ended_in_time(child, folder)
        finally:
            _end(child)
        said = _said(folder)
        for words in said:
            if "found" in words:
                return list(words["found"])
            if "refused" in words:
                raise UserError(words["refused"])
        raise UserError(_what_happened(child.returncode if in_time else None, said, folder))


def _hand_over(child: "subprocess.Popen[bytes]", job: Job) -> None:
    assert child.stdin is not None
    with contextlib.suppress(BrokenPipeError), child.stdin as pipe:
        pipe.write(pickle.dumps(job))


def _ended_in_time(child: "subprocess.Popen[bytes]", folder: Path) -> bool:
    """Whether the child ends by itself; false once one of its steps takes longer than it may."""
    steps, since, limit = 0, time.monotonic(), START_LIMIT
    while True:
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(POLL)
            return True
        said = _said(folder)
        if len(said) != steps:
            steps, since, limit = len(said), time.monotonic(), said[-1].get("limit", limit)
        if time.monotonic() - since > limit + OVERTIME:
            return False


START_LIMIT = 300.0
"""Seconds in which a child must have come so far as to say anything: it imports torch."""


def _end(child: "subprocess.Popen[bytes]") -> None:
    """End the child and every process that a class has started in its session."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if hasattr(os, "killpg"):
            os.killpg(child.pid, signal.SIGKILL)
    child.kill()
    child.wait()


def _said(folder: Path) -> list[dict[str, Any]]:
    """The lines that are complete."""
    path = folder / SAID
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]


def _what_happened(code: int | None, said: list[dict[str, Any]], folder: Path) -> str:
    """One line: who did what when the child ended with `code`, or did not end in time (None)."""
    if not said:
        text = (folder / "errors.txt").read_text(errors="replace").strip()
        last = text.splitlines()[-1] if text else f"exit code {code}"
        return f"the process that tries out your classes did not start: {last[:300]}"
    who, what, limit = (said[-1][name] for name in ("who", "what", "limit"))
    place = _place((folder / STACK).read_text(errors="replace"))
    if code is None:
        return f"{who} cannot be trained: after {limit:g} s it was still in {what}{place}"
    how = f"by signal {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}, as os._exit does"
    known = {-signal.SIGSEGV: ": a segmentation fault", -9: ": as when memory runs out"}.get(code, "")
    return f"{who} cannot be trained: it ended the process in {what} {how}{known}{place}"


def _place(stack: str) -> str:
    """Such as ' (mycells.py:12)': the innermost line of a written stack that is of no library."""
    lines = re.findall(r'File "(.+)", line (\d+)', stack)
    own = [(path, line) for path, line in lines if not is_library(path)]
    return f" ({Path(own[0][0]).name}:{own[0][1]})" if own else ""

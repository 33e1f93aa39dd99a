"""Tries classes in a child process: the driver outlives whatever they do, and says what it was."""

import contextlib
import dataclasses
import json
import os
import pickle
import re
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import harness
from harness.driver.tryout.child import Job
from harness.driver.tryout.watch import ERRORS, SAID, STACK
from harness.errors import UserError

START = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from harness.driver.tryout.child import main; main(sys.argv[2])"
)
"""What a child runs: it finds modules where this process does."""

START_LIMIT = 300.0
"""Seconds in which a child must have come so far as to say anything: it imports torch."""

OVERTIME = 2.0
"""Seconds beyond a limit in which a child writes where it is."""

POLL = 0.05
"""Seconds between two looks at a child."""

NOT_OWN = (f"{sysconfig.get_path('stdlib')}/", f"{Path(harness.__file__).parent}/", "<frozen ")
"""How the paths of Python's own code and of this package's begin."""

HASH_SEEDS = ("1", "2")
"""Two values of PYTHONHASHSEED: the order of a set of texts follows from it, and each process has another."""


def tried_apart(job: Job) -> list[str]:
    """What `judge` finds, from a child process; UserError also if the child ends or does not come to an end.

    A second child only builds, with other hashes of texts: its weights and batches must be the same.
    """
    with contextlib.ExitStack() as stack:
        builder = dataclasses.replace(job, only_built=True)
        children = [
            stack.enter_context(_child(each, seed))
            for each, seed in zip((job, builder), HASH_SEEDS, strict=True)
        ]
        for child in children:
            child.await_end()
        found, built = (_verdict(child) for child in children)
    for who, fingerprint in found["fingerprints"].items():
        if built["fingerprints"][who] != fingerprint:
            raise UserError(
                f"{who} cannot be trained: each process gives it other numbers to start from; "
                f"it uses the order of a set or hash() of a text, which differ from process to process"
            )
    return list(found["found"])


@dataclass(frozen=True)
class Child:
    """A process, and the folder in which it says what it does."""

    process: "subprocess.Popen[bytes]"
    folder: Path

    def said(self) -> list[dict[str, Any]]:
        """The lines that are complete."""
        path = self.folder / SAID
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]

    def await_end(self) -> None:
        """Return when the process has ended, or when one thing that it does takes longer than it may."""
        steps, since, limit = 0, time.monotonic(), START_LIMIT
        while self.process.poll() is None:
            said = self.said()
            if len(said) != steps:
                steps, since, limit = len(said), time.monotonic(), said[-1].get("limit", limit)
            if time.monotonic() - since > limit + OVERTIME:
                return
            time.sleep(POLL)


@contextlib.contextmanager
def _child(job: Job, hash_seed: str) -> Iterator[Child]:
    """A child that has its job. At the end it is ended, with every process that a class has started in it."""
    with tempfile.TemporaryDirectory(prefix="stability-tryout-") as name:
        with Path(name, ERRORS).open("wb") as errors:
            process = subprocess.Popen(
                [sys.executable, "-c", START, json.dumps(sys.path), name],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                env={**os.environ, "PYTHONHASHSEED": hash_seed},
                start_new_session=True,
            )
        try:
            assert process.stdin is not None
            with contextlib.suppress(BrokenPipeError), process.stdin as pipe:
                pipe.write(pickle.dumps(job))
            yield Child(process, Path(name))
        finally:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                if hasattr(os, "killpg"):
                    os.killpg(process.pid, signal.SIGKILL)
            process.kill()
            process.wait()


def _verdict(child: Child) -> dict[str, Any]:
    """The last words of a child; UserError if they are a refusal, or if it ended without any."""
    said = child.said()
    if said and "found" in said[-1]:
        return said[-1]
    if said and "refused" in said[-1]:
        refusal = UserError(said[-1]["refused"])
        refusal.add_note(said[-1]["traceback"])
        raise refusal
    raise UserError(_what_happened(child.process.poll(), said, child.folder))


def _what_happened(code: int | None, said: list[dict[str, Any]], folder: Path) -> str:
    """One line: who did what when the child ended with `code`, or did not end in time (None)."""
    if not said:
        text = (folder / ERRORS).read_text(errors="replace").strip()
        last = text.splitlines()[-1] if text else f"exit code {code}"
        return f"the process that tries out your classes did not start: {last[:300]}"
    who, what, limit = (said[-1][name] for name in ("who", "what", "limit"))
    place = _place((folder / STACK).read_text(errors="replace"))
    if code is None:
        return f"{who} cannot be trained: after {limit:g} s it was still in {what}{place}"
    how = (
        f"by signal {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}, as os._exit does"
    )
    known = {-signal.SIGSEGV: ": a segmentation fault", -9: ": as when memory runs out"}.get(code, "")
    return f"{who} cannot be trained: it ended the process in {what} {how}{known}{place}"


def _place(stack: str) -> str:
    """Such as ' (mycells.py:12)': the innermost line of a written stack that is of no library."""
    lines = re.findall(r'File "(.+)", line (\d+)', stack)
    own = [(path, line) for path, line in lines if not path.startswith(NOT_OWN) and "-packages/" not in path]
    return f" ({Path(own[0][0]).name}:{own[0][1]})" if own else ""

"""Which code this is: the commit of its checkout."""

import subprocess
from pathlib import Path


def git_commit() -> str | None:
    """The commit of the harness's own checkout, '-dirty' appended if files differ; None outside git."""
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty", "--abbrev=40"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None if done.returncode == 0 else None

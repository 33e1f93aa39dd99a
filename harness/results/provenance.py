"""Where numbers come from: code, versions, machine, definition and seed rule, for every file's footer."""

import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from harness import __version__
from harness.identity import SEED_RULE
from harness.results.uris import without_credentials

PACKAGES = ("torch", "numpy", "pandas", "pyarrow", "ray", "optuna", "scipy", "safetensors")


def provenance(
    definition: Mapping[str, Any], executor: str, device: str, gpu: str | None, argv: Sequence[str] | None
) -> dict[str, Any]:
    """Everything needed to make the numbers again, as JSON values.

    `gpu` is the name of this machine's; `argv` is the command line, None for a call from Python. What it says
    of credentials is left out.
    """
    return {
        "harness": __version__,
        "git_commit": git_commit(),
        "python": platform.python_version(),
        "versions": {name: version for name in PACKAGES if (version := _version(name))},
        "platform": platform.platform(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "device": device,
        "gpu": gpu,
        "threads_per_trial": 1,
        "executor": executor,
        "argv": None if argv is None else [without_credentials(argument) for argument in argv],
        "definition": dict(definition),
        "seed_rule": SEED_RULE,
    }


def git_commit() -> str | None:
    """The commit of the harness's own checkout, '-dirty' appended if files differ; None if it has none.

    A checkout is its own if this file is tracked there, where the project has it. An environment within
    another repository has no commit: that repository's would not say which code ran.
    """
    home = Path(__file__).resolve().parents[2]
    top = _git(home, "rev-parse", "--show-toplevel")
    if top is None or Path(top).resolve() != home:
        return None
    if (
        _git(home, "ls-files", "--error-unmatch", Path(__file__).resolve().relative_to(home).as_posix())
        is None
    ):
        return None
    return _git(home, "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*")  # a tag is no identity


def _git(where: Path, *arguments: str) -> str | None:
    """What git answers in a folder, whatever repository the environment names; None if it has no answer."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        done = subprocess.run(
            ["git", "-C", str(where), *arguments],
            capture_output=True, text=True, timeout=10, check=False, env=environment,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired, UnicodeDecodeError):
        return None
    return done.stdout.strip() or None if done.returncode == 0 else None


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _processor() -> str:
    """The processor's name as the kernel gives it, else what Python knows."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()

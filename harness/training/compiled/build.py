"""From C++ to a loaded library: built once per source, compiler flags and processor, kept in the user's cache."""

import ctypes
import functools
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
FILES = ("kernels.hpp", "functions.hpp", "kernels.cpp")
COMMON = ("-O3", "-march=native", "-fPIC", "-std=c++17", "-fno-math-errno", "-fno-trapping-math", "-w")


class CannotBuild(Exception):
    """There is no compiler, or it fails; the message says which."""


def library(source: str, real: str = "float", extra: tuple[str, ...] = ()) -> ctypes.CDLL:
    """The library of this source, from the cache or built. Raises CannotBuild."""
    compiler = shutil.which(os.environ.get("CXX", "c++")) or shutil.which("g++") or shutil.which("clang++")
    if compiler is None:
        raise CannotBuild("no C++ compiler is installed (g++ or clang++)")
    flags = (*COMMON, f"-DREAL={real}", f"-DTILE={8 if _wide() else 4}", *extra)
    text = (
        "".join((HERE / name).read_text() for name in FILES) + source + " ".join(flags) + _processor(compiler)
    )
    path = cache_folder() / f"{hashlib.sha256(text.encode()).hexdigest()[:24]}.so"
    if not path.exists():
        _build(compiler, flags, source, path)
    return ctypes.CDLL(str(path))


def _build(compiler: str, flags: tuple[str, ...], source: str, path: Path) -> None:
    with tempfile.TemporaryDirectory(dir=path.parent) as scratch:
        net = Path(scratch) / "net.cpp"
        net.write_text(source)
        kernels, made = Path(scratch) / "kernels.o", Path(scratch) / "made.so"
        include = ("-I", str(HERE))
        for command in (
            [
                compiler,
                *flags,
                "-ffp-contract=fast",
                *include,
                "-c",
                str(HERE / "kernels.cpp"),
                "-o",
                str(kernels),
            ],
            [
                compiler,
                *flags,
                "-ffp-contract=off",
                *include,
                "-shared",
                str(net),
                str(kernels),
                "-o",
                str(made),
            ],
        ):
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                raise CannotBuild(f"{compiler} failed: {done.stderr.strip()[:300]}")
        made.replace(path)


def cache_folder() -> Path:
    """Where libraries are kept: $XDG_CACHE_HOME/stability-harness, or a scratch folder if that cannot be made."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "stability-harness"
    try:
        base.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError:
        base = Path(tempfile.gettempdir()) / f"stability-harness-{os.getuid()}"
        base.mkdir(mode=0o700, exist_ok=True)
    return base


@functools.cache
def _processor(compiler: str) -> str:
    """What -march=native depends on: the processor's features and the compiler's version."""
    version = subprocess.run([compiler, "--version"], capture_output=True, text=True, check=False).stdout
    return platform.machine() + " ".join(sorted(_features())) + version


@functools.cache
def _features() -> frozenset[str]:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return frozenset({platform.processor()})
    found = [line.partition(":")[2].split() for line in lines if line.startswith(("flags", "Features"))]
    return frozenset(found[0]) if found else frozenset()


def _wide() -> bool:
    """Whether there are 32 vector registers of 512 bits."""
    return "avx512f" in _features()

"""The console command, what it finds in the current folder, and what the wheel holds."""

import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from harness import completion
from harness.command import COMMANDS
from harness.planning.load import built_in_spaces
from harness.run import parser

pytestmark = pytest.mark.contract

ROOT = Path(__file__).parent.parent
TINY = {
    "lengths": "4", "learning_rate": "0.1", "max_steps": "5", "observe": "0", "seeds": "1",
    "models": "mycells:Cell", "optimizers": "sgd",
}  # fmt: skip
RUN = ["--space=smoke", "--executor=serial", *(f"--set={name}={value}" for name, value in TINY.items())]
STABILITY = ["-P", "-c", "import sys; from harness.command import main; sys.exit(main())"]


@pytest.fixture
def beside(tmp_path) -> Path:
    """A folder with a cell of the user's, and with files that have the names of our packages."""
    (tmp_path / "mycells.py").write_text("from harness.models.rnn import RNN\nclass Cell(RNN):\n    pass\n")
    (tmp_path / "analysis.py").write_text("raise RuntimeError('the wrong analysis')\n")
    (tmp_path / "search_spaces.py").write_text("raise RuntimeError('the wrong spaces')\n")
    return tmp_path


def called(where: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=where, env=environment, capture_output=True, text=True, check=False)


def test_files_of_the_user_hide_nothing_from_the_console_command(beside):
    (beside / "harness.py").write_text("raise RuntimeError('the wrong harness')\n")
    done = called(beside, *STABILITY, "run", *RUN)
    assert done.returncode == 0, done.stderr
    assert list((beside / "results").glob("smoke*/report.html"))


def test_python_m_finds_our_analysis_first(beside):
    done = called(beside, "-m", "harness.run", *RUN)
    assert done.returncode == 0, done.stderr
    assert list((beside / "results").glob("smoke*/report.html"))


@pytest.mark.parametrize(
    "arguments", [["--help"], ["run", "--help"], ["report", "--help"], ["completion", "fish"]]
)
def test_no_question_waits_for_torch(arguments, beside):
    program = (
        "import sys, atexit; atexit.register(lambda: print('torch' in sys.modules, file=sys.stderr))\n"
        "from harness.command import main; sys.exit(main())"
    )
    done = called(beside, "-P", "-c", program, *arguments)
    assert (done.returncode, done.stderr) == (0, "False\n")


def test_an_unknown_command_is_refused_by_name(beside):
    done = called(beside, *STABILITY, "runn")
    assert (done.returncode, "no command named 'runn'; known: run, report" in done.stderr) == (2, True)


def test_every_command_and_option_is_completed():
    assert completion.OPTIONS.keys() == COMMANDS.keys()
    options = {option for action in parser()._actions for option in action.option_strings}
    assert set(completion.OPTIONS["run"].split()) == options - {"-h", "--help"}
    program = completion.script("bash") + (
        "\nCOMP_WORDS=(stability run --space smo); COMP_CWORD=3; _stability; echo ${COMPREPLY[*]}"
        "\nCOMP_WORDS=(stability rep); COMP_CWORD=1; _stability; echo ${COMPREPLY[*]}"
    )
    done = subprocess.run(
        ["bash", "-c", program], cwd=ROOT / "docs", capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["smoke", "report"]
    assert "smoke" in built_in_spaces()


@pytest.mark.slow
def test_the_wheel_holds_what_the_docs_name_and_works_elsewhere(tmp_path):
    pip = [sys.executable, "-m", "pip", "-q", "--disable-pip-version-check"]
    source = tmp_path / "source"
    subprocess.run(["git", "clone", "-q", str(ROOT), str(source)], check=True)
    build = [*pip, "wheel", str(source), "--no-deps", "--no-build-isolation", "-w", str(tmp_path)]
    subprocess.run(build, check=True)
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {
        "harness/py.typed", "analysis/py.typed", "analysis/report.html", "search_spaces/smoke.py",
        "examples/third_party.py", "examples/stability.ipynb", "harness/command.py",
    } <= names  # fmt: skip
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "env")], check=True)
    (place,) = (tmp_path / "env" / "lib").glob("*/site-packages")
    with zipfile.ZipFile(wheel) as archive:  # pip would uninstall the one that is tested
        archive.extractall(place)
    (place / "theirs.pth").write_text(sysconfig.get_path("purelib") + "\n")
    (tmp_path / "elsewhere").mkdir()
    program = (
        "import sys; from importlib.metadata import entry_points; import harness; print(harness.__file__)\n"
        "(script,) = entry_points(group='console_scripts', name='stability'); sys.exit(script.load()())"
    )
    command = [str(tmp_path / "env" / "bin" / "python"), "-P", "-c", program, "run", "--list"]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        command, cwd=tmp_path / "elsewhere", env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(str(place))
    assert "clipping_study" in done.stdout

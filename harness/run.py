"""The command line: python -m harness.run --space NAME. It parses, calls, and says how it went.

What it calls is imported when it is needed, so that --help does not wait for torch.
"""

import argparse
import faulthandler
import gc
import io
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from harness.arguments import Parser
from harness.errors import ExecutorError, FailedTrials, RecordsError, UserError, whole
from harness.own import use_our_analysis
from harness.pipes import with_streams
from harness.reading import real_number, whole_number

if TYPE_CHECKING:
    from rich.console import Console

    from harness.driver.terminal import Terminal
    from harness.planning.space import Space

OK, FAILED_TRIALS, REFUSED, INTERRUPTED = 0, 1, 2, 130
"""Exit codes."""

HOW = (
    "executor", "workers", "address", "device", "engine", "yes", "take_over", "save_every", "hang_after",
    "wait_for_nodes",
)  # fmt: skip
"""The arguments that say how a space is trained."""

OBJECTS_BETWEEN_COLLECTIONS = 50_000
"""What is imported makes a million objects that stay; Python would look for garbage in them 1,500 times."""

MINUTES = {
    "--save-every": (5.0, "keep the state of packs that train, so that a fault costs no more"),
    "--hang-after": (
        10.0,
        "end a pack without finished updates for so long, and for 50 times its usual time",
    ),
    "--wait-for-nodes": (0.0, "give a cluster so long to start a node that can train a pack"),
}
"""Arguments that are minutes: their default, and what they do."""


@with_streams
def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    argv = sys.argv[1:] if argv is None else argv
    arguments = parser().parse_args(argv)
    use_our_analysis()
    gc.set_threshold(OBJECTS_BETWEEN_COLLECTIONS)
    from harness.driver.terminal import Terminal, consoles

    out, err = consoles()
    terminal = Terminal(out, err, tracebacks=arguments.traceback, table=arguments.table)
    with suppress(io.UnsupportedOperation, AttributeError):  # standard error may be no file
        faulthandler.enable()  # a crash in C says where it was
    try:
        follow(arguments, argv, terminal, out, err)
    except (UserError, RecordsError) as error:
        err.print(whole(error) if arguments.traceback else f"error: {error}")
        return REFUSED
    except ExecutorError as error:
        err.print(f"error: {error}. {terminal.stands()[:-1]}; the same command does the rest.")
        return FAILED_TRIALS
    except KeyboardInterrupt:
        err.print(terminal.interrupted())
        return INTERRUPTED
    except FailedTrials:  # the terminal has named them
        return FAILED_TRIALS
    except OSError as error:
        from harness.driver.faults import said_of_fault

        err.print(f"error: {said_of_fault(error, terminal.stands())}")
        return FAILED_TRIALS if terminal.started_training else REFUSED
    return OK


def follow(
    arguments: argparse.Namespace, argv: Sequence[str], terminal: "Terminal", out: "Console", err: "Console"
) -> None:
    """Do what the arguments say: list, plan or run."""
    if arguments.list:
        from harness.driver.listing import print_listing

        print_listing(arguments.format, out)
        return
    space = chosen_space(arguments)
    how = {name: getattr(arguments, name) for name in HOW}
    if arguments.dry_run:
        from harness.driver.dry_run import print_dry_run

        print_dry_run(space, arguments.results, how, arguments.format, out, err)
    else:
        from harness.driver.driver import run_space

        run_space(space, arguments.results, **how, listeners=[terminal], argv=argv)


def chosen_space(arguments: argparse.Namespace) -> "Space":
    """The space at its scale, with the fields that --set replaces."""
    from harness.planning.fields import parse_settings
    from harness.planning.load import load_space

    space = load_space(arguments.space).at_scale(arguments.scale)
    return space.override(parse_settings(arguments.set))


def parser() -> argparse.ArgumentParser:
    """The command line's arguments."""
    parser = Parser(
        prog="python -m harness.run",
        description="Train every condition of a space and record how stably it trained. The same command "
        "run again does only what is missing.",
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--space", help="built-in name, or path to a Python file that binds SPACE")
    what.add_argument("--list", action="store_true", help="list everything that a space can name")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="FIELD=VALUE[,VALUE...]",
        help="replace a field of the space, such as lengths=5,10 or max_norms=0.5,inf; may be repeated",
    )
    parser.add_argument(
        "--results", default="results", metavar="DIR", help="folder or URI, s3://bucket/x (default: results)"
    )
    parser.add_argument(
        "--take-over",
        action="store_true",
        help="take the results folder over from a run that is dead and left its lock, .running",
    )
    parser.add_argument("--scale", choices=("laptop", "paper"), default="laptop")
    parser.add_argument(
        "--executor",
        choices=("auto", "ray", "serial"),
        default="auto",
        help="default: ray, but serial (in this process) for a run that is over before Ray has started",
    )
    parser.add_argument("--address", help="join a running Ray cluster: auto or host:port")
    parser.add_argument(
        "--workers", type=whole_number, help="packs trained at a time (default: one per core)"
    )
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument(
        "--engine",
        choices=("auto", "eager", "compiled", "captured"),
        default="auto",
        help="compiled C++ where this machine has a compiler, or torch (eager); captured: CUDA graphs",
    )
    for name, (minutes, does) in MINUTES.items():
        parser.add_argument(
            name, type=real_number, default=minutes, metavar="MINUTES", help=f"{does} (default: {minutes:g})"
        )
    parser.add_argument("--dry-run", action="store_true", help="say what would be done, and start nothing")
    parser.add_argument(
        "--yes", action="store_true", help="start also what is beyond this machine's memory or a core-year"
    )
    parser.add_argument("--table", action="store_true", help="print a row per condition at the end")
    parser.add_argument("--format", choices=("text", "json"), default="text", help="for --list and --dry-run")
    parser.add_argument(
        "--traceback", action="store_true", help="say where errors arose: print their whole tracebacks"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())

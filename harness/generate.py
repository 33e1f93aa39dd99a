"""Let a trained model write: python -m harness.generate --trial ID --results DIR --prompt TEXT."""

import argparse
import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from harness.arguments import Parser
from harness.capabilities import has_steps
from harness.condition import Checkpoint
from harness.decoding import MODES, continuations
from harness.driver.terminal import LastingConsole
from harness.errors import RecordsError, UserError
from harness.pipes import with_streams
from harness.reading import real_number, whole_number
from harness.results import reader
from harness.results.folder import Folder
from harness.training.weights import rebuild

OK, REFUSED = 0, 2
"""Exit codes."""

SHOWN_TRIALS = 5
"""Trials that an error names."""

MOST_CHARACTERS = 10_000_000
"""Characters of all texts together: 8 bytes each while they are written."""

LONGEST_PROMPT = 100_000
"""Characters of a prompt."""

err = LastingConsole(stderr=True, markup=False, emoji=False, highlight=False, soft_wrap=True)


@with_streams
def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    arguments = parser().parse_args(argv)
    torch.set_num_threads(1)
    try:
        check_amount(arguments)
    except UserError as error:
        err.print(f"error: {error}")
        return REFUSED
    try:
        checkpoint = find_checkpoint(arguments.results, arguments.trial)
        about = checkpoint.metadata
        if "vocabulary" not in about:
            raise UserError(
                f"trial {about['trial_id']} is of task {about['task']}, which has no text to write"
            )
        model = rebuild(checkpoint, arguments.model)
        if not has_steps(model):
            raise UserError(
                f"model {about['model']} cannot write: it has no initial_state, step and readout "
                f"(see docs/extending.md)"
            )
        if arguments.mode == "beam" and arguments.n > arguments.beams:
            raise UserError(
                f"--n {arguments.n} is more than the texts of the search, --beams {arguments.beams}"
            )
        texts = continuations(
            model,
            about["vocabulary"],
            arguments.prompt,
            arguments.length,
            mode=arguments.mode,
            temperature=arguments.temperature,
            count=arguments.n,
            beams=arguments.beams,
            generator=torch.Generator().manual_seed(arguments.seed),
        )
    except (UserError, RecordsError, OSError) as error:
        err.print(f"error: {error}")
        return REFUSED
    err.print(described(about))
    for number, text in enumerate(texts, start=1):
        heading = f"--- {number} of {len(texts)}\n" if len(texts) > 1 else ""
        sys.stdout.write(f"{heading}{arguments.prompt}{text}\n")  # as it is: with tabs and form feeds
    return OK


def check_amount(arguments: argparse.Namespace) -> None:
    """Raise UserError for more characters than fit in memory, naming the arguments."""
    name = "--beams" if arguments.mode == "beam" else "--n"
    count = arguments.beams if arguments.mode == "beam" else arguments.n
    if arguments.length * count > MOST_CHARACTERS:
        raise UserError(
            f"--length {arguments.length} times {name} {count} is {arguments.length * count:,} characters; "
            f"at most {MOST_CHARACTERS:,}"
        )
    if len(arguments.prompt) > LONGEST_PROMPT:
        raise UserError(f"--prompt has {len(arguments.prompt):,} characters; at most {LONGEST_PROMPT:,}")


def parser() -> argparse.ArgumentParser:
    """The command line's arguments."""
    parser = Parser(
        prog="python -m harness.generate",
        description="Continue a prompt with the model of a recorded trial whose weights were kept "
        "(--set checkpoints=true). The texts go to standard output, what the model is to standard error.",
    )
    parser.add_argument("--trial", required=True, metavar="ID", help="trial_id, or how only one begins")
    parser.add_argument(
        "--results", default="results", metavar="DIR",
        help="results folder, or a space's folder in it; or s3://bucket/... (default: results)",
    )  # fmt: skip
    parser.add_argument(
        "--model", metavar="PATH",
        help="package.module:Class of a model of your own; weights never say themselves what to import",
    )  # fmt: skip
    parser.add_argument("--prompt", required=True, metavar="TEXT", help="what to go on from")
    parser.add_argument("--length", type=whole(1), default=200, help="characters to write (default: 200)")
    parser.add_argument("--mode", choices=MODES, default="sample", help="default: sample")
    parser.add_argument(
        "--temperature", type=temperature, default=1.0,
        help="of --mode sample: divides the logits, so below 1 is more careful; 0 is greedy (default: 1)",
    )  # fmt: skip
    parser.add_argument("--seed", type=whole(0, 2**63 - 1), default=0, help="of --mode sample (default: 0)")
    parser.add_argument("--n", type=whole(1), default=1, help="texts; greedy has but one (default: 1)")
    parser.add_argument("--beams", type=whole(1), default=10, help="texts kept by --mode beam (default: 10)")
    return parser


def whole(least: int, most: float = math.inf) -> Any:
    """A parser of whole numbers from `least` to `most`."""

    def number(text: str) -> int:
        found = whole_number(text)
        if not least <= found <= most:
            bound = f"less than {least}" if found < least else f"more than {most}"
            raise argparse.ArgumentTypeError(f"{text} is {bound}")
        return found

    return number


def temperature(text: str) -> float:
    """A finite number of at least 0."""
    number = real_number(text)
    if not 0 <= number < math.inf:
        raise argparse.ArgumentTypeError(f"{text} is not a finite number >= 0")
    return number


def find_checkpoint(results: Folder | Path | str, trial: str) -> Checkpoint:
    """The checkpoint of the one trial whose id begins with `trial`, in a results folder or a space's.

    Raises UserError, naming some trials that have one, if there is none or several.
    """
    here = Folder.of(results)
    found: dict[str, Folder] = {}
    for folder in [here, *(here.folder(name) for name in here.folders())]:
        found = dict.fromkeys(reader.checkpoints(folder), folder) | found
    if not found:
        raise UserError(
            f"no weights are kept in {results}; expected the results of a run with --set checkpoints=true"
        )
    matching = [name for name in found if name.startswith(trial)]
    if len(matching) == 1:
        return reader.read_checkpoint(found[matching[0]], matching[0])
    fault = "no trial with weights is" if not matching else f"{len(matching)} trials are"
    shown = matching or list(found)
    more = ", ..." if len(shown) > SHOWN_TRIALS else ""
    raise UserError(f"{fault} named {trial!r} in {results}; known: {', '.join(shown[:SHOWN_TRIALS])}{more}")


def described(about: Mapping[str, Any]) -> str:
    """What the model is and how well it predicts, in a line."""
    loss, accuracy = about["heldout_loss"], about["heldout_accuracy"]
    bits = loss / math.log(2)
    known = "" if accuracy is None else f", accuracy {accuracy:.3f}"
    entropies = [
        f"{what} {about[name]:.4f} nats"
        for name, what in (
            ("unigram_entropy", "Unigram entropy of the text"),
            ("bigram_entropy", "conditional bigram entropy"),
        )
        if name in about
    ]
    return (
        f"{about['trial_id']}: {about['model']}, {about['hidden_size']} units, T={about['length']}, after "
        f"{about['step']} steps: {about['heldout_split']} loss {loss:.4f} nats ({bits:.3f} bits "
        f"per character){known}. {', '.join(entropies)}"
    )


if __name__ == "__main__":
    sys.exit(main())

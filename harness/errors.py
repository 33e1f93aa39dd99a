"""The errors of a run."""

from pathlib import Path


class UserError(ValueError):
    """Something the user can mend: one line that says what; nothing was started."""


class RecordsError(RuntimeError):
    """The folder cannot be used as asked; the message says why and what to do."""


class FailedTrials(RuntimeError):
    """A run ended, and some of its trials failed; everything else is recorded.

    `folder` holds the results, `folder/failures` the errors, `count` is the number of failed trials. The
    message names the first error. The same call tries these trials again.
    """

    def __init__(self, folder: Path, count: int, first: str) -> None:
        super().__init__(f"{count} trials failed, the first {first}; all errors: {folder}/failures")
        self.folder = folder
        self.count = count

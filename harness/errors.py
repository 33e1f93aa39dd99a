"""The errors that a user can mend; each is one line."""


class UserError(ValueError):
    """Something the user can mend: shown as one line, exit status 2, nothing started."""


class RecordsError(RuntimeError):
    """The folder cannot be used as asked; the message says why and what to do."""

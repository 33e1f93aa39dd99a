"""What a fault of the disk means for a run: where it was, what is recorded, and what to do."""

import errno

from harness.errors import one_line

SPACE = "free some space"
PERMISSION = "allow writing there"
IN_THE_WAY = "move away what is there"

REMEDIES = {
    errno.ENOSPC: SPACE,
    errno.EDQUOT: SPACE,
    errno.EACCES: PERMISSION,
    errno.EPERM: PERMISSION,
    errno.EROFS: PERMISSION,
    errno.ENOTDIR: IN_THE_WAY,
    errno.EISDIR: IN_THE_WAY,
    errno.EEXIST: IN_THE_WAY,
    errno.ENOTEMPTY: IN_THE_WAY,
    errno.ENAMETOOLONG: "use a shorter --results",
    errno.ELOOP: "mend the link",
    errno.EIO: "see to the disk",
    errno.EHOSTUNREACH: "see to the storage or the network",
    errno.ENOENT: "leave the folder in place while a run goes on",
}
"""By error number, what lets the same command go on."""


def said_of_fault(error: OSError, state: str) -> str:
    """One line on a fault: what and where, `state` (how much is recorded), and how to go on."""
    what = error.strerror or one_line(error)
    where = f": {shortened(str(error.filename))}" if error.filename is not None else ""
    if error.errno == errno.ENOENT:  # what was counted may be gone
        state = "What is still there counts."
    remedy = REMEDIES.get(error.errno or 0, "mend this")
    return f"{what}{where}. {state} To go on, {remedy}, and give the same command again."


def shortened(path: str) -> str:
    """A path without its middle, if it is very long."""
    return path if len(path) <= 300 else f"{path[:100]}...{path[-100:]}"

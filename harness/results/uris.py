"""What a URI of a results folder says, such as s3://bucket/results, and what it must not say: credentials."""

import re
from urllib.parse import unquote

from harness.errors import RecordsError

URI = re.compile(r"[a-z][a-z0-9+.-]+:/", re.IGNORECASE)
"""How a URI begins. One slash is enough: pathlib makes s3:/bucket of s3://bucket."""

HIDDEN = "***"
"""What stands in the place of a credential."""

PASSWORD = re.compile(r":/{1,3}[^/@\s]*:[^/@\s]*@")
"""A user and a password in a URI, between the scheme and the host."""

USER = re.compile(r"(:/{1,3})[^/@\s]+@")
"""A user, with or without a password: some are tokens."""

NAMED = re.compile(
    r"(?i)([\w-]*(?:access_?key|api_?key|secret|token|passw|credential|signature)[\w-]*"
    r"(?:\s*[=:]\s*|%3D))(?:\"[^\"]*\"|'[^']*'|[^\s&,;'\"/][^\s&,;'\"]*)"
)
"""A value under a name that says it is a credential: secret_key=..., --token=..., X-Amz-Signature=..."""


def is_uri(where: str) -> bool:
    """Whether it is read as a URI, not as a path."""
    return URI.match(where) is not None


def is_file_uri(where: str) -> bool:
    """Whether it is a URI of a folder on this machine."""
    return where[:6].lower() == "file:/"


def protocol(where: str) -> str:
    """The protocol of a URI as fsspec names it: `s3` of s3://bucket, `memory` of fsspec+memory://x."""
    return where.partition(":")[0].lower().removeprefix("fsspec+")


def below(where: str) -> str:
    """What a URI names on its storage, without a slash at its end: `bucket/x` of s3://bucket/x/."""
    return where.partition(":")[2].removeprefix("/").removeprefix("/").rstrip("/")


def proper(where: str) -> str:
    """A URI with both its slashes and none at its end; a file:// URI as the path that it names.

    Raises RecordsError for a file on another host.
    """
    if not is_uri(where):
        return where
    if not is_file_uri(where):
        return f"{where.partition(':')[0]}://{below(where)}"
    path = where[len("file:") :].removeprefix("//localhost")
    if path.startswith("//") and not path.startswith("///"):
        raise RecordsError(f"{where} is on another host; expected file:///path")
    return unquote(f"/{path.lstrip('/')}")


def joined(where: str, name: str) -> str:
    """A folder below another one, at a path or a URI."""
    return f"{proper(where).rstrip('/')}/{name}"


def without_credentials(text: str) -> str:
    """A text with *** in the place of users in URIs, and of values whose name says that they are secret."""
    return NAMED.sub(rf"\1{HIDDEN}", USER.sub(rf"\1{HIDDEN}@", text))


def check_no_credentials(where: str) -> None:
    """Raise RecordsError for a URI with a password or options: it would be recorded, printed and logged."""
    if "?" not in where and not PASSWORD.search(where):
        return
    shown = without_credentials(where).partition("?")[0]
    raise RecordsError(
        f"{shown}: a URI with credentials or options is refused, because it is recorded with the results; "
        f"give them in the environment, as AWS_ACCESS_KEY_ID and AWS_ENDPOINT_URL, or configure fsspec"
    )

"""Files that can tell whether they are as they were written: each carries the SHA-256 of all its other bytes.

    footer of steps/0123456789abcdef.parquet
        file: steps/0123456789abcdef.parquet
        seal: sha256 of all other bytes: 5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef

A Parquet file carries it in its footer, a checkpoint in its header, so both stay plain files for every other
reader. Parquet's own page checksums are written too, for readers that check them; they leave out the footer
and the page headers.
"""

import hashlib
import io
import json
from collections.abc import Mapping

import pyarrow as pa
import pyarrow.parquet as pq

from harness.errors import one_line
from harness.results.schema import COLUMNS

WORDS = b"sha256 of all other bytes: "
DIGITS = 64
BLANK = (WORDS + b"0" * DIGITS).decode()
"""What a file says in place of its seal before it is sealed."""

FILE_KEY = "file"
"""Key of a table's own name, relative to its folder. So a copy under another name is known as one."""

SEAL_KEY = "seal"
"""Key of the digest, in footers and headers."""


class Broken(ValueError):
    """A file is not as it was written; the message says why, and goes on from the file's name."""


def sealed(content: bytes) -> bytes:
    """A file that says BLANK, with its digest in that place."""
    start = content.rindex(BLANK.encode()) + len(WORDS)
    digest = hashlib.sha256(content).hexdigest().encode()
    return content[:start] + digest + content[start + DIGITS :]


def check_seal(content: bytes) -> bool:
    """Whether there is a seal; a file that was written before there were seals has none.

    Raises Broken if it is not the digest of the other bytes.
    """
    start = content.rfind(WORDS) + len(WORDS)
    if start < len(WORDS):
        return False
    digest = hashlib.sha256(memoryview(content)[:start])
    digest.update(b"0" * DIGITS)
    digest.update(memoryview(content)[start + DIGITS :])
    if digest.hexdigest().encode() != content[start : start + DIGITS]:
        raise Broken("is damaged: its bytes are not those that were written")
    return True


def sealed_table(table: pa.Table, name: str, more: Mapping[str, str]) -> bytes:
    """A Parquet file that is to be called `name`; `more` joins its footer."""
    content = io.BytesIO()
    with pq.ParquetWriter(content, table.schema, compression="zstd", write_page_checksum=True) as writer:
        writer.write_table(table)
        writer.add_key_value_metadata({SEAL_KEY: BLANK, FILE_KEY: name, **more})
    return sealed(content.getvalue())


def opened_table(content: bytes, name: str) -> pq.ParquetFile:
    """The Parquet file called `name`, once it is known to be the one that was written.

    Raises Broken if it is damaged, a copy of another, or no table of this harness.
    """
    has_seal = check_seal(content)
    try:
        file = pq.ParquetFile(pa.BufferReader(content))
        footer = file.metadata.metadata or {}
        columns = set(file.schema_arrow.names)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise Broken(f"is no Parquet file ({one_line(error)})") from None
    own = footer.get(FILE_KEY.encode(), b"").decode(errors="replace")
    if has_seal and own != name:
        raise Broken(f"is a copy of {own}")
    if not has_seal and (own or SEAL_KEY.encode() in footer):
        raise Broken("is damaged: it has lost its seal")
    table = name.partition("/")[0]
    if b"schema_version" not in footer or not columns.issuperset(COLUMNS.get(table, ["condition_id"])):
        raise Broken(f"is no file of {table} that this harness wrote")
    return file


def decoded(file: pq.ParquetFile, columns: list[str] | None) -> pa.Table:
    """The table in an opened file, or these columns of it.

    Raises Broken if it cannot be read, which only a file without a seal comes to.
    """
    try:
        table = file.read(columns=columns, use_threads=False)
        if SEAL_KEY.encode() not in (file.metadata.metadata or {}):
            table.validate(full=True)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise Broken(f"is damaged ({one_line(error)})") from None
    return table


def header_in(content: bytes) -> dict[str, str]:
    """The metadata of a safetensors file: its first 8 bytes say how long the JSON is that follows."""
    size = int.from_bytes(content[:8], "little")
    header: dict[str, str] = json.loads(content[8 : 8 + size])["__metadata__"]
    return header

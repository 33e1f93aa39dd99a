"""Damages to one file of a results folder, and which file they hurt."""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from harness.results.schema import TABLES

OTHERS = ("conditions.parquet", "space.json", "checkpoints")
"""Beside the tables."""

PLACES = (*TABLES, *OTHERS)
"""What of a folder may be damaged: a table or another folder of files, or a file."""

WAYS = (
    "flip",
    "byte",
    "cut",
    "empty",
    "junk",
    "other",
    "shape",
    "folder",
    "link",
    "gone",
    "doubled",
    "extra",
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@dataclass(frozen=True)
class Damage:
    """One file of a folder, and what happens to it. `at` and `number` are shares from 0 to 1 of a size."""

    place: str
    way: str
    which: int = 0
    at: float = 0.5
    number: float = 0.5
    junk: bytes = b"junk"
    shape: Any = None

    def file_in(self, folder: Path) -> Path:
        """The file that is hurt."""
        if self.place in ("conditions.parquet", "space.json"):
            return folder / self.place
        files = sorted((folder / self.place).iterdir())
        return files[self.which % len(files)]


SHARES = st.sampled_from(range(1 << 16)).map(lambda number: number / (1 << 16))
"""From 0 to below 1, all alike: floats() likes 0 and 1 best."""


@st.composite
def damages(draw: st.DrawFn, ways: tuple[str, ...] = WAYS) -> Damage:
    """Any damage in one of these ways."""
    way = draw(st.sampled_from(ways))
    return Damage(
        place=draw(st.sampled_from(PLACES)),
        way=way,
        which=draw(st.sampled_from(range(6))),
        at=draw(SHARES),
        number=draw(SHARES),
        junk=draw(st.binary(min_size=1, max_size=40)) if way in ("junk", "other", "extra") else b"junk",
        shape=draw(JSON) if way == "shape" else None,
    )


def hurt(folder: Path, damage: Damage) -> Path:
    """Damage the folder; return the file that a message must name."""
    file = damage.file_in(folder)
    return HOW[damage.way](folder, file, damage) or file


def flip(_folder: Path, file: Path, damage: Damage) -> None:
    content = bytearray(file.read_bytes())
    content[int(damage.at * len(content))] ^= 1 << int(8 * damage.number)
    file.write_bytes(content)


def byte(_folder: Path, file: Path, damage: Damage) -> None:
    content = bytearray(file.read_bytes())
    at = int(damage.at * len(content))
    content[at] = (content[at] + 1 + int(255 * damage.number)) % 256
    file.write_bytes(content)


def cut(_folder: Path, file: Path, damage: Damage) -> None:
    content = file.read_bytes()
    file.write_bytes(content[: int(damage.at * len(content))])


def empty(_folder: Path, file: Path, _damage: Damage) -> None:
    file.write_bytes(b"")


def junk(_folder: Path, file: Path, damage: Damage) -> None:
    file.write_bytes(damage.junk)


def other(folder: Path, file: Path, damage: Damage) -> None:
    """The content of another file of the same kind, from this table or another."""
    files = sorted(p for p in folder.rglob(f"*{file.suffix}") if p.read_bytes() != file.read_bytes())
    if not files:
        return junk(folder, file, damage)
    shutil.copy(files[int(damage.at * len(files))], file)
    return None


def shape(_folder: Path, file: Path, damage: Damage) -> None:
    """JSON of another shape: in space.json a field that is lost or another; in a checkpoint its header."""
    content = file.read_bytes()
    if file.suffix == ".safetensors":
        size = int.from_bytes(content[:8], "little")
        header = json.loads(content[8 : 8 + size])
        about = reshaped(json.loads(header["__metadata__"]["checkpoint"]), damage)
        header["__metadata__"]["checkpoint"] = json.dumps(about)
        text = json.dumps(header).encode()
        text += b" " * (-len(text) % 8)
        file.write_bytes(len(text).to_bytes(8, "little") + text + content[8 + size :])
    elif file.suffix == ".json":
        file.write_text(json.dumps(reshaped(json.loads(content), damage)))
    else:
        file.write_text(json.dumps(damage.shape))


def reshaped(fields: dict[str, Any], damage: Damage) -> Any:
    """The fields with one of them gone, renamed or of another value; or all of them."""
    name = sorted(fields)[int(damage.at * len(fields))]
    less = {key: value for key, value in fields.items() if key != name}
    return [less, less | {name: damage.shape}, less | {name + "x": fields[name]}, damage.shape][
        int(4 * damage.number)
    ]


def folder_instead(_folder: Path, file: Path, _damage: Damage) -> None:
    file.unlink()
    file.mkdir()


def link(_folder: Path, file: Path, damage: Damage) -> None:
    """A link to itself, to nothing, or to where the file has gone."""
    outside = file.parents[2] / f"moved-{file.name}"
    target = [file.name, "nothing/there", str(outside)][int(3 * damage.number)]
    shutil.copy(file, outside)
    file.unlink()
    file.symlink_to(target)


def gone(_folder: Path, file: Path, _damage: Damage) -> None:
    file.unlink()


def doubled(_folder: Path, file: Path, damage: Damage) -> Path:
    """The same under another name, as a synchroniser or a person leaves it."""
    name = ["{} (1){}", "{} copy{}", "{}.sync-conflict-20260101{}", "copy-of-{}{}"][int(4 * damage.number)]
    return Path(shutil.copy(file, file.with_name(name.format(file.stem, file.suffix))))


def extra(folder: Path, file: Path, damage: Damage) -> Path:
    """A file of somebody else beside it."""
    more = file.with_name(f"{['notes', 'ffffffffffffffff'][int(2 * damage.number)]}{file.suffix}")
    shutil.copy(file, more)
    if damage.which % 2:
        other(folder, more, damage)
    else:
        more.write_bytes(damage.junk)
    return more


HOW: dict[str, Callable[[Path, Path, Damage], Path | None]] = {
    "flip": flip,
    "byte": byte,
    "cut": cut,
    "empty": empty,
    "junk": junk,
    "other": other,
    "shape": shape,
    "folder": folder_instead,
    "link": link,
    "gone": gone,
    "doubled": doubled,
    "extra": extra,
}

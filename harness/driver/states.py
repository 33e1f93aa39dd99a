"""The states of packs that train: below the results, so that whoever trains a pack next goes on from there.

    results/smoke/progress/0123456789abcdef-fedcba9876543210.safetensors

The name says which pack it is of, and by which definition and versions it was made.
A state is insurance, not a result. One that is damaged, or of another definition or version, is ignored.
"""

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.numpy import load, save

from harness import __version__
from harness.condition import Checkpoint, Pack
from harness.results.folder import Folder
from harness.results.seal import BLANK, SEAL_KEY, Broken, check_seal, header_in, sealed

PROGRESS = "progress"
"""The folder of the states."""

STATE_KEY, MADE_BY_KEY = "state", "made_by"
"""Keys in the header of a state's file: its JSON, and what must be the same for it to count."""

ENDING = ".safetensors"


class States:
    """The states that a results folder keeps, one for each pack that trains."""

    def __init__(self, folder: Folder, definition: Mapping[str, Any]) -> None:
        self._folder = folder
        made_by = [definition, __version__, torch.__version__]
        self._made_by = hashlib.sha256(json.dumps(made_by, sort_keys=True).encode()).hexdigest()

    def keep(self, pack: Pack, state: Checkpoint) -> None:
        """Keep a state in place of the pack's earlier one; without a word where it cannot be written."""
        header = {STATE_KEY: json.dumps(state.metadata), MADE_BY_KEY: self._made_by, SEAL_KEY: BLANK}
        content = sealed(save(dict(state.tensors), header))
        with suppress(OSError):  # then the pack trains on without, and its results tell what is wrong
            self._folder.write_whole(self._name(pack.pack_id), lambda file: file.write(content))

    def of(self, pack: Pack) -> Checkpoint | None:
        """The state that is kept of a pack; None if there is none that counts."""
        with suppress(OSError, Broken):
            content = self._folder.content(self._name(pack.pack_id))
            return None if content is None else self._opened(content)
        return None

    def _opened(self, content: bytes) -> Checkpoint | None:
        """The state in a file's content; None if it is none of this definition. Raises Broken."""
        if not check_seal(content):
            return None
        try:
            header = header_in(content)
            if header[MADE_BY_KEY] != self._made_by:
                return None
            return Checkpoint(load(content), json.loads(header[STATE_KEY]))
        except (SafetensorError, LookupError, TypeError, ValueError):
            return None

    def forget(self, pack: Pack) -> None:
        """Something has come of a pack: its state is done with."""
        with suppress(OSError):
            self._folder.remove(self._name(pack.pack_id))

    def clear(self, whole: bool = False) -> None:
        """Remove the states that do not count here, or all of them: a run that has finished needs none."""
        with suppress(OSError):
            for name in self._folder.files(PROGRESS, ENDING):
                if whole or not name.endswith(self._ending):
                    self._folder.remove(name)

    @property
    def _ending(self) -> str:
        return f"-{self._made_by[:16]}{ENDING}"

    def _name(self, pack_id: str) -> str:
        return f"{PROGRESS}/{pack_id}{self._ending}"

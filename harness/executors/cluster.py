"""What must hold before a cluster trains: Ray answers, a pack fits on a node, modules are found there."""

import os
import socket
import sys
import sysconfig
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from harness.errors import ExecutorError, UserError

HELLO = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
"""How a client of gRPC begins (RFC 9113, section 3.4): the preface and an empty SETTINGS frame."""

SETTINGS_FRAME = 4
"""The type of the first frame that a server of gRPC answers, in its fourth byte."""

PATIENCE = 10.0
"""Seconds that a cluster has to answer."""

LOOK_AGAIN = 5.0
"""Seconds between looks at the nodes of a cluster."""

SHOWN_NODES = 4
"""Nodes that an error lists."""


def check_reachable(address: str) -> None:
    """Raise OSError at once if no Ray listens at host:port: Ray itself would try for minutes."""
    host, colon, port = address.rpartition(":")
    if "://" in address:
        raise UserError(f"address={address} is not allowed; expected auto or host:port")
    if not (colon and port.isdigit()) or os.environ.get("RAY_USE_TLS", "0") not in ("0", ""):
        return
    with socket.create_connection((host.strip("[]"), int(port)), timeout=PATIENCE) as connection:
        connection.sendall(HELLO)
        answer = connection.recv(9)
    if len(answer) < 4 or answer[3] != SETTINGS_FRAME:
        raise ConnectionError("what listens there is not Ray")


def check_fits(
    per_pack: Mapping[str, float], nodes: Sequence[Mapping[str, Any]], address: str | None
) -> None:
    """Raise UserError unless some node of the cluster has what a pack holds: Ray would wait for ever."""
    held = [node["Resources"] for node in nodes if node["Alive"]]
    if any(all(node.get(name.upper(), 0) >= share for name, share in per_pack.items()) for node in held):
        return
    has = "; ".join(
        ", ".join(f"{node.get(name.upper(), 0):g} {name.upper()}" for name in per_pack)
        for node in held[:SHOWN_NODES]
    )
    where = f"the cluster at {address}" if address else "the Ray of this machine"
    remedy = (
        "; use device=cpu, or nodes with GPUs (where an autoscaler starts them: wait_for_nodes)"
        if "gpu" in per_pack
        else ""
    )
    raise UserError(
        f"no node of {where} has the {words(per_pack)} that a pack needs; they have: "
        f"{has or 'nothing'}{remedy}"
    )


def words(per_pack: Mapping[str, float]) -> str:
    """What a pack needs: 1 CPU and 0.5 GPU."""
    return " and ".join(f"{share:g} {name.upper()}" for name, share in per_pack.items())


class Capacity:
    """How many packs the nodes that are alive can train at once, if nothing else runs there; at least 1.

    `nodes` lists them. Nodes come and go, and a list may be long in coming: `keep_looking` asks for it again
    every few seconds, in a thread of its own, so that nobody else waits.
    """

    def __init__(
        self, per_pack: Mapping[str, float], nodes: Callable[[], Sequence[Mapping[str, Any]]]
    ) -> None:
        self._per_pack = per_pack
        self._nodes = nodes
        self.look()

    def __call__(self) -> int:
        """The number of packs, when it was last looked."""
        return self._found

    def look(self) -> None:
        """Ask for the nodes; of those that can train a pack, count the packs, themselves and their GPUs."""
        alive = [node["Resources"] for node in self._nodes() if node["Alive"]]
        able = {number: packs for number, held in enumerate(alive) if (packs := self._packs(held))}
        self._found = max(1, sum(able.values()))
        self.nodes = len(able)
        self.gpus = sum(int(alive[number].get("GPU", 0)) for number in able)

    def keep_looking(
        self, over: threading.Event, patience: float, late: Callable[[ExecutorError], None]
    ) -> None:
        """Look again and again until it is `over`.

        If no node can train a pack, and after so many seconds none has come, call `late`.
        """
        begun, come = time.monotonic(), self.nodes > 0
        while not over.wait(LOOK_AGAIN):
            with suppress(OSError):  # what is known stays
                self.look()
            come = come or self.nodes > 0
            if not come and time.monotonic() - begun > patience:
                wanted = words(self._per_pack)
                late(ExecutorError(f"no node with {wanted} has come in {patience / 60:.3g} min"))
                return

    def _packs(self, node: Mapping[str, float]) -> int:
        return min(int(node.get(name.upper(), 0) / share + 1e-6) for name, share in self._per_pack.items())


SearchPath = tuple[list[str], list[str]]
"""Folders in which modules are looked for before the standard library, and after it; without Python's own."""


def driver_path() -> SearchPath:
    """Where this process finds modules, as another one can use it: absolute."""
    entries = [str(Path(entry).absolute()) for entry in sys.path if isinstance(entry, str)]
    paths = sysconfig.get_paths()
    pythons = tuple(paths[name] for name in ("stdlib", "platstdlib", "purelib", "platlib"))
    cut = entries.index(pythons[0]) if pythons[0] in entries else len(entries)
    first, last = ([e for e in part if not e.startswith(pythons)] for part in (entries[:cut], entries[cut:]))
    return first, last


def with_path(own: Sequence[str], driver: SearchPath) -> list[str]:
    """A worker's search path with the entries of the driver's, so that both find the same modules."""
    first, last = driver
    return list(dict.fromkeys([*first, *own, *last]))

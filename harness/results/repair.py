"""Makes a results folder sound before a run: what an interrupted run left goes, what is damaged is set aside.

    results/smoke/steps/0123456789abcdef.parquet is damaged
    -> all files of its pack move below results/smoke/set_aside/, and the run trains the pack again

Nothing but half-written work of our own is ever removed.
"""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import PurePosixPath

from harness.results.check import faults, files_of, is_of_pack, is_of_trial, named, orphans, strangers
from harness.results.folder import SET_ASIDE, Folder
from harness.results.reader import read
from harness.results.schema import HISTORIES
from harness.results.seal import Broken, decoded


def repair(folder: Folder) -> list[str]:
    """Clear away what an interrupted run left, and set aside what is no sound part of the results.

    Comes back with a sentence for each kind of thing that was set aside. Only the process that has the folder
    to itself may call it. Every byte of every table is read.
    """
    for name in folder.leftovers():
        folder.remove(name)
    said = [*_strangers(folder), *_faulty_packs(folder)]
    done = set(read(folder, "trials", columns=["trial_id"])["trial_id"])
    said += _orphans(folder, done, interrupted=not said)
    said += _failures(folder, done)
    return said


def _strangers(folder: Folder) -> list[str]:
    return _moved(folder, strangers(folder), "no file of this table; other readers would read it")


def _faulty_packs(folder: Folder) -> list[str]:
    """Set aside all files of packs with a fault, the trials file last: until then the pack is faulty."""
    found = faults(folder)
    for pack in found:
        for name in [*filter(folder.exists, _others(folder, pack)), pack]:
            folder.set_aside(name)
    if not found:
        return []
    name, why = next(iter(found.values()))
    said = f"{folder}/{name} {why}" + (f", and {len(found) - 1} more" if len(found) > 1 else "")
    count = f"{len(found)} pack" + "s" * (len(found) > 1)
    return [f"set aside in {folder}/{SET_ASIDE}, to be trained again: {count} ({said})"]


def _others(folder: Folder, pack: str) -> list[str]:
    """The other files that a pack may have: of damaged trials, the histories alone are known."""
    names = [f"{table}/{PurePosixPath(pack).name}" for table in HISTORIES]
    with suppress(Broken):
        names += files_of(folder.opened(pack).metadata.metadata, pack).keys() - set(names)
    return names


def _orphans(folder: Folder, done: set[str], *, interrupted: bool) -> list[str]:
    """Remove the histories and weights of the one pack that an interrupted run leaves without trials.

    What else is without trials is set aside. `done` are the trials that are recorded.
    """
    histories = orphans(folder)
    weights = [name for name in folder.files("checkpoints", ".safetensors") if is_of_trial(name)]
    lost = [name for name in weights if PurePosixPath(name).stem not in done] + histories
    if interrupted and len({PurePosixPath(name).name for name in histories}) == 1:
        for name in lost:
            folder.remove(name)
        return []
    return _moved(folder, lost, "trials are missing")


def _failures(folder: Folder, done: set[str]) -> list[str]:
    """Remove failures whose trials are `done` by now; set aside damaged ones."""
    damaged = []
    for name in filter(is_of_pack, folder.sizes("failures")):
        try:
            failed = decoded(folder.opened(name), ["trial_id"])["trial_id"].to_pylist()
        except Broken:
            damaged.append(name)
            continue
        if done.issuperset(failed):
            folder.remove(name)
    return _moved(folder, damaged, "they are damaged; what failed is tried again")


def _moved(folder: Folder, names: Sequence[str], why: str) -> list[str]:
    """Set these aside; a sentence that names the first and says why, none if there are none."""
    for name in names:
        folder.set_aside(name)
    if not names:
        return []
    return [f"set aside in {folder}/{SET_ASIDE}: {named(folder, names)} ({why})"]

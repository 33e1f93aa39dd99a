"""Makes a results folder sound before a run: what an interrupted run left goes, what is damaged is set aside.

    results/smoke/steps/0123456789abcdef.parquet is damaged
    -> all files of its pack move below results/smoke/set_aside/, and the run trains the pack again

Nothing but half-written work of our own is ever removed.
"""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import PurePosixPath

from harness.results.bundles import committed, is_bundle, is_single, packs_in, stem, superseded
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
    folder.remove(*superseded(folder))
    done = set(read(folder, "trials", columns=["trial_id"])["trial_id"])
    said += _orphans(folder, done, interrupted=not said)
    said += _failures(folder, done)
    return said


def _strangers(folder: Folder) -> list[str]:
    return _moved(folder, strangers(folder), "no file of this table; other readers would read it")


def _faulty_packs(folder: Folder) -> list[str]:
    """Set aside all files of packs with a fault, the trials file last: until then the pack is faulty.

    Once a bundle has gone, packs in it that are still there without it count, and are looked at too.
    """
    sentences = []
    while found := faults(folder):
        packs = sum(len(packs_in(folder, name)) or 1 for name in found)
        for pack in found:
            for name in [*filter(folder.exists, _others(folder, pack)), pack]:
                folder.set_aside(name)
        name, why = next(iter(found.values()))
        said = f"{folder}/{name} {why}" + (f", and {len(found) - 1} more" if len(found) > 1 else "")
        count = f"{packs} pack" + "s" * (packs > 1)
        sentences.append(f"set aside in {folder}/{SET_ASIDE}, to be trained again: {count} ({said})")
    return sentences


def _others(folder: Folder, pack: str) -> list[str]:
    """The other files that a pack may have: of damaged trials, the histories alone are known.

    The weights of a bundle are those of its packs. Where a pack has gone with it, its weights are orphans.
    """
    names = [f"{table}/{PurePosixPath(pack).name}" for table in HISTORIES]
    if is_bundle(pack):
        return names
    with suppress(Broken):
        names += files_of(folder.opened(pack).metadata.metadata, pack).keys() - set(names)
    return names


def _orphans(folder: Folder, done: set[str], *, interrupted: bool) -> list[str]:
    """Remove the histories and weights of the one pack that an interrupted run leaves without trials.

    What else is without trials is set aside. `done` are the trials that are recorded.
    """
    histories = _without_copies(folder, orphans(folder))
    weights = [name for name in folder.files("checkpoints", ".safetensors") if is_of_trial(name)]
    lost = [name for name in weights if PurePosixPath(name).stem not in done] + histories
    if interrupted and len({PurePosixPath(name).name for name in histories}) == 1:
        for name in lost:
            folder.remove(name)
        return []
    return _moved(folder, lost, "trials are missing")


def _without_copies(folder: Folder, histories: Sequence[str]) -> list[str]:
    """Remove those that are of a bundle whose packs are all there without it: it was being written."""
    single = {stem(name) for name in committed(folder) if is_single(name)}
    inside = {name: packs_in(folder, name) for name in histories if is_bundle(name)}
    copies = [name for name, packs in inside.items() if packs and packs <= single]
    folder.remove(*copies)
    return [name for name in histories if name not in copies]


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

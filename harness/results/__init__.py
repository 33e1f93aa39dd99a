"""The results on disk: the only contract between the harness, which writes, and analysis, which reads.

They are Parquet tables, one file per pack and table, each written whole or not at all. Many packs are put
together in bundles, packs-<hash>.parquet.

    <folder>/space.json            the definition that this folder holds
    <folder>/conditions.parquet    one row per condition of that definition, trained or not
    <folder>/trials/<pack>.parquet one row per trial; written last: a pack counts once it is here
    <folder>/steps/<pack>.parquet  one row per stored step
    <folder>/evals/<pack>.parquet  one row per held-out evaluation
    <folder>/events/<pack>.parquet one row per drop, spike or divergence
    <folder>/moments/<pack>.parquet   one row per report trial and moment (init, solved, end)
    <folder>/profiles/<pack>.parquet  one row per report trial, moment, quantity and time step
    <folder>/samples/<pack>.parquet   one row per text sampled in training, where a space asks for it
    <folder>/checkpoints/<trial>.safetensors  final weights of a report trial, where a space asks for them
    <folder>/failures/<pack>.parquet  trials that failed and have not been trained since
    <folder>/optuna.journal        the studies, for Optuna Dashboard; an export, never read
    <folder>/report.html           the report (or report.md, report.json)
    <folder>/set_aside/            what a run found damaged, doubled or foreign, under the names that it had

`schema` has the columns, `reader` reads, `writer` writes, and `folder` alone touches the disk, or the storage
behind a URI. `seal` makes a file tell whether it is as it was written, `check` finds what is not, and
`repair` sets it aside before a run. `bundles` are what `compaction` makes of many packs.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.results.reader import read

__all__ = ["read"]


def __getattr__(name: str) -> Any:
    """`read`, imported when first used: the names of columns alone do not wait for pandas."""
    if name != "read":
        raise AttributeError(f"module 'harness.results' has no attribute {name!r}")
    from harness.results.reader import read

    return read

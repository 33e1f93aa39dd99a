"""The names, columns and types of the tables, so that writer and reader mean the same by each."""

import pyarrow as pa

from harness.condition import CONDITION_COLUMNS

SCHEMA_VERSION = 3

TABLES = ("trials", "steps", "evals", "events", "moments", "profiles", "samples", "failures")

HISTORIES = TABLES[1:-1]
"""Tables that belong to the trials: what is not committed by a trials file is not there."""

ALWAYS = ("steps", "evals", "events", "moments", "profiles")
"""Histories that every pack has, if only without rows."""

DEFINITION = "space.json"
"""The file with the definition that a folder holds."""

CONDITIONS = "conditions.parquet"
"""The file with the conditions of that definition."""

JOURNAL = "optuna.journal"
"""The file with the export for Optuna Dashboard."""

METADATA_KEY = b"provenance"
"""Key of the JSON provenance in the footer of every file."""

CHECKPOINT_KEY = "checkpoint"
"""Key of the JSON in the header of every checkpoint: what is needed to build the model again."""

TYPES: dict[type, pa.DataType] = {
    bool: pa.bool_(),
    int: pa.int64(),
    float: pa.float64(),
    str: pa.string(),
}

TRIAL_COLUMNS: dict[str, type] = {
    "trial_id": str,
    "condition_id": str,
    "pack_id": str,
    "phase": str,
    "space": str,
    **CONDITION_COLUMNS,
    "seed": int,
    "max_steps": int,
    "observe": int,
    "eval_every": int,
    "outcome": str,
    "steps": int,
    "solved_step": int,
    "diverged_step": int,
    "diverged_reason": str,
    "initial_loss": float,
    "final_loss": float,
    "final_score": float,
    "best_score": float,
    "control_score": float,
    "above_baseline": bool,
    "seconds": float,
}
"""Columns of every trials table. Options of the space's components and measures add theirs."""

STEP_SCHEMA = pa.schema(
    {
        "trial_id": pa.string(),
        "step": pa.int32(),
        "loss": pa.float32(),
        "score": pa.float32(),
        "grad_norm": pa.float32(),
        "clip_coefficient": pa.float32(),
        "update_norm": pa.float32(),
        "weight_norm": pa.float32(),
        "learning_rate": pa.float64(),
        "seconds": pa.float32(),
    }
)

EVAL_SCHEMA = pa.schema(
    {"trial_id": pa.string(), "step": pa.int32(), "loss": pa.float64(), "score": pa.float64()}
)

EVENT_SCHEMA = pa.schema(
    {
        "trial_id": pa.string(),
        "kind": pa.string(),
        "start_step": pa.int32(),
        "depth": pa.float64(),
        "extreme": pa.float64(),
        "end_step": pa.int32(),
        "recovered": pa.bool_(),
        "censored": pa.bool_(),
    }
)

MOMENT_SCHEMA = pa.schema({"trial_id": pa.string(), "moment": pa.string(), "step": pa.int32()})
"""Columns of every moments table; the probes of a space add theirs, all float64."""

PROFILE_SCHEMA = pa.schema(
    {
        "trial_id": pa.string(),
        "moment": pa.string(),
        "step": pa.int32(),
        "t": pa.int32(),
        "quantity": pa.string(),
        "mean_norm": pa.float64(),
        "median_norm": pa.float64(),
    }
)

SAMPLE_SCHEMA = pa.schema(
    {
        "trial_id": pa.string(),
        "step": pa.int32(),
        "prompt": pa.string(),
        "text": pa.string(),
        "mode": pa.string(),
        "temperature": pa.float64(),
    }
)

FAILURE_SCHEMA = pa.schema(
    {
        "trial_id": pa.string(),
        "condition_id": pa.string(),
        "condition": pa.string(),
        "error": pa.string(),
        "attempts": pa.int64(),
        "traceback": pa.string(),
    }
)

COLUMNS = {
    "trials": list(TRIAL_COLUMNS),
    "steps": STEP_SCHEMA.names,
    "evals": EVAL_SCHEMA.names,
    "events": EVENT_SCHEMA.names,
    "moments": MOMENT_SCHEMA.names,
    "profiles": PROFILE_SCHEMA.names,
    "samples": SAMPLE_SCHEMA.names,
    "failures": FAILURE_SCHEMA.names,
}
"""Columns that every table of the name has."""

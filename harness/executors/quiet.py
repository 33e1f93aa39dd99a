"""What keeps Ray quiet, and out of what is ours."""

import logging
import os

ENVIRONMENT = {
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # no CSV, JSON and TensorBoard files per trial
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # Ctrl-C is ours
    "TUNE_WARN_THRESHOLD_S": "60",
    "TUNE_GLOBAL_CHECKPOINT_S": "3600",
    "TUNE_MAX_PENDING_TRIALS_PG": "100000",  # all workers may start at once
    "RAY_AIR_NEW_OUTPUT": "0",  # with verbose=0, no tables and banners
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_TRAIN_ENABLE_V2_MIGRATION_WARNINGS": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ENABLE_AUTO_CONNECT": "0",  # what ends late starts no Ray again
}
"""Variables that Ray and Tune read when they are imported."""


def prepare() -> None:
    """Set what Ray and Tune read when they are imported."""
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)


def silence() -> None:
    """Let Ray log nothing: a lost worker is retried, then reported by us."""
    for name in ("ray", "ray.tune", "ray.data", "ray.train"):
        logging.getLogger(name).setLevel(logging.CRITICAL)

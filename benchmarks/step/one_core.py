"""Keeps this process on one core and in one thread. Import it before torch, NumPy or JAX."""

import os

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")

os.environ |= dict.fromkeys(THREADS, "1")
os.environ["JAX_PLATFORMS"] = "cpu"
os.environ["XLA_FLAGS"] = " ".join(
    [
        os.environ.get("XLA_FLAGS", ""),
        "--xla_cpu_multi_thread_eigen=false",
        "intra_op_parallelism_threads=1",
    ]
).strip()
if hasattr(os, "sched_setaffinity"):  # Linux only
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})

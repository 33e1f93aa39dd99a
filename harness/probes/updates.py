"""How far an update moves the weights, in absolute terms and against their size."""

from typing import Any

import numpy as np

from harness.probes.base import Curves, measure

UPDATE_EVERY = 10
"""Updates are measured at steps 1, 11, 21, ..."""


@measure(
    update_norm_p50=float,
    update_norm_max=float,
    update_ratio_p50=float,
    update_ratio_max=float,
)
def updates(curves: Curves) -> dict[str, Any]:
    """Median and maximum over the measured steps of |dw| and of |dw| / |w|, |w| before the update.

    L2 norms over all trained parameters together. An update that is not finite counts as infinite.
    Weights that are all zero give a ratio of inf.
    """
    norm = np.nan_to_num(curves.update_norm.astype(np.float64), nan=np.inf, posinf=np.inf)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.nan_to_num(norm / curves.weight_norm, nan=np.inf, posinf=np.inf)
    return {
        "update_norm_p50": float(np.quantile(norm, 0.5, method="inverted_cdf")),
        "update_norm_max": float(norm.max()),
        "update_ratio_p50": float(np.quantile(ratio, 0.5, method="inverted_cdf")),
        "update_ratio_max": float(ratio.max()),
    }

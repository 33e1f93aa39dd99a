"""Sharpness: the largest eigenvalue of the loss's Hessian.

To be set against the optimizer's stability limit: gradient descent at learning rate lr cannot settle where it
exceeds 2 / lr, with momentum m where it exceeds 2 (1 + m) / lr (Cohen et al. 2021, arXiv 2103.00065). For
RMSprop and Adam the limit concerns the preconditioned Hessian, which this is not.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.func import grad, jvp

from harness.probes.moments import Measured, Moment, moment_probe

ITERATIONS = 100


def any_model(_: nn.Module) -> bool:
    """Every model has a loss."""
    return True


@moment_probe("sharpness", applies=any_model)
def curvature(moment: Moment) -> Measured:
    """Largest eigenvalue of the Hessian of the mean loss on the probe batch, by power iteration.

    100 Hessian-vector products find the eigenvalue that is largest in size. If it is negative, the same on
    the Hessian minus it finds the largest. NaN if a weight or the loss is not finite.
    """
    first_R = top_eigenvalue(moment, moment.weights_RP.new_zeros(len(moment.weights_RP)))
    if not (first_R < 0).any():
        return Measured({"sharpness": first_R})
    shifted_R = top_eigenvalue(moment, torch.where(first_R < 0, -first_R, 0.0))
    return Measured({"sharpness": torch.where(first_R < 0, shifted_R + first_R, first_R)})


def top_eigenvalue(moment: Moment, shift_R: Tensor) -> Tensor:
    """The eigenvalue of largest size of the Hessian plus `shift` times the identity: (R,)."""

    def product(call: Any, weights_P: Tensor, vector_P: Tensor) -> Tensor:
        def mean_loss(weights_P: Tensor) -> Tensor:
            outputs = call(weights_P, lambda model: model(moment.inputs_BTI))
            loss: Tensor = moment.loss(outputs, moment.targets_B).mean()
            return loss

        product_P: Tensor = jvp(grad(mean_loss), (weights_P,), (vector_P,))[1]
        return product_P

    shift_R1 = shift_R[:, None]
    generator = torch.Generator().manual_seed(0)
    start_P = torch.randn(moment.weights_RP.shape[1], dtype=torch.float64, generator=generator)
    vector_RP = start_P.to(moment.weights_RP.device).expand_as(moment.weights_RP)
    vector_RP = vector_RP / vector_RP.norm(dim=1, keepdim=True)
    for _ in range(ITERATIONS):
        moved_RP = moment.each(product, vector_RP) + shift_R1 * vector_RP
        value_R: Tensor = (vector_RP * moved_RP).sum(dim=1)
        length_R1 = moved_RP.norm(dim=1, keepdim=True)
        vector_RP = moved_RP / torch.where(length_R1 > 0, length_R1, 1.0)
    return value_R

"""Sharpness: the largest eigenvalue of the loss's Hessian.

It is compared with the optimizer's stability limit. Gradient descent at learning rate lr cannot settle where
the sharpness exceeds 2 / lr. With momentum m the limit is 2 (1 + m) / lr (Cohen et al. 2021,
arXiv 2103.00065). For RMSprop and Adam the limit concerns the preconditioned Hessian, which this is not.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import grad, jvp

from harness.probes.moments import Measured, Moment, probe

ITERATIONS = 40
"""Hessian-vector products."""


def any_model(_: nn.Module) -> bool:
    """Every model has a loss."""
    return True


@probe("sharpness", applies=any_model)
def curvature(moment: Moment) -> Measured:
    """Largest eigenvalue of the Hessian of the mean loss on the probe batch, by 40 steps of Lanczos.

    It is negative if all eigenvalues are, and NaN if a weight or the loss is not finite.
    """

    def product(call: Any, weights_P: Tensor, vector_P: Tensor) -> Tensor:
        def mean_loss(weights_P: Tensor) -> Tensor:
            outputs = call(weights_P, lambda model: model(moment.inputs_BTI))
            loss: Tensor = moment.loss(outputs, moment.targets_B).mean()
            return loss

        product_P: Tensor = jvp(grad(mean_loss), (weights_P,), (vector_P,))[1]
        return product_P

    generator = torch.Generator().manual_seed(0)
    start_P = torch.randn(moment.weights_RP.shape[1], dtype=torch.float64, generator=generator)
    start_RP = start_P.to(moment.weights_RP.device).expand_as(moment.weights_RP)
    return Measured({"sharpness": largest_eigenvalue(lambda v_RP: moment.each(product, v_RP), start_RP)})


def largest_eigenvalue(product: Callable[[Tensor], Tensor], start_RP: Tensor) -> Tensor:
    """The largest eigenvalue of each of R symmetric matrices, given their products with vectors: (R,).

    This is Lanczos (1950) with full reorthogonalisation: the result is the largest Ritz value. It finds the
    top of a spectrum whatever its other end is; power iteration finds the eigenvalue that is largest in size.
    A replica whose Krylov space is exhausted early goes on with zeros. Their diagonal repeats its first
    Rayleigh quotient, which is never above the largest eigenvalue. The result is NaN where a product is not
    finite.
    """
    size = min(start_RP.shape[1], ITERATIONS)
    basis = [start_RP / start_RP.norm(dim=1, keepdim=True)]
    diagonal: list[Tensor] = []
    beside: list[Tensor] = []
    for _ in range(size):
        moved_RP = product(basis[-1])
        alive_R = basis[-1].norm(dim=1) > 0.5
        quotient_R = (basis[-1] * moved_RP).sum(dim=1)
        diagonal.append(torch.where(alive_R, quotient_R, diagonal[0]) if diagonal else quotient_R)
        known_RKP = torch.stack(basis, dim=1)
        for _ in range(2):  # once is not enough in floating point
            moved_RP = moved_RP - torch.einsum(
                "rkp,rk->rp", known_RKP, (known_RKP @ moved_RP[..., None])[..., 0]
            )
        length_R = moved_RP.norm(dim=1)
        length_R = torch.where(length_R > 1e-10 * torch.stack(diagonal).abs().amax(dim=0), length_R, 0.0)
        beside.append(length_R)
        basis.append(moved_RP * torch.where(length_R > 0, 1 / length_R, 0.0)[:, None])
    off_RK = torch.stack(beside[:-1], dim=1) if size > 1 else start_RP.new_zeros(len(start_RP), 0)
    matrix_RKK = torch.diag_embed(torch.stack(diagonal, dim=1))
    matrix_RKK = matrix_RKK + torch.diag_embed(off_RK, 1) + torch.diag_embed(off_RK, -1)
    finite_R = matrix_RKK.isfinite().flatten(1).all(dim=1)
    safe_RKK = torch.where(finite_R[:, None, None], matrix_RKK, 0.0)
    return torch.where(finite_R, torch.linalg.eigvalsh(safe_RKK)[:, -1], torch.nan)

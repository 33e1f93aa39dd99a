"""Which parameters and modules of a model can be trained as replicas, as far as their types say it.

What only shows when a model runs is found by `harness.driver.tryout`.
"""

import torch
from torch import nn


def check_modules(who: str, model: nn.Module) -> None:
    """Raise ValueError for parameters or modules of a model that cannot be trained as replicas."""
    for name, parameter in model.named_parameters():
        if parameter.dtype != torch.float32 and (parameter.is_floating_point() or parameter.is_complex()):
            raise ValueError(
                f"{who}: its parameter {name!r} is {parameter.dtype}; training is in torch.float32"
            )
        if parameter._backward_hooks or getattr(parameter, "_post_accumulate_grad_hooks", None):
            raise ValueError(f"{who}: its parameter {name!r} has a gradient hook, which is never called here")
    for name, module in model.named_modules():
        if isinstance(module, nn.modules.batchnorm._NormBase) and module.track_running_stats:
            raise ValueError(
                f"{who} holds a {type(module).__name__} {name!r}: its running statistics change in forward, "
                f"so evaluations would change the training; set track_running_stats=False"
            )
        if randomness(module):
            raise ValueError(
                f"{who} holds a {type(module).__name__}({randomness(module)}) {name!r}: it draws random "
                f"numbers, and replicas have no stream of their own for them yet; leave it out or set it to 0"
            )


def randomness(module: nn.Module) -> str:
    """The argument that makes one of torch's modules random, such as 'p=0.5'; '' if it is not."""
    if isinstance(module, nn.modules.dropout._DropoutNd):
        return f"p={module.p}" if module.p else ""
    if isinstance(module, nn.RNNBase):
        return f"dropout={module.dropout}" if module.dropout and module.num_layers > 1 else ""
    if isinstance(module, nn.MultiheadAttention):
        return f"dropout={module.dropout}" if module.dropout else ""
    if isinstance(module, nn.RReLU):
        return f"lower={module.lower}, upper={module.upper}" if module.lower != module.upper else ""
    return ""

"""The parameters of modules that torch's own engines have sharded."""

from __future__ import annotations

import sys
from typing import Any

import torch
from torch import Tensor, nn


def parameters_of(module: nn.Module) -> list[tuple[str, Tensor]]:
    """Returns a module's parameters by their names, and tied ones by each of theirs.

    Between forward and backward `fully_shard` shows parameters that are gathered, and perhaps
    rounded, for computing. Those that it keeps, shards, and trains, are returned instead.

    Raises:
        TypeError: If FSDP1 has flattened parameters, which no rule would know by their names; or in
            compiled code, which does not see which parameters are gathered.
    """
    named = list(module.named_parameters(remove_duplicate=False))
    fsdp: Any = sys.modules.get("torch.distributed.fsdp")
    sharded_module = getattr(fsdp, "FSDPModule", None)
    if sharded_module is None:
        return named
    for _, parameter in named:
        if hasattr(parameter, "_is_flat_param"):
            check_whole(parameter)
    sharded = [each for each in module.modules() if isinstance(each, sharded_module)]
    if not sharded:
        return named
    if torch.compiler.is_compiling():
        raise TypeError(
            "compiled code cannot follow the parameters of a model that fully_shard has sharded: "
            "bind penalties to list(model.named_parameters())"
        )
    kept = {
        id(gathered): param.sharded_param
        for each in sharded
        for group in _groups(each)
        for param in group.fsdp_params
        if (gathered := getattr(param, "_unsharded_param", None)) is not None
    }
    return [(name, kept.get(id(parameter), parameter)) for name, parameter in named]


def _groups(module: Any) -> list[Any]:
    state = module._get_fsdp_state()
    groups: list[Any] | None = getattr(state, "_fsdp_param_groups", None)
    if groups is not None:
        return groups
    return [state._fsdp_param_group] if state._fsdp_param_group else []  # of older versions


def check_whole(x: Tensor) -> None:
    """Raises a TypeError for a vector that only stands for a parameter, whole or not.

    FSDP1 and DeepSpeed mark them by attributes.
    """
    if hasattr(x, "_fsdp_flattened"):
        raise TypeError(
            "expected a parameter as the module has it. Received: one that "
            "FullyShardedDataParallel (FSDP1) has flattened, so that names, shapes and elements "
            "are others: shard the model by torch.distributed.fsdp.fully_shard, whose parameters "
            "are DTensors"
        )
    if hasattr(x, "ds_numel") and x.numel() == 0:
        raise TypeError(
            "expected a parameter as the module has it. Received: a placeholder of DeepSpeed's "
            f"ZeRO stage 3, whose {x.ds_numel} elements are elsewhere: shard the model by "
            "torch.distributed.fsdp.fully_shard, or call penalties within "
            "deepspeed.zero.GatheredParameters"
        )

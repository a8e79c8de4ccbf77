"""Nodes of an autograd graph: what operation recorded them, and how messages call that."""

from __future__ import annotations

import re
from typing import Any

_NATIVE = re.compile(r"(\w+?)Backward\d+")


def operation_of(node: Any) -> str:
    """The operation that recorded a node, as PyTorch writes it; "" for what isn't PyTorch's own."""
    if node is None:
        return ""
    name: str = node.name()
    native = _NATIVE.fullmatch(name)
    if native:
        return _NATIVE_NAMES.get(native[1], native[1])
    if name == "torch::autograd::AccumulateGrad":
        return "AccumulateGrad"
    if type(node).__module__ == "torch.autograd.function":
        home = getattr(getattr(node, "_forward_cls", None), "__module__", "")
        return _PARALLEL.get((home, name), "")
    return ""


# The native gather picks elements; DataParallel has a function of that name that joins its parts.
_NATIVE_NAMES = {"Gather": "Picked"}
_PARALLEL = {
    ("torch.nn.parallel._functions", "GatherBackward"): "Gather",
    ("torch.nn.parallel.distributed", "_DDPSinkBackward"): "_DDPSink",
}


def why_nothing_past(node: Any, *, ended: bool = False) -> str:
    """Why nothing is known past a node."""
    if node is None:
        return "it comes from a tensor for which no gradient is recorded"
    name: str = node.name()
    if ended:
        return "its graph is too long to be followed"
    if name == "torch::autograd::AccumulateGrad":
        return "it is itself a parameter or an input"
    if name == "CompiledFunctionBackward":
        return "a function compiled by torch.compile gives it"
    if name == "CheckpointFunctionBackward":
        return "torch.utils.checkpoint with use_reentrant=True gives it"
    native = _NATIVE.fullmatch(name)
    if native:
        words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", native[1]).lower()
        return f"{words} comes before it"
    if name.endswith("Backward"):
        return f"the autograd function {name.removesuffix('Backward')} gives it"
    return f"{name.rpartition('::')[2]} comes before it"

"""Calls of a loss, as they are seen while they are made."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as torch_functional
from torch import Tensor
from torch.nn import _reduction

from xent import functional
from xent.wiring._live._batch import Batch
from xent.wiring._live._given_loss import GivenLoss, given_loss

Function = Callable[..., Any]

# By the name that xent.functional and torch.nn.functional share.
_NAMES = (
    "cross_entropy", "nll_loss", "binary_cross_entropy", "binary_cross_entropy_with_logits",
    "kl_div", "multilabel_soft_margin_loss", "mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss",
)  # fmt: skip
OWN_NAMES = (
    "cross_entropy", "nll_loss", "binary_cross_entropy", "binary_cross_entropy_with_logits",
    "softmax_focal_loss", "sigmoid_focal_loss",
)  # fmt: skip
OWN: dict[str, Function] = {name: getattr(functional, name) for name in OWN_NAMES}

LOSSES: frozenset[Function] = frozenset(
    [getattr(torch_functional, name) for name in _NAMES]
    + [torch.kl_div, torch.binary_cross_entropy_with_logits]
    + list(OWN.values())
)
DIFFERENCES: frozenset[Function] = frozenset(
    (torch.sub, torch.subtract, Tensor.sub, Tensor.subtract, Tensor.__sub__, Tensor.__rsub__)
)
BACKWARDS: frozenset[Function] = frozenset((Tensor.backward, torch.autograd.backward))

# Frames of these are not where the user called the loss.
_PASSED = frozenset(
    ("torch", "xent", "contextlib", "functools", "lightning", "lightning_fabric",
     "pytorch_lightning", "accelerate")
)  # fmt: skip


@dataclass(frozen=True)
class Site:
    """A line of code that calls a loss.

    Args:
        path: its file.
        line: its number, from 1.
        module: the name of its module.
    """

    path: str
    line: int
    module: str

    def __str__(self) -> str:
        return f"{Path(self.path).name}:{self.line}"


def site_of_caller() -> tuple[Site, dict[str, Any]]:
    """The line outside this package and PyTorch that is running, and the globals of its module."""
    frame = sys._getframe(1)
    while frame.f_back is not None and _is_passed(frame.f_globals.get("__name__", "")):
        frame = frame.f_back
    name = str(frame.f_globals.get("__name__", ""))
    return Site(frame.f_code.co_filename, frame.f_lineno, name), frame.f_globals


def _is_passed(module: str) -> bool:
    return module.partition(".")[0] in _PASSED


def batch_of_call(
    function: Function, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> Batch | None:
    """What a loss is given in a call; None if the call isn't one that the loss would take.

    >>> import torch
    >>> values = torch.zeros(2, 3), torch.tensor([0, 1])
    >>> batch = batch_of_call(torch_functional.cross_entropy, values, {"ignore_index": 0})
    >>> batch.label, batch.classes, batch.ignore_index
    ('cross_entropy', 3, 0)
    """
    signature, given = _known(function)
    if signature is None:
        words = dict(zip(("input", "target"), args, strict=False)) | dict(kwargs)
        options: dict[str, Any] = {}
    else:
        try:
            words = dict(signature.bind(*args, **kwargs).arguments)
        except TypeError:
            return None
        options = _options(signature, words)
    input, target = words.get("input"), words.get("target")
    if not isinstance(input, Tensor) or not isinstance(target, Tensor):
        return None
    return Batch(replace(given, options=options), input, target)


@cache
def _known(function: Function) -> tuple[inspect.Signature | None, GivenLoss]:
    try:
        signature = inspect.signature(function)
    except ValueError:  # of a function that is written in C++
        signature = None
    return signature, given_loss(function)


def _options(signature: inspect.Signature, words: Mapping[str, Any]) -> dict[str, Any]:
    """The options that differ from the defaults, without the deprecated ones."""
    options = {
        name: value
        for name, value in words.items()
        if name not in ("input", "target") and value is not signature.parameters[name].default
    }
    average, reduce = options.pop("size_average", None), options.pop("reduce", None)
    if average is not None or reduce is not None:
        options["reduction"] = _reduction.legacy_get_string(average, reduce, emit_warning=False)
    return options


def is_called_by_own_loss() -> bool:
    """Whether a loss of xent handed its call to PyTorch's loss because a mode is watching."""
    frame = sys._getframe(2).f_back
    module = "" if frame is None else str(frame.f_globals.get("__name__", ""))
    return module.startswith("xent.functional.")

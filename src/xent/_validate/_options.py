"""Checks of the options: words and numbers."""

from __future__ import annotations

import difflib
import operator
import warnings

import torch
from torch import Tensor
from torch.nn import _reduction

from xent._validate._wording import DOMAINS, error

WHOLE = (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8)


def legacy_reduction(size_average: bool | None, reduce: bool | None, reduction: str) -> str:
    """The reduction that PyTorch's deprecated arguments and words ask for, with its warning."""
    if size_average is not None or reduce is not None:
        return _reduction.legacy_get_string(size_average, reduce)
    if type(reduction) is str and reduction == "elementwise_mean":
        warnings.warn(
            "reduction='elementwise_mean' is deprecated. Please use reduction='mean' instead.",
            stacklevel=3,
        )
        return "mean"
    return reduction


def check_word(name: str, argument: str, word: object) -> None:
    """One of the words of the table, where the loss has that option."""
    if (name, argument) not in DOMAINS:
        return
    choices = DOMAINS[name, argument].choices
    if not (isinstance(word, str) and word in choices):
        near = difflib.get_close_matches(str(word).lower(), choices, n=1, cutoff=0.0)
        listed = " or ".join(repr(choice) for choice in choices)
        fields = {"choices": listed, "nearest": near[0]}
        raise error(name, "unknown-choice", argument, repr(word), **fields)


def check_index(name: str, argument: str, value: object) -> None:
    """A whole number."""
    if not _is_whole(value):
        fields = {"kind": "an int", "example": "-1" if argument == "class_dim" else "-100"}
        raise error(name, "option-type", argument, repr(value), **fields)


def _is_whole(value: object) -> bool:
    """As in PyTorch, what has __index__ is an int (NumPy's integers), but a bool is none."""
    if isinstance(value, (bool, Tensor)):
        return isinstance(value, Tensor) and value.ndim == 0 and value.dtype in WHOLE
    if isinstance(value, (int, torch.SymInt)):
        return True
    try:
        operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        return False
    return True


def _is_number(value: object) -> bool:
    """A tensor too; an array of NumPy only if it holds one number."""
    if isinstance(value, (int, float, Tensor)):
        return True
    return hasattr(value, "__float__") and not getattr(value, "ndim", 0)


def check_smoothing(name: str, value: float | Tensor) -> None:
    """A fraction; a tensor's value is not looked at."""
    if not _is_number(value) or (isinstance(value, Tensor) and value.ndim):
        fields = {"kind": "a number", "example": "0.1"}
        raise error(name, "option-type", "label_smoothing", repr(value), **fields)
    if not isinstance(value, Tensor) and not 0 <= value <= 1:
        raise error(name, "smoothing-out-of-range", "label_smoothing", repr(value))


def check_number(name: str, argument: str, value: float | Tensor | None, example: str) -> None:
    """A number in the domain of the table, or a tensor of shape (), where the loss has it."""
    if (name, argument) not in DOMAINS:
        return
    if not _is_number(value):
        fields = {"kind": "a number", "example": example}
        raise error(name, "option-type", argument, repr(value), **fields)
    assert value is not None
    if isinstance(value, Tensor):
        if value.ndim:
            raise error(name, "not-one-number", argument, f"shape {tuple(value.shape)}")
    elif not DOMAINS[name, argument].contains(value):
        interval = f"in {DOMAINS[name, argument].interval}"
        fields = {"interval": interval, "example": example}
        raise error(name, "option-out-of-range", argument, repr(value), **fields)


def check_normalizer(name: str, normalizer: float | Tensor | None, reduction: str) -> None:
    """A denominator, which only the mean has."""
    if normalizer is None:
        return
    if reduction != "mean":
        raise error(name, "normalizer-without-mean", "reduction", repr(reduction))
    check_number(name, "normalizer", normalizer, "target.numel()")

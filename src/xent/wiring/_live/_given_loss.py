"""Which loss is meant by a name, a function, a module or a ``functools.partial`` of one."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch.nn import _reduction

from xent._contracts import CONTRACTS
from xent._errors import InputError
from xent.wiring._flow._losses import FUNCTIONS, LAYERS, Loss, loss_function, loss_layer

CLASS_PROBABILITY, NUMBER = "class probability", "number"

# Beside the losses that the static half knows: a score that reads probabilities of classes, and
# losses that broadcast where the shapes differ.
_MORE = {
    "log_loss": Loss("log_loss", CLASS_PROBABILITY, True),
    **{
        name: Loss(name, NUMBER, False)
        for name in ("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss")
    },
}
_MORE_LAYERS = {
    "MSELoss": "mse_loss", "L1Loss": "l1_loss", "SmoothL1Loss": "smooth_l1_loss",
    "HuberLoss": "huber_loss",
}  # fmt: skip
BY_NAME: dict[str, Loss] = {
    **{loss.name: loss for loss in (*FUNCTIONS.values(), *LAYERS.values())},
    **_MORE,
}
_OPTIONS = {
    "kl_div": ("reduction", "log_target"),
    "multilabel_soft_margin_loss": ("weight", "reduction"),
    **dict.fromkeys(("smooth_l1_loss", "huber_loss"), ("reduction", "beta", "delta", "weight")),
    **dict.fromkeys(("mse_loss", "l1_loss"), ("reduction", "weight")),
    "log_loss": ("sample_weight", "normalize", "labels"),
}
# Where torch.compile keeps what it was given: a module, a function.
_COMPILED = ("_orig_mod", "_torchdynamo_orig_callable")
_LEGACY = ("size_average", "reduce")
TORCH, XENT, NAMED, OTHER = "torch", "xent", "name", "other"


@dataclass(frozen=True)
class GivenLoss:
    """A loss with its options.

    Args:
        loss: what it takes.
        label: how it was called: ``CrossEntropyLoss``, ``cross_entropy``.
        maker: ``torch``, ``xent``, ``name`` where only a name was given, or ``other``.
        options: those that were given, by name.
    """

    loss: Loss
    label: str
    maker: str
    options: Mapping[str, Any]


def given_loss(loss: object, where: str = "check: loss") -> GivenLoss:
    """What is meant by a loss.

    Raises:
        InputError: for anything that is no loss of this package's table.

    >>> given_loss(torch.nn.CrossEntropyLoss(ignore_index=0)).options["ignore_index"]
    0
    """
    if isinstance(loss, str):
        return GivenLoss(_named(loss, where), loss.rpartition(".")[2], NAMED, {})
    if isinstance(loss, partial):
        return _partial(loss, where)
    for behind in _COMPILED:
        if hasattr(loss, behind):
            return given_loss(getattr(loss, behind), where)
    if isinstance(loss, torch.nn.Module):
        return _module(loss, where)
    if isinstance(loss, type) and issubclass(loss, torch.nn.Module):
        raise _unknown(where, f"the class {loss.__name__}", f"Make one: {loss.__name__}().")
    if callable(loss):
        return _function(loss, where)
    raise _unknown(where, repr(loss), 'Give "cross_entropy", for example.')


def option_names(name: str) -> tuple[str, ...]:
    """The options of a loss, in the order of its signature."""
    if name in CONTRACTS:
        return tuple(each.name for each in CONTRACTS[name].arguments[2:])
    return _OPTIONS[name]


def _named(name: str, where: str) -> Loss:
    last = name.rpartition(".")[2]
    layer = loss_layer(f"torch.nn.{last}")
    loss = BY_NAME.get(last) or layer or BY_NAME.get(_MORE_LAYERS.get(last, ""))
    if loss is None:
        layers = [each.rpartition(".")[2] for each in LAYERS]
        near = difflib.get_close_matches(last, [*BY_NAME, *layers], n=1)
        repair = f"Did you mean {near[0]!r}?" if near else f"Known: {', '.join(sorted(BY_NAME))}."
        raise _unknown(where, repr(name), repair)
    return loss


def _function(function: Callable[..., Any], where: str) -> GivenLoss:
    name = getattr(function, "__name__", "")
    module = str(getattr(function, "__module__", "") or "")
    room = module.partition(".")[0]
    if module.startswith(("xent.functional", "torchvision.ops", "sklearn.metrics")):
        loss = BY_NAME.get(name)
    else:
        is_torch = module == "torch.nn.functional" or getattr(torch, name, None) is function
        loss = loss_function(f"torch.nn.functional.{name}") or _MORE.get(name)
        loss = loss if is_torch else None
        room = TORCH
    if loss is None:
        called = f"{module}.{name}".strip(".") or type(function).__name__
        raise _unknown(
            where, called, "For a loss of your own give the name of the loss it ends in."
        )
    maker = room if room in (TORCH, XENT) else OTHER
    return GivenLoss(loss, name, maker, {})


def _module(module: torch.nn.Module, where: str) -> GivenLoss:
    for kind in type(module).__mro__:
        home = f"{kind.__module__}.{kind.__qualname__}"
        more = _MORE_LAYERS.get(kind.__name__, "") if home.startswith("torch.nn.") else ""
        loss = loss_layer(home) or BY_NAME.get(more)
        if loss is not None:
            names = (name for name in option_names(loss.name) if hasattr(module, name))
            options = {name: getattr(module, name) for name in names}
            room = kind.__module__.partition(".")[0]
            return GivenLoss(loss, type(module).__name__, room, options)
    raise _unknown(
        where,
        f"a {type(module).__name__}",
        "For a loss of your own give the name of the loss it ends in.",
    )


def _partial(given: partial[Any], where: str) -> GivenLoss:
    inner = given_loss(given.func, where)
    if given.args:
        raise _unknown(
            where, f"a partial with {len(given.args)} positional arguments", "Give options by name."
        )
    words = dict(given.keywords)
    known = (*option_names(inner.loss.name), *_LEGACY)
    for word in words:
        if word not in known:
            near = difflib.get_close_matches(word, known, n=1) or [known[0]]
            raise InputError(
                where, f"a partial with options of {inner.label}", word, f"Did you mean {near[0]}?"
            )
    average, reduce = (words.pop(word, None) for word in _LEGACY)
    if average is not None or reduce is not None:
        # Without the warning, which the loss itself gives.
        words["reduction"] = _reduction.legacy_get_string(average, reduce, emit_warning=False)
    return GivenLoss(inner.loss, inner.label, inner.maker, {**inner.options, **words})


def _unknown(where: str, found: str, repair: str) -> InputError:
    return InputError(
        where, "the name of a loss, or a loss of torch or xent as function or module", found, repair
    )

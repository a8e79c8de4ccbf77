"""The implementations on tensors: PyTorch's, xent's, and others that the contract table names."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any

import numpy as np

from xent._contracts import CONTRACTS, Contract
from xent.walkthrough import _feeds as feeds
from xent.walkthrough._feeds import Feed
from xent.walkthrough._implementations import INFINITE_LOGITS, Implementation, Skipped
from xent.walkthrough._inputs import ARRAYS, Given

# What belongs to one batch is given to a module in the call.
_IN_THE_CALL = ("sample_weight", "normalizer")
# Where the definition ends.
_AFTERWARDS = ("normalizer", "all_ignored")
Fed = tuple[Contract, Feed, Any]


def of_torch(given: Given, skipped: list[Skipped]) -> Iterator[Implementation]:
    """PyTorch's functions and modules of the loss and of its twin."""
    for contract, fed, tensor in _fed_tensors(given):
        for full_name in contract.also_known_as:
            module, _, name = full_name.rpartition(".")
            if module not in ("torch.nn", "torch.nn.functional"):
                continue
            lacking = _not_taken(given, contract, positional=True)
            if lacking:
                skipped.append(Skipped(_short(full_name), f"takes no {lacking}"))
                continue
            call = _call(getattr(import_module(module), name), given, tensor)
            floored = contract.name == "binary_cross_entropy"  # as its definition is
            weakness = "" if floored else INFINITE_LOGITS
            yield Implementation("PyTorch", _short(full_name), call, fed, weakness=weakness)


def of_xent(given: Given, skipped: list[Skipped]) -> Iterator[Implementation]:
    """The definition in the contract table, and the functions and modules of xent."""
    call, fed = definition_in_numpy(given), _own_feed(given)
    weakness = INFINITE_LOGITS if given.kind == "logits" else ""
    yield Implementation("xent", "definition, in NumPy", call, fed, weakness=weakness)
    functional, modules = import_module("xent.functional"), import_module("xent.nn")
    for contract, fed, tensor in _fed_tensors(given):
        if _not_taken(given, contract, positional=False):
            continue
        function = getattr(functional, contract.name, None)
        if function is None:
            skipped.append(Skipped(f"xent.functional.{contract.name}", "there is none"))
            continue
        name = f"F.{contract.name}"
        yield Implementation("xent", name, _call(function, given, tensor), fed, exact_rows=True)
        module = getattr(modules, _module_name(contract), None)
        if module is not None:
            name, call = f"nn.{_module_name(contract)}", _call(module, given, tensor)
            yield Implementation("xent", name, call, fed, exact_rows=True)


def of_others(given: Given, skipped: list[Skipped]) -> Iterator[Implementation]:
    """Functions of other libraries that the contract table names."""
    for full_name in given.contract.also_known_as:
        module, _, name = full_name.rpartition(".")
        package = module.split(".")[0]
        if package == "torch":
            continue
        try:
            function = getattr(import_module(module), name)
        except ImportError:
            why = f"{package} can't be imported. Run: pip install {package}"
            skipped.append(Skipped(full_name, why))
            continue
        _, fed, tensor = next(iter(_fed_tensors(given)))
        yield Implementation(package, name, _call(function, given, tensor), fed)


def _fed_tensors(given: Given) -> Iterator[Fed]:
    """The loss with its numbers, then its twin with them as it takes them."""
    import torch

    own = feeds.in_torch(given.values, given.dtype)
    form = given.kind
    if given.through_logarithm:
        own, form = own.log(), "log of probabilities"
    yield given.contract, _feed(given.loss, form, own, given), own
    twin = given.contract.twin
    if twin is None or not _twin_takes(given, CONTRACTS[twin]):
        return
    if given.loss == "binary_cross_entropy_with_logits":
        turned, form = torch.sigmoid(own), "sigmoid of logits"
    elif given.loss == "cross_entropy":
        turned, form = torch.log_softmax(own, dim=1), "log_softmax of logits"
    elif given.loss == "nll_loss":
        turned = own  # log-probabilities are logits, too
    else:
        return
    yield CONTRACTS[twin], _feed(twin, form, turned, given), turned


def _twin_takes(given: Given, twin: Contract) -> bool:
    """Whether the other scale of the loss has the same target and options."""
    names = {argument.name for argument in twin.arguments}
    soft_too = not given.soft or len(twin.argument("target").forms) > 1
    return set(given.options) <= names and soft_too


def _feed(loss: str, form: str, tensor: Any, given: Given) -> Feed:
    words = feeds.in_words(tensor, feeds.target_in_torch(given))
    return Feed(loss, form, feeds.of_tensor(tensor), given.dtype, words)


def _call(function: Any, given: Given, tensor: Any) -> Callable[[], Any]:
    """A call of a function, or of a module that is made beforehand."""
    target = feeds.target_in_torch(given)
    options = {
        name: feeds.in_torch(value, given.dtype) if name in ARRAYS else value
        for name, value in given.options.items()
    }
    options["reduction"] = given.reduction
    if not isinstance(function, type):
        return lambda: function(tensor, target, **options)
    later = {name: options.pop(name) for name in _IN_THE_CALL if name in options}
    module = function(**options)
    return lambda: module(tensor, target, **later)


def _not_taken(given: Given, contract: Contract, *, positional: bool) -> str:
    """Options that a function doesn't have; PyTorch has those that are not by name only."""
    known = {
        argument.name
        for argument in contract.arguments
        if not (positional and argument.keyword_only)
    }
    return ", ".join(name for name in given.options if name not in known)


def _short(full_name: str) -> str:
    """As it is written after ``import torch.nn.functional as F`` and ``from torch import nn``."""
    short = full_name.removeprefix("torch.")
    return short.replace("nn.functional.", "F.")


def _module_name(contract: Contract) -> str:
    """The name of the module in ``xent.nn``: PyTorch's, where PyTorch has it."""
    for name in contract.also_known_as:
        module, _, own = name.rpartition(".")
        if module == "torch.nn":
            return own
    return "".join(part.capitalize() for part in contract.name.split("_"))


def _own_feed(given: Given) -> Feed:
    arguments = given.arguments()
    dtype = _definition_dtype(given)
    words = feeds.in_words(given.values.astype(dtype), np.asarray(given.target))
    return Feed(given.loss, given.kind, np.asarray(arguments["input"]), dtype, words)


def _definition_dtype(given: Given) -> str:
    return "float64" if given.dtype == "float64" else "float32"


def definition_in_numpy(given: Given) -> Callable[[], Any]:
    """The definition of the contract table in the dtype of the numbers, reduced.

    Half types are computed in float32, as the losses of xent do: the definition has squares.
    """
    kind = _definition_dtype(given)
    arguments = {
        name: value.astype(kind) if _is_floating(value) else value
        for name, value in given.arguments().items()
    }
    divided = {name: given.options[name] for name in _AFTERWARDS if name in given.options}
    contract = given.contract

    def call() -> Any:
        total = np.sum(contract.definition(np, **arguments))
        if given.reduction == "sum":
            return total
        if "normalizer" in divided:
            return total / divided["normalizer"]
        assert contract.denominator is not None
        return total / contract.denominator(np, **arguments)

    return call


def _is_floating(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.dtype.kind == "f"

"""Pairs of calls that are one loss in two ways, and so must give the same number."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np

from xent.walkthrough import _definitions as by_hand
from xent.walkthrough import _feeds as feeds
from xent.walkthrough._inputs import Given


@dataclass(frozen=True, eq=False)
class Side:
    """One side of an equality.

    Args:
        name: the call, in letters: z logits of a yes, x logits of rows, p probabilities, y target.
        takes: shapes and dtypes of input and target.
        call: gives the value.
    """

    name: str
    takes: str
    call: Callable[[], Any]


@dataclass(frozen=True, eq=False)
class Identity:
    """Two sides that must agree.

    Args:
        library: whose they are.
        left: one side.
        right: the other.
        to_the_bit: whether both must be the very same number.
        through_probabilities: whether a side is given probabilities where the other has logits, or
            takes their logarithms as they are.
    """

    library: str
    left: Side
    right: Side
    to_the_bit: bool = False
    through_probabilities: bool = False


def identities_in_numpy(given: Given) -> Iterator[Identity]:
    """Binary cross-entropy as a cross-entropy of two classes, written by hand."""
    if given.of_rows:
        return
    p = feeds.probabilities_in_numpy(given).ravel()
    y = given.target.astype(p.dtype).ravel()
    two, t = np.stack([1 - p, p], axis=1), np.stack([1 - y, y], axis=1)
    yield Identity(
        "NumPy, by hand",
        Side("binary(p, y)", feeds.in_words(p, y), lambda: by_hand.binary_vectorised(p, y)),
        Side(
            "two-class([1 - p, p], [1 - y, y])",
            feeds.in_words(two, t),
            lambda: by_hand.multiclass_vectorised(two, t),
        ),
        through_probabilities=True,
    )


def identities_in_torch(given: Given) -> Iterator[Identity]:
    """Those of PyTorch's functions and of xent's, and of their modules.

    Raises:
        ImportError: PyTorch is not installed.
    """
    pairs = _PAIRS.get((given.loss, given.kind))
    for library, home in (("PyTorch", "torch.nn"), ("xent", "xent.nn")):
        functions = import_module(home.replace(".nn", ".functional") if library == "xent"
                                  else "torch.nn.functional")  # fmt: skip
        for left, right in pairs(given, functions) if pairs else ():
            rounded = given.kind == "probabilities" or "sigmoid" in right.name
            yield Identity(library, left, right, through_probabilities=rounded)
        yield from _function_and_module(given, library, functions, import_module(home))


def _side(function: Any, name: str, values: Any, target: Any) -> Side:
    return Side(name, feeds.in_words(values, target), lambda: function(values, target))


def _function_and_module(
    given: Given, library: str, functions: Any, modules: Any
) -> Iterator[Identity]:
    own = [name for name in given.contract.also_known_as if name.startswith("torch.nn.")]
    classes = [name for name in own if not name.startswith("torch.nn.functional.")]
    if not classes:
        return
    module = classes[0].rpartition(".")[2]
    values, target = feeds.in_torch(given.values, given.dtype), feeds.target_in_torch(given)
    letter = "p" if given.kind == "probabilities" else "x" if given.of_rows else "z"
    if given.through_logarithm:
        values, letter = values.log(), "log p"
    left = _side(getattr(functions, given.loss), f"F.{given.loss}({letter}, y)", values, target)
    right = _side(getattr(modules, module)(), f"nn.{module}()({letter}, y)", values, target)
    yield Identity(library, left, right, to_the_bit=True)


Pairs = Iterator[tuple[Side, Side]]


def _of_logits(given: Given, functions: Any) -> Pairs:
    """A yes or no by one logit, and as a choice of two by (0, z) and by (-z/2, z/2)."""
    import torch

    z = feeds.in_torch(given.values, given.dtype).reshape(-1)
    y = feeds.in_torch(given.target, given.dtype).reshape(-1)
    labels = bool(((y == 0) | (y == 1)).all())
    classes = y.long() if labels else torch.stack([1 - y, y], dim=1)
    second = "y" if labels else "[1 - y, y]"
    name = "F.binary_cross_entropy_with_logits(z, y)"
    left = _side(functions.binary_cross_entropy_with_logits, name, z, y)
    for text, two in (
        ("[0, z]", torch.stack([torch.zeros_like(z), z], dim=1)),
        ("[-z/2, z/2]", torch.stack([-z / 2, z / 2], dim=1)),
    ):
        called = f"F.cross_entropy({text}, {second})"
        yield left, _side(functions.cross_entropy, called, two, classes)
    called = "F.binary_cross_entropy(sigmoid(z), y)"
    yield left, _side(functions.binary_cross_entropy, called, torch.sigmoid(z), y)


def _of_probabilities(given: Given, functions: Any) -> Pairs:
    """A yes or no by its probability, and as a choice of two by the logarithms of both."""
    import torch

    p = feeds.in_torch(given.values, given.dtype).reshape(-1)
    y = feeds.in_torch(given.target, given.dtype).reshape(-1)
    if not bool(((y == 0) | (y == 1)).all()):
        return
    left = _side(functions.binary_cross_entropy, "F.binary_cross_entropy(p, y)", p, y)
    two = torch.stack([(-p).log1p(), p.log()], dim=1)
    called = "F.nll_loss([log(1 - p), log p], y)"
    yield left, _side(functions.nll_loss, called, two, y.long())


def _of_rows_of_logits(given: Given, functions: Any) -> Pairs:
    """One class out of several by logits, by their log-softmax, and from a one-hot target."""
    import torch

    x, y = feeds.in_torch(given.values, given.dtype), feeds.target_in_torch(given)
    left = _side(functions.cross_entropy, "F.cross_entropy(x, y)", x, y)
    if not given.soft:
        log_p = torch.log_softmax(x, dim=1)
        yield left, _side(functions.nll_loss, "F.nll_loss(log_softmax(x), y)", log_p, y)
        one_hot = feeds.in_torch(feeds.one_hot(given), given.dtype)
        yield left, _side(functions.cross_entropy, "F.cross_entropy(x, one_hot(y))", x, one_hot)
    if x.shape[1] == 2:
        z = x[:, 1] - x[:, 0]
        binary = y[:, 1] if given.soft else y.to(x.dtype)
        called = "F.binary_cross_entropy_with_logits(x1 - x0, y)"
        yield left, _side(functions.binary_cross_entropy_with_logits, called, z, binary)


def _of_log_probabilities(given: Given, functions: Any) -> Pairs:
    """Log-probabilities are logits whose softmax they are: a second log_softmax changes nothing."""
    x, y = feeds.in_torch(given.values, given.dtype), feeds.target_in_torch(given)
    left = _side(functions.nll_loss, "F.nll_loss(x, y)", x, y)
    yield left, _side(functions.cross_entropy, "F.cross_entropy(x, y)", x, y)


_PAIRS: dict[tuple[str, str], Callable[[Given, Any], Pairs]] = {
    ("binary_cross_entropy_with_logits", "logits"): _of_logits,
    ("binary_cross_entropy", "probabilities"): _of_probabilities,
    ("cross_entropy", "logits"): _of_rows_of_logits,
    ("nll_loss", "log-probabilities"): _of_log_probabilities,
}

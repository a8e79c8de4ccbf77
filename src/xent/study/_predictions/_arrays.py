"""Predictions of any declared kind as log-probabilities, and the target as column numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xent._errors import InputError
from xent._links import Array, log_sigmoid, log_softmax
from xent._symptoms import STORAGE_ROUNDING
from xent.study._data._columns import counted, listed, one_line, quoted

PROBS, LOG_PROBS, LOGITS = "probs", "log-probs", "logits"
KINDS = (PROBS, LOG_PROBS, LOGITS)


def log_probabilities_of(
    values: ArrayLike,
    kind: str | Mapping[str, str],
    name: str,
    classes: tuple[str, ...] | None,
    y: ArrayLike,
) -> Array:
    """Predictions as log-probabilities ``(rows, classes)``.

    Args:
        values: as they were given.
        kind: one of ``KINDS``, or by name.
        name: of these predictions.
        classes: names of the columns, None for 0 to K - 1.
        y: the target, for its length.

    Raises:
        InputError: another shape, order or kind than was said, or NaN.
    """
    subject = f"compare_predictions: predictions[{quoted(name)}]"
    declared = kind_of(kind, name)
    numbers = _numbers(_in_order(values, classes, subject), subject)
    rows = len(_array_of(y))
    if numbers.ndim not in (1, 2) or len(numbers) != rows or not numbers.size:
        raise InputError(
            subject,
            f"of shape ({rows}, classes), or ({rows},) for two classes",
            f"shape {numbers.shape}",
            "Give one prediction for each entry of y, in its order.",
        )
    if numbers.ndim == 2 and numbers.shape[1] == 1:
        numbers = numbers[:, 0]
    width = 2 if numbers.ndim == 1 else numbers.shape[1]
    if classes is not None and width != len(classes):
        raise InputError(
            subject,
            f"of {len(classes)} columns, one for each of the classes {listed(classes)}",
            f"shape {numbers.shape}",
            "Give one column for each class, or other classes.",
        )
    return _LOGARITHMS[declared](numbers, subject)


def kind_of(kind: str | Mapping[str, str], name: str) -> str:
    """What the numbers of these predictions are, of names as text."""
    by_name = {str(key): each for key, each in kind.items()} if isinstance(kind, Mapping) else {}
    declared = kind if isinstance(kind, str) else by_name.get(name)
    if declared not in KINDS:
        raise InputError(
            "compare_predictions: kind",
            f"one of {', '.join(KINDS)}" + f" for {quoted(name)}" * isinstance(kind, Mapping),
            repr(declared),
            "Say what the numbers are; it is never guessed.",
        )
    return declared


def _array_of(values: Any) -> NDArray[Any]:
    """A tensor, Series or list as an array; a tensor's gradient does not matter."""
    return np.asarray(values.detach().cpu() if hasattr(values, "detach") else values)


def _numbers(values: Any, subject: str) -> Array:
    array = _array_of(values)
    if array.dtype.kind == "c":
        raise InputError(
            subject, "real numbers", f"dtype {array.dtype}", "Give their real part, if that is it."
        )
    try:
        numbers = array.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(
            subject, "numbers", one_line(str(error)), "Give predicted numbers."
        ) from error
    if np.isnan(numbers).any():
        row = int(np.argmax(np.isnan(numbers).reshape(len(numbers), -1).any(axis=1)))
        raise InputError(
            subject, "without NaN", f"NaN in row {row}", "Look for what the model returned there."
        )
    return numbers


def check_indexes(y: Any, predictions: Mapping[str, Any], **others: Any) -> None:
    """Refuse pandas objects of other row labels: they are in another order, or of other rows.

    Each is held against the first that has row labels; arrays have none and are taken as they are.

    Args:
        y: the target.
        predictions: by name.
        others: weights and groups, by name; None passes.

    Raises:
        InputError: two that have labels, and not the same in the same order.
    """
    named = {"y": y}
    named |= {f"predictions[{quoted(str(name))}]": each for name, each in predictions.items()}
    indexes = {name: _index_of(each) for name, each in (named | others).items()}
    labelled = {name: index for name, index in indexes.items() if index is not None}
    if not labelled:
        return
    first, other = next(iter(labelled.items()))
    for name, one in labelled.items():
        if len(one) == len(other) and not one.equals(other):
            row = int(np.argmax(np.asarray(one != other)))
            raise InputError(
                f"compare_predictions: {name}",
                f"rows with the index of {first}, in its order",
                f"{one_line(repr(one[row]))} where {first} has {one_line(repr(other[row]))} "
                f"(row {row})",
                f"Reindex it like {first}, or give arrays if the order is right.",
            )


def _index_of(values: Any) -> Any:
    """The row labels of a pandas object; None of anything else."""
    index = getattr(values, "index", None)
    return None if callable(index) else index


def _in_order(values: Any, classes: tuple[str, ...] | None, subject: str) -> Any:
    """A DataFrame's columns in the order of the classes; anything else as it is."""
    columns = getattr(values, "columns", None)
    if columns is None or len(columns) < 2:
        _check_single(values, classes, subject)
        return values
    names = [str(column) for column in columns]
    wanted = tuple(map(str, range(len(names)))) if classes is None else classes
    if sorted(names) != sorted(wanted):
        raise InputError(
            subject,
            f"a DataFrame whose columns are the classes {listed(wanted)}",
            f"the columns {listed(names)}",
            "Rename the columns, give classes=, or give an array in the order of the classes.",
        )
    return values.iloc[:, [names.index(name) for name in wanted]]


def _check_single(values: Any, classes: tuple[str, ...] | None, subject: str) -> None:
    """Refuse a single column that is named after the first class: it would be read as the last's.

    An unnamed DataFrame of one column calls it 0, so that its name can't be trusted either way.
    """
    if _index_of(values) is None or (classes is not None and len(classes) != 2):
        return
    columns = getattr(values, "columns", None)
    name = getattr(values, "name", None) if columns is None else next(iter(columns), None)
    first, last = ("0", "1") if classes is None else classes
    if str(name) == first or (classes is None and name == 0):
        raise InputError(
            subject,
            f"of the second class, {quoted(last)}, where it is a single column",
            f"one named {quoted(str(name))}, like the first class",
            f"Give both columns, or those of {quoted(last)}; if it is of {quoted(last)}, give an "
            "array.",
        )


def _of_probabilities(values: Array, subject: str) -> Array:
    if values.min() < -STORAGE_ROUNDING or values.max() > 1.0 + STORAGE_ROUNDING:
        raise InputError(
            subject,
            "probabilities from 0 to 1",
            f"{values.min():g} to {values.max():g}",
            "If they are logits or log-probabilities, say so with kind.",
        )
    values = np.clip(values, 0.0, 1.0)
    with np.errstate(divide="ignore"):
        if values.ndim == 1:
            return np.stack([np.log1p(-values), np.log(values)], axis=1)
        return np.asarray(np.log(values))


def _of_log_probabilities(values: Array, subject: str) -> Array:
    if values.max() > STORAGE_ROUNDING:
        raise InputError(
            subject,
            "log-probabilities of at most 0",
            f"{values.min():g} to {values.max():g}",
            "If they are logits or probabilities, say so with kind.",
        )
    if values.min() == 0.0 == values.max() or values.ndim == 2:
        return values if values.ndim == 2 else np.stack([np.full_like(values, -np.inf), values], 1)
    values = np.minimum(values, 0.0)
    with np.errstate(divide="ignore"):
        # log(1 - exp(v)) without cancellation at either end (Mächler 2012).
        rest = np.where(values > -np.log(2.0), np.log(-np.expm1(values)), np.log1p(-np.exp(values)))
    return np.stack([rest, values], axis=1)


def _of_logits(values: Array, subject: str) -> Array:
    if not np.isfinite(values).all():
        row = int(np.argmin(np.isfinite(values).reshape(len(values), -1).all(axis=1)))
        raise InputError(
            subject,
            "finite logits",
            f"{values[row].tolist()} in row {row}",
            "Look for what overflowed, or give probabilities.",
        )
    if values.ndim == 1:
        return np.stack([log_sigmoid(-values), log_sigmoid(values)], axis=1)
    return log_softmax(values)


_LOGARITHMS = {
    PROBS: _of_probabilities,
    LOG_PROBS: _of_log_probabilities,
    LOGITS: _of_logits,
}


def class_numbers(y: ArrayLike, names: tuple[str, ...], *, labelled: bool) -> NDArray[np.int64]:
    """The target as column numbers.

    Args:
        y: ``(rows,)`` column numbers or booleans; labels where the classes were named.
        names: of the classes.
        labelled: whether they were given, and y holds labels.

    Raises:
        InputError: a class that has no column, or values that are no classes.
    """
    array = _array_of(y)
    subject = "compare_predictions: y"
    if array.ndim != 1 or not array.size:
        raise InputError(
            subject, "of shape (rows,)", f"shape {array.shape}", "Give one class for each row."
        )
    if labelled:
        levels, codes = np.unique(array.astype(str), return_inverse=True)
        unknown = [level for level in levels.tolist() if level not in names]
        if unknown:
            raise InputError(
                subject,
                f"one of the classes {listed(names)}",
                listed(unknown),
                "Give classes= with every label, in the order of the columns.",
            )
        place = np.array([names.index(level) for level in levels.tolist()], dtype=np.int64)
        return np.asarray(place[codes])
    if array.dtype.kind == "f" and np.array_equal(array, np.floor(array)):
        array = array.astype(np.int64)
    if array.dtype.kind not in "iub":
        raise InputError(
            subject,
            "column numbers from 0, or labels together with classes=",
            f"dtype {array.dtype}",
            "Give classes= with the labels, in the order of the columns.",
        )
    numbers = array.astype(np.int64)
    if numbers.min() < 0 or numbers.max() >= len(names):
        raise InputError(
            subject,
            f"column numbers from 0 to {len(names) - 1}",
            f"{numbers.min()} to {numbers.max()}",
            f"The predictions have {counted(len(names), 'class', 'classes')}; give classes= "
            "if y holds labels.",
        )
    return numbers


def relative_weights(weight: ArrayLike | None, rows: int) -> Array | None:
    """Weights that sum to Kish's effective number of rows, so that their unit does not matter."""
    if weight is None:
        return None
    numbers = _numbers(weight, "compare_predictions: weight")
    sound = numbers.shape == (rows,) and bool((numbers >= 0).all() and np.isfinite(numbers).all())
    if not sound or not numbers.any():
        found = f"shape {numbers.shape}"
        if numbers.shape == (rows,):
            found = f"{numbers.min():g} to {numbers.max():g}"
        raise InputError(
            "compare_predictions: weight",
            f"of shape ({rows},), finite, at least 0 and not all 0",
            found,
            "Give one weight for each row; 0 leaves a row out.",
        )
    numbers = numbers / numbers.max()
    return np.asarray(numbers * (numbers.sum() / np.square(numbers).sum()))


def cluster_numbers(groups: ArrayLike | None, rows: int) -> NDArray[np.int64] | None:
    """Groups as numbers from 0 without gaps."""
    if groups is None:
        return None
    array = _array_of(groups)
    if array.shape != (rows,):
        raise InputError(
            "compare_predictions: groups",
            f"of shape ({rows},)",
            f"shape {array.shape}",
            "Give one group for each row.",
        )
    import pandas as pd

    # As objects: in an array of text a missing value has become the text "nan".
    lacking = pd.isna(array if hasattr(groups, "detach") else np.asarray(groups, dtype=object))
    if lacking.any():
        row = int(np.argmax(lacking))
        raise InputError(
            "compare_predictions: groups",
            "without missing values",
            f"one in row {row}",
            "Name the group of each row; a row of its own is a group of its own.",
        )
    return np.unique(array.astype(str), return_inverse=True)[1].astype(np.int64)

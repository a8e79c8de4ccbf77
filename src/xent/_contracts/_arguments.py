"""Arguments that several losses share."""

from __future__ import annotations

from xent._contracts._contract import Argument, Form
from xent._contracts._domains import (
    ALL_IGNORED,
    AXIS,
    CLASS_INDEX,
    COEFFICIENT,
    FLOATS,
    FRACTION,
    INTEGERS,
    MARK,
    NUMBERS,
    REDUCTION,
    WEIGHT,
)

ROWS = "(*batch, classes, *positions)"
INDICES = "(*batch, *positions)"
ELEMENTS = "(*shape)"

REDUCTION_ARGUMENT = Argument(
    "reduction",
    (Form(REDUCTION),),
    'what becomes of the losses: all of them, their sum, or their "mean"',
    "'mean'",
)
NORMALIZER = Argument(
    "normalizer",
    (Form(COEFFICIENT, "()", FLOATS),),
    'what "mean" divides by instead of its own denominator, as a number or a 0-d tensor',
    "None",
    keyword_only=True,
)
ALL_IGNORED_ARGUMENT = Argument(
    "all_ignored",
    (Form(ALL_IGNORED),),
    'the mean over nothing: "nan" as in PyTorch, or "zero"; the gradient is zero in both',
    "'nan'",
    keyword_only=True,
)


def label_smoothing(spread: str, *, keyword_only: bool) -> Argument:
    """The share of the target that is spread evenly."""
    meaning = f"share of the target that is moved to {spread}"
    return Argument("label_smoothing", (Form(FRACTION),), meaning, "0.0", keyword_only)


# Of the losses of rows.

INDEX_TARGET = Argument("target", (Form(CLASS_INDEX, INDICES, INTEGERS),), "the class of each row")
CLASS_WEIGHT = Argument(
    "weight",
    (Form(WEIGHT, "(classes,)", NUMBERS),),
    "weight of each class; a row counts by the weight of its class",
    "None",
)
IGNORE_INDEX = Argument(
    "ignore_index",
    (Form(MARK),),
    "target of rows that are left out; what stands in them is never read",
    "-100",
)
CLASS_DIM = Argument(
    "class_dim",
    (Form(AXIS),),
    "axis of the classes; None is PyTorch's rule: axis 1, or 0 without a batch",
    "None",
    keyword_only=True,
)
ROW_WEIGHT = Argument(
    "sample_weight",
    (Form(WEIGHT, INDICES, NUMBERS),),
    "weight of each row, in the loss and in the denominator of the mean",
    "None",
    keyword_only=True,
)

# Of the losses of elements.

ELEMENT_WEIGHT = Argument(
    "weight",
    (Form(WEIGHT, f"broadcasts to {ELEMENTS}", NUMBERS),),
    "weight of each element; the mean still divides by the number of elements",
    "None",
)
IGNORED_TARGET = Argument(
    "ignore_index",
    (Form(MARK),),
    "target of elements that are left out, in the loss and in the denominator of the mean",
    "None",
    keyword_only=True,
)
LEADING_WEIGHT = Argument(
    "sample_weight",
    (Form(WEIGHT, "the leading axes of input, such as (batch,)", NUMBERS),),
    "weight of the elements of each row, in the loss and in the denominator of the mean",
    "None",
    keyword_only=True,
)


def pos_weight(*, keyword_only: bool) -> Argument:
    """The weight of the positive class."""
    return Argument(
        "pos_weight",
        (Form(WEIGHT, f"broadcasts to {ELEMENTS}", NUMBERS),),
        "weight of the term of the positive class",
        "None",
        keyword_only,
    )

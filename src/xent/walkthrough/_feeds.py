"""The numbers that go into an implementation, each in the form and dtype that it takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xent._links import log_sigmoid, log_softmax
from xent.walkthrough._inputs import Given
from xent.walkthrough._numbers import to_dtype

Array = NDArray[Any]
# NumPy has no bfloat16.
NUMPY_DTYPES = {"float16": "float16", "bfloat16": "float32", "float32": "float32",
                "float64": "float64"}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Feed:
    """What a loss is given.

    Args:
        loss: the loss of the contract table that these numbers are right for.
        form: what they are, in words: ``"logits"``.
        values: the same numbers in float64, without rounding.
        dtype: the dtype that they are in.
        shapes: shape and dtype of input and target, in words.
    """

    loss: str
    form: str
    values: NDArray[np.float64]
    dtype: str
    shapes: str

    @property
    def of_probabilities(self) -> bool:
        """Whether they are probabilities or were: what has rounded to 0 or 1 stays so."""
        return self.form.startswith(("probabilities", "sigmoid", "log of"))


def sigmoid(z: Array) -> Array:
    """1 / (1 + exp(-z)), as one writes it first."""
    return np.asarray(1 / (1 + np.exp(-z)))


def softmax(x: Array) -> Array:
    """exp(x) over its sum in each row, as one writes it first."""
    numerator = np.exp(x)
    return np.asarray(numerator / numerator.sum(axis=1, keepdims=True))


def in_numpy(given: Given) -> Array:
    """The numbers in their dtype."""
    return given.values.astype(NUMPY_DTYPES[given.dtype])


def probabilities_in_numpy(given: Given) -> Array:
    """The probabilities, computed in the dtype of the numbers."""
    values = in_numpy(given)
    if given.kind == "logits":
        return softmax(values) if given.of_rows else sigmoid(values)
    return values if given.kind == "probabilities" else np.asarray(np.exp(values))


def stable_probabilities(given: Given) -> NDArray[np.float64]:
    """The probabilities without overflow, rounded to the dtype of the numbers once."""
    values = given.values
    if given.kind == "logits":
        values = np.exp(log_softmax(values) if given.of_rows else log_sigmoid(values))
    elif given.kind == "log-probabilities":
        values = np.exp(values)
    return to_dtype(np.asarray(values), given.dtype)


def one_hot(given: Given) -> Array:
    """The target of rows as one column for each class; nothing but 0 where a row is ignored."""
    kind = NUMPY_DTYPES[given.dtype]
    if given.soft:
        return given.target.astype(kind)
    columns = np.zeros(given.values.shape, dtype=kind)
    counted = np.flatnonzero(given.counted)
    columns[counted, given.target[counted]] = 1
    return columns


def in_torch(values: Array, dtype: str) -> Any:
    """A tensor of float64 numbers in a dtype that holds them."""
    import torch

    return torch.from_numpy(np.array(values, dtype=np.float64)).to(getattr(torch, dtype))


def target_in_torch(given: Given) -> Any:
    """The target as the loss of its contract takes it in PyTorch."""
    import torch

    if given.of_rows and not given.soft:
        return torch.from_numpy(np.array(given.target, dtype=np.int64))
    return in_torch(given.target, given.dtype)


def of_tensor(tensor: Any) -> NDArray[np.float64]:
    """A tensor's numbers in float64."""
    return np.asarray(tensor.detach().double().numpy())


def in_words(*arrays: Any) -> str:
    """Shapes and dtypes of arrays or tensors: input, then target."""
    return ", ".join(
        f"{tuple(array.shape)} {str(array.dtype).removeprefix('torch.')}" for array in arrays
    )

"""What a learner can have: a task, a last layer and a target, with numbers that stand for each.

The last layers are those of the contract table's domains. The numbers are small enough to be
checked by hand; the examples of ``xent which`` are made of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xent._contracts import CONTRACTS, Contract, Domain
from xent._errors import InputError

TASKS = {
    "binary": "each row is a yes or a no",
    "multiclass": "each row is one class out of several",
    "multilabel": "each row is several yeses and noes, each by itself",
}
LAST_LAYERS = {
    "none": "the outputs are logits",
    "sigmoid": "the outputs are probabilities, each by itself",
    "softmax": "the outputs of a row are probabilities that sum to one",
    "log_softmax": "the outputs are the logarithms of a softmax",
}
TARGET_FORMS = {
    "indices": "the number of the class, as a whole number",
    "one-hot": "a column for each class, 1 where it applies and 0 elsewhere",
    "probabilities": "how likely each class is, between 0 and 1",
    "floats": "the label as a floating-point number, such as 1.0",
}


@dataclass(frozen=True)
class Combination:
    """A task, the last layer of the model and the form of the target.

    Args:
        task: one of ``TASKS``.
        last_layer: one of ``LAST_LAYERS``.
        target: one of ``TARGET_FORMS``.
    """

    task: str
    last_layer: str
    target: str

    @property
    def output_domain(self) -> Domain:
        """What the last layer gives."""
        return domain_of(self.last_layer)

    @property
    def one_output(self) -> bool:
        """Whether a row has a single output: a yes or no without a softmax."""
        return self.task == "binary" and self.last_layer in ("none", "sigmoid")

    @property
    def rows(self) -> bool:
        """Whether a row of outputs is one choice, rather than yeses and noes by themselves."""
        return self.task != "multilabel" and not self.one_output

    @property
    def output_shape(self) -> str:
        """The shape of the outputs in the letters of the answer: N rows, C classes."""
        if self.one_output:
            return "(N,)"
        return "(N, 2)" if self.task == "binary" else "(N, C)"

    @property
    def target_shape(self) -> str:
        """The shape of the target, likewise."""
        if self.target == "one-hot" or (self.target == "probabilities" and self.task != "binary"):
            return "(N, 2)" if self.task == "binary" else "(N, C)"
        if self.task == "multilabel":
            return "(N, C)" if self.target == "floats" else "lists"
        return "(N,)"

    @property
    def target_dtype(self) -> str:
        """The dtype of the target that PyTorch makes of such numbers."""
        return "int64" if self.target in ("indices", "one-hot") else "float32"


def domain_of(last_layer: str) -> Domain:
    """The domain of what a last layer gives, from the contract table.

    >>> domain_of("log_softmax").plural
    'log-probabilities'
    """
    return next(
        form.domain
        for contract in CONTRACTS.values()
        for argument in contract.arguments
        for form in argument.forms
        if form.domain.last_layer == last_layer
    )


def every_combination(
    task: str | None = None, last_layer: str | None = None, target: str | None = None
) -> Iterator[Combination]:
    """All combinations, or those with what is given."""
    for one_task in TASKS if task is None else (task,):
        for one_layer in LAST_LAYERS if last_layer is None else (last_layer,):
            for one_target in TARGET_FORMS if target is None else (target,):
                yield Combination(one_task, one_layer, one_target)


def check_words(
    task: str | None, last_layer: str | None, target: str | None, *, all_of_them: bool = False
) -> None:
    """Refuse a word that is not in the tables, and say which is near.

    Args:
        task: None where it is left open, and so on.
        last_layer: likewise.
        target: likewise.
        all_of_them: whether none may be left open.

    Raises:
        InputError: for an unknown word.
    """
    from difflib import get_close_matches

    given = (("task", task, TASKS), ("last_layer", last_layer, LAST_LAYERS),
             ("target", target, TARGET_FORMS))  # fmt: skip
    for argument, word, known in given:
        if (word is None and not all_of_them) or (isinstance(word, str) and word in known):
            continue
        near = get_close_matches(str(word), known, n=1, cutoff=0.4)
        repair = f"Did you mean {near[0]!r}?" if near else f"Give {argument}={next(iter(known))!r}."
        raise InputError(f"which: {argument}", f"one of {', '.join(known)}", repr(word), repair)


# The numbers of the examples.

LOGITS: dict[str, NDArray[np.float64]] = {
    "binary": np.array([-0.1, 2.0, 3.0, 0.5]),
    "multiclass": np.array([[2.0, 0.5, -1.0], [1.0, 0.0, 3.0]]),
    "multilabel": np.array([[2.0, -1.0, 0.5], [-3.0, 1.0, -0.5]]),
}
_LABELS = {
    "binary": np.array([0, 1, 1, 0]),
    "multiclass": np.array([0, 2]),
    "multilabel": np.array([[1, 0, 1], [0, 1, 0]]),
}
_LIKELY = {
    "binary": np.array([0.25, 1.0, 0.75, 0.0]),
    "multiclass": np.array([[0.75, 0.25, 0.0], [0.0, 0.5, 0.5]]),
    "multilabel": np.array([[1.0, 0.25, 0.75], [0.0, 0.5, 0.0]]),
}


def outputs_before_the_last_layer(combination: Combination) -> NDArray[np.float64]:
    """The logits of the example; two columns (0, z) where a softmax needs two of them."""
    logits = LOGITS[combination.task]
    if combination.output_shape != "(N, 2)":
        return logits
    return np.stack([np.zeros_like(logits), logits], axis=1)


def example_target(combination: Combination) -> NDArray[np.float64 | np.int64]:
    """The target of the example in its form."""
    labels = _LABELS[combination.task]
    if combination.target == "probabilities":
        return _LIKELY[combination.task]
    if combination.target == "floats":
        return labels.astype(np.float64)
    if combination.target == "one-hot" and combination.task != "multilabel":
        classes = LOGITS["multiclass"].shape[1] if combination.task == "multiclass" else 2
        return np.asarray(np.eye(classes, dtype=np.int64)[labels])
    return labels


def of_rows(contract: Contract) -> bool:
    """Whether a loss takes rows (one class out of several) rather than elements."""
    return "classes" in contract.argument("input").forms[0].shape


def is_a_loss(contract: Contract) -> bool:
    """Whether it gives one number that can be minimised."""
    return contract.denominator is not None

"""One loss on given numbers, step by step."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from xent._contracts import CONTRACTS
from xent.walkthrough import _steps_elements as by_element
from xent.walkthrough import _steps_focal as focal
from xent.walkthrough import _steps_rows as by_row
from xent.walkthrough._computed_elements import elements as computed_elements
from xent.walkthrough._computed_rows import rows as computed_rows
from xent.walkthrough._exact import digits
from xent.walkthrough._explanation import Explanation, Step
from xent.walkthrough._given import Given
from xent.walkthrough._inputs import read_given
from xent.walkthrough._loss_curve import curve_of_elements, curve_of_rows
from xent.walkthrough._numbers import Array
from xent.walkthrough._steps_shared import (
    counted_kind,
    exact_value,
    label_of,
    losses_of,
    names_of,
    numerical_gradient,
    reduced,
    reduction_step,
    result_step,
)
from xent.walkthrough._tables import Block, Table, column, shown_rows

# Losses whose every step is known; of others the definition says what the loss is.
STEPPED = {
    "binary_cross_entropy": CONTRACTS["binary_cross_entropy"].definition,
    "binary_cross_entropy_with_logits": CONTRACTS["binary_cross_entropy_with_logits"].definition,
    "cross_entropy": CONTRACTS["cross_entropy"].definition,
    "nll_loss": CONTRACTS["nll_loss"].definition,
}
FOCAL = {
    "sigmoid_focal_loss": CONTRACTS["sigmoid_focal_loss"].definition,
    "softmax_focal_loss": CONTRACTS["softmax_focal_loss"].definition,
}


def explain(
    logits: Any = None,
    targets: Any = None,
    *,
    probabilities: Any = None,
    log_probabilities: Any = None,
    task: str | None = None,
    loss: str | None = None,
    dtype: Any = None,
    class_dim: int | None = None,
    weight: Any = None,
    pos_weight: Any = None,
    sample_weight: Any = None,
    ignore_index: int | None = None,
    label_smoothing: float | None = None,
    reduction: str = "mean",
    **options: Any,
) -> Explanation:
    r"""Walk through the calculation of a cross-entropy on given numbers.

    Input, activation, prediction, target, logarithm, loss of each sample, weights, reduction; then
    the stable form, where the naive one breaks on these numbers, and the gradient
    :math:`p - y`. The result is exact: the definition of the loss in arithmetic of 240 bits.

    Args:
        logits: outputs of the model before sigmoid or softmax: a tensor, an array, lists, text such
            as ``"1 2; 3 4"``, or the path of a .csv, .tsv, .npy, .npz or .json file. Shape ``(N,)``
            for a yes or no each, ``(N, C)`` for one class out of C each or for C yes or no each.
        targets: in the same ways: labels 0 and 1 or probabilities in the shape of the outputs, or
            class indices of shape ``(N,)``.
        probabilities: instead of logits, outputs after sigmoid or softmax.
        log_probabilities: instead of logits, outputs after log-softmax.
        task: ``"binary"``, ``"multiclass"`` or ``"multilabel"``; needed only where outputs and
            targets of shape ``(N, C)`` could be either of the last two.
        loss: a loss of ``xent.functional`` by name; None follows from the rest.
        dtype: round the numbers to it first, such as ``"float32"`` or ``torch.float32``; None
            leaves them.
        class_dim: the axis of the classes; None is PyTorch's rule.
        weight: of each class, or of each element for a yes or no.
        pos_weight: of the term of 1.
        sample_weight: of each row.
        ignore_index: the target that marks what is left out.
        label_smoothing: the share of the target that is spread evenly.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.
        options: the other arguments of the loss by name, such as ``gamma``.

    Returns:
        The steps with their numbers; printed, it is text, and a notebook shows it as HTML.

    Raises:
        InputError: the numbers can't be read, or it isn't said what they are.
        ContractError: they don't fit the contract of the loss.

    >>> explanation = explain(logits=[-0.1, 2.0, 3.0, 0.5], targets=[0, 1, 1, 0])
    >>> explanation.value
    0.448497251717598
    >>> print(explanation.step("gradient").formula)
    dL/dz = p - t
    """
    given = read_given(
        logits, probabilities, log_probabilities, targets, task=task, loss=loss, dtype=dtype,
        class_dim=class_dim, weight=weight, pos_weight=pos_weight, sample_weight=sample_weight,
        ignore_index=ignore_index, label_smoothing=label_smoothing, reduction=reduction, **options,
    )  # fmt: skip
    return explained(given)


def explained(given: Given) -> Explanation:
    """The explanation of what was read."""
    contract = given.contract
    losses = losses_of(given)
    exact = exact_value(given)
    steps = _steps(given, losses)
    value = None
    if given.reduction != "none":
        value = reduced(given, losses) if exact is None else float(exact)
        steps.append(result_step(given, losses, exact))
    curve = curve_of_rows if given.of_rows else curve_of_elements
    return Explanation(
        loss=contract.name,
        summary=contract.summary,
        given=_sentence(given),
        steps=tuple(steps),
        value=value,
        exact="" if exact is None else digits(exact),
        rows=tuple(losses.tolist()),
        # Of other losses the curve of cross-entropy isn't the one that the samples lie on.
        curve=curve(given, losses) if _is_of(STEPPED, given) else None,
        options={**given.options, "reduction": given.reduction},
    )


def _steps(given: Given, losses: Array) -> list[Step]:
    stepped, focused = _is_of(STEPPED, given), _is_of(FOCAL, given)
    reduction = reduction_step(given, losses)
    if given.of_rows:
        rows = computed_rows(given)
        steps = by_row.first_steps(rows)
        if stepped:
            return [*steps, *by_row.loss_steps(rows, losses), reduction, *by_row.last_steps(rows)]
        if focused:
            loss = focal.loss_of_rows(rows, losses)
            return [*steps, loss, reduction, focal.gradient_of_rows(rows)]
    else:
        elements = computed_elements(given)
        steps = by_element.first_steps(elements)
        if stepped:
            of_each = by_element.loss_steps(elements, losses)
            return [*steps, *of_each, reduction, *by_element.last_steps(elements)]
        if focused:
            loss = focal.loss_of_elements(elements, losses)
            return [*steps, loss, reduction, focal.gradient_of_elements(elements)]
    return [*steps, _defined_loss(given, losses), reduction, _defined_gradient(given)]


def _is_of(known: Mapping[str, Any], given: Given) -> bool:
    """Whether the loss is a known one, and still has its own definition."""
    return known.get(given.loss) is given.contract.definition


def _defined_loss(given: Given, losses: Array) -> Step:
    """The loss of a contract by its definition alone."""
    contract = given.contract
    table = Table(label_of(given), names_of(given), (column("loss", losses),))
    return Step("loss", "Loss of each row" if given.of_rows else "Loss of each sample",
                contract.options_formula, contract.latex, contract.summary, (table,))  # fmt: skip


def _defined_gradient(given: Given) -> Step:
    """The gradient of a definition by exact differences, of the rows that are shown."""
    names = names_of(given)
    positions = shown_rows(len(names))
    slope = numerical_gradient(given, positions)
    headings: tuple[str, ...] = ("gradient",)
    if given.of_rows:
        headings = tuple(f"class {place}" for place in range(slope.shape[1]))
    sentence = (
        "The slope of the reduced loss by each number of the input, from differences of the "
        "definition in arithmetic of 240 bits."
    )
    table = Table(label_of(given), [names[row] for row in positions], (Block(headings, slope),))
    return Step("gradient", "Gradient", "dL/dx", r"\frac{\partial L}{\partial x}", sentence,
                (table,))  # fmt: skip


def _sentence(given: Given) -> str:
    """What was given, with the options that were."""
    numbers = counted_kind(1, given.kind)
    if math.prod(given.shape) != 1:
        numbers = f"{'x'.join(f'{size:,}' for size in given.shape)} {given.kind}"
    told = [f"{given.task}: {numbers} in {given.dtype} from {given.source}"]
    for name, value in given.options.items():
        told.append(f"{name} {_few(value) if isinstance(value, np.ndarray) else value}")
    told.append(f"reduction {given.reduction}")
    return "; ".join(told)


def _few(array: Array) -> str:
    """The first numbers of an array."""
    first = ", ".join(f"{value:g}" for value in array.ravel()[:6])
    return f"{first}, ..." if array.size > 6 else first

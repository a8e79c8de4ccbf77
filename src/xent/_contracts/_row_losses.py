"""What each loss of rows is: the textbook's formula, stable, for any array namespace.

``xp`` is numpy, torch or another module with their functions. These are for explaining and for
testing; nothing here is fast. Beside them stands what the mean divides by.
"""

from __future__ import annotations

from typing import Any

from xent._contracts._arrays import Array, Namespace, product


def _classes_last(xp: Namespace, input: Array, class_dim: int | None) -> Array:
    axis = class_dim if class_dim is not None else min(1, len(input.shape) - 1)
    return xp.moveaxis(input, axis, -1)


def _of_rows(input: Array, array: Array | None) -> Array | None:
    """One number per row, where for an input without a batch PyTorch allows an axis of one."""
    return array if array is None or len(input.shape) > 1 else array.reshape(())


def _transformed(
    xp: Namespace,
    logits: Array,
    softcap: float | None,
    temperature: float | None,
    logit_adjustment: Array | None,
) -> Array:
    """The logits that the softmax sees (classes last): capped, then divided, then adjusted."""
    if softcap is not None:
        logits = softcap * xp.tanh(logits / softcap)
    if temperature is not None:
        logits = logits / temperature
    return logits if logit_adjustment is None else logits + logit_adjustment


def _negative_log_softmax(xp: Namespace, x: Array) -> tuple[Array, Array]:
    """-log softmax over the last axis, and the log-sum-exp of each row.

    The largest term is left out of the sum and comes back as the 1 of log1p: a confident row
    keeps its digits.
    """
    top = xp.argmax(x, axis=-1)[..., None]
    is_top = xp.arange(x.shape[-1]) == top
    largest = xp.sum(xp.where(is_top, x, 0.0), axis=-1)[..., None]
    others = xp.where(is_top, 0.0, xp.exp(x - largest))
    log_rest = xp.log1p(xp.sum(others, axis=-1))
    return (largest - x) + log_rest[..., None], largest[..., 0] + log_rest


def _at_target(xp: Namespace, x: Array, target: Array) -> Array:
    """The entry of each row at its class index."""
    chosen = xp.arange(x.shape[-1]) == target[..., None]
    return xp.sum(xp.where(chosen, x, 0.0), axis=-1)


def _class_weights(xp: Namespace, x: Array, weight: Array | None) -> Array:
    return xp.ones_like(x) if weight is None else weight + xp.zeros_like(x)


def _weighted_rows(
    xp: Namespace, loss: Array, target: Array, ignore_index: int, sample_weight: Array | None
) -> Array:
    if sample_weight is not None:
        loss = product(xp, sample_weight + xp.zeros_like(loss), loss)
    return xp.where(target != ignore_index, loss, 0.0)


def _readable(xp: Namespace, x: Array, target: Array, ignore_index: int) -> Array:
    """The input (classes last) with ignored rows, which are never read, replaced by zeros."""
    return xp.where((target != ignore_index)[..., None], x, 0.0)


def _is_soft(input: Array, target: Array) -> bool:
    return tuple(target.shape) == tuple(input.shape)


def cross_entropy(
    xp: Namespace,
    *,
    input: Array,
    target: Array,
    weight: Array | None = None,
    sample_weight: Array | None = None,
    class_dim: int | None = None,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
    z_loss: float = 0.0,
    softcap: float | None = None,
    temperature: float | None = None,
    logit_adjustment: Array | None = None,
) -> Array:
    """-sum_c t_c log softmax(x)_c for class probabilities, -log softmax(x)_y for a class index."""
    x = _classes_last(xp, input, class_dim)
    soft = _is_soft(input, target)
    sample_weight = _of_rows(input, sample_weight)
    if not soft:
        target = _of_rows(input, target)
        x = _readable(xp, x, target, ignore_index)
    x = _transformed(xp, x, softcap, temperature, logit_adjustment)
    losses, log_sum_exp = _negative_log_softmax(xp, x)
    w = _class_weights(xp, x, weight)
    share = label_smoothing / x.shape[-1]
    penalty = z_loss * log_sum_exp**2
    if soft:
        t = (1 - label_smoothing) * _classes_last(xp, target, class_dim) + share
        loss = xp.sum(product(xp, w * t, losses), axis=-1) + penalty
        return loss if sample_weight is None else product(xp, sample_weight, loss)
    hard = (1 - label_smoothing) * _at_target(xp, losses, target) + penalty
    loss = product(xp, _at_target(xp, w, target), hard)
    if label_smoothing:
        loss = loss + share * xp.sum(product(xp, w, losses), axis=-1)
    return _weighted_rows(xp, loss, target, ignore_index, sample_weight)


def nll_loss(
    xp: Namespace,
    *,
    input: Array,
    target: Array,
    weight: Array | None = None,
    sample_weight: Array | None = None,
    class_dim: int | None = None,
    ignore_index: int = -100,
) -> Array:
    """-log p_y, read from log-probabilities."""
    target, sample_weight = _of_rows(input, target), _of_rows(input, sample_weight)
    x = _readable(xp, _classes_last(xp, input, class_dim), target, ignore_index)
    w = _at_target(xp, _class_weights(xp, x, weight), target)
    loss = product(xp, w, -_at_target(xp, x, target))
    return _weighted_rows(xp, loss, target, ignore_index, sample_weight)


def softmax_focal_loss(
    xp: Namespace,
    *,
    input: Array,
    target: Array,
    weight: Array | None = None,
    gamma: float = 2.0,
    sample_weight: Array | None = None,
    class_dim: int | None = None,
    ignore_index: int = -100,
) -> Array:
    """(1 - p_y)^gamma times -log p_y."""
    target, sample_weight = _of_rows(input, target), _of_rows(input, sample_weight)
    x = _readable(xp, _classes_last(xp, input, class_dim), target, ignore_index)
    loss = _at_target(xp, _negative_log_softmax(xp, x)[0], target)
    w = _at_target(xp, _class_weights(xp, x, weight), target)
    focused = product(xp, w * (-xp.expm1(-loss)) ** gamma, loss)
    return _weighted_rows(xp, focused, target, ignore_index, sample_weight)


def cross_entropy_statistics(
    xp: Namespace,
    *,
    input: Array,
    target: Array,
    class_dim: int | None = None,
    ignore_index: int = -100,
) -> tuple[Array, Array, Array, Array]:
    """The nll, log-sum-exp, entropy and most likely class of each row; of ignored rows 0 and -1."""
    target = _of_rows(input, target)
    counted = target != ignore_index
    x = _readable(xp, _classes_last(xp, input, class_dim), target, ignore_index)
    losses, log_sum_exp = _negative_log_softmax(xp, x)
    nll = _at_target(xp, losses, target)
    entropy = xp.sum(product(xp, xp.exp(-losses), losses), axis=-1)
    no_class = -2 if ignore_index == -1 else -1
    prediction = xp.where(counted, xp.argmax(x, axis=-1), no_class)
    nll, log_sum_exp, entropy = (
        xp.where(counted, value, 0.0) for value in (nll, log_sum_exp, entropy)
    )
    return nll, log_sum_exp, entropy, prediction


def rows_denominator(
    xp: Namespace,
    *,
    input: Array,
    target: Array,
    weight: Array | None = None,
    sample_weight: Array | None = None,
    class_dim: int | None = None,
    ignore_index: int = -100,
    **_: Any,
) -> Array:
    """The sum of weight[target] over rows that aren't ignored; rows, for class probabilities."""
    x = _classes_last(xp, input, class_dim)
    sample_weight = _of_rows(input, sample_weight)
    if _is_soft(input, target):
        share = xp.ones_like(x[..., 0])
        return xp.sum(share if sample_weight is None else share * sample_weight)
    target = _of_rows(input, target)
    share = _at_target(xp, _class_weights(xp, xp.zeros_like(x), weight), target)
    if sample_weight is not None:
        share = share * sample_weight
    return xp.sum(xp.where(target == ignore_index, 0.0, share))

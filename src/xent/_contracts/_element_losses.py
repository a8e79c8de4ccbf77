"""What each loss of elements is: the textbook's formula, stable, for any array namespace.

``xp`` is numpy, torch or another module with their functions. These are for explaining and for
testing; nothing here is fast. Beside them stands what the mean divides by.
"""

from __future__ import annotations

from typing import Any

from xent._contracts._arrays import Array, Namespace, product

LOWEST_LOG = -100.0  # PyTorch's convention for the logarithm of a probability of zero


def _softplus(xp: Namespace, x: Array) -> Array:
    """log(1 + exp(x)), without overflow."""
    return xp.where(x > 0, x, 0.0) + xp.log1p(xp.exp(-xp.abs(x)))


def _smoothed(xp: Namespace, input: Array, target: Array, label_smoothing: float) -> Array:
    like_input = target + xp.zeros_like(input)
    return (1 - label_smoothing) * like_input + label_smoothing / 2


def _valid(xp: Namespace, target: Array, ignore_index: int | None) -> Array:
    if ignore_index is None:
        return xp.ones_like(target) == 1
    return target != ignore_index


def _over_elements(sample_weight: Array, input: Array) -> Array:
    trailing = (1,) * (len(input.shape) - len(sample_weight.shape))
    return sample_weight.reshape(tuple(sample_weight.shape) + trailing)


def _weighted_elements(
    xp: Namespace,
    loss: Array,
    target: Array,
    ignore_index: int | None,
    weight: Array | None,
    sample_weight: Array | None,
) -> Array:
    if weight is not None:
        loss = product(xp, weight + xp.zeros_like(loss), loss)
    if sample_weight is not None:
        loss = product(xp, _over_elements(sample_weight, loss) + xp.zeros_like(loss), loss)
    return xp.where(_valid(xp, target, ignore_index), loss, 0.0)


def _without_ignored(
    xp: Namespace, array: Array, target: Array, ignore_index: int | None, harmless: float
) -> Array:
    return xp.where(_valid(xp, target, ignore_index), array, harmless)


def elements_denominator(
    xp: Namespace,
    *,
    input: Array,
    target: Array,
    sample_weight: Array | None = None,
    ignore_index: int | None = None,
    **_: Any,
) -> Array:
    """The number of elements that are not ignored, or the sum of their sample weights."""
    valid = _valid(xp, target, ignore_index)
    share = xp.ones_like(input)
    if sample_weight is not None:
        share = share * _over_elements(sample_weight, input)
    return xp.sum(xp.where(valid, share, 0.0))


def binary_cross_entropy(
    xp: Namespace,
    *,
    input: Array,
    target: Array,
    weight: Array | None = None,
    pos_weight: Array | None = None,
    sample_weight: Array | None = None,
    label_smoothing: float = 0.0,
    ignore_index: int | None = None,
) -> Array:
    """-[pos_weight t log p + (1 - t) log(1 - p)], both logarithms at least -100."""
    p = _without_ignored(xp, input, target, ignore_index, 0.5)
    t = _smoothed(xp, p, _without_ignored(xp, target, target, ignore_index, 0), label_smoothing)
    log_p = xp.log(xp.where(p == 0, 1.0, p))
    log_p = xp.where((p == 0) | (log_p < LOWEST_LOG), LOWEST_LOG, log_p)
    log_q = xp.log1p(-xp.where(p == 1, 0.0, p))
    log_q = xp.where((p == 1) | (log_q < LOWEST_LOG), LOWEST_LOG, log_q)
    positive = t if pos_weight is None else t * pos_weight
    loss = -(product(xp, positive, log_p) + product(xp, 1 - t, log_q))
    return _weighted_elements(xp, loss, target, ignore_index, weight, sample_weight)


def binary_cross_entropy_with_logits(
    xp: Namespace,
    *,
    input: Array,
    target: Array,
    weight: Array | None = None,
    pos_weight: Array | None = None,
    sample_weight: Array | None = None,
    label_smoothing: float = 0.0,
    ignore_index: int | None = None,
) -> Array:
    """pos_weight t softplus(-z) + (1 - t) softplus(z)."""
    z = _without_ignored(xp, input, target, ignore_index, 0.0)
    t = _smoothed(xp, z, _without_ignored(xp, target, target, ignore_index, 0), label_smoothing)
    positive = t if pos_weight is None else t * pos_weight
    loss = product(xp, positive, _softplus(xp, -z)) + product(xp, 1 - t, _softplus(xp, z))
    return _weighted_elements(xp, loss, target, ignore_index, weight, sample_weight)


def sigmoid_focal_loss(
    xp: Namespace,
    *,
    input: Array,
    target: Array,
    alpha: float | None = 0.25,
    gamma: float = 2.0,
    **options: Any,
) -> Array:
    """alpha_t (1 - p_t)^gamma times the binary cross entropy; alpha below 0 or None: no alpha_t."""
    ignore_index = options.get("ignore_index")
    z = _without_ignored(xp, input, target, ignore_index, 0.0)
    t = _without_ignored(xp, target, target, ignore_index, 0) + xp.zeros_like(z)
    cross_entropy = product(xp, t, _softplus(xp, -z)) + product(xp, 1 - t, _softplus(xp, z))
    log_p, log_q = -_softplus(xp, -z), -_softplus(xp, z)
    missed = xp.exp(log_q) * t + xp.exp(log_p) * (1 - t)
    loss = product(xp, missed**gamma, cross_entropy)
    if alpha is not None and alpha >= 0:
        loss = product(xp, alpha * t + (1 - alpha) * (1 - t), loss)
    return _weighted_elements(
        xp, loss, target, ignore_index, options.get("weight"), options.get("sample_weight")
    )

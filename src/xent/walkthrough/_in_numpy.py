"""The implementations on arrays: by hand, SciPy's and scikit-learn's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from xent.walkthrough import _definitions as by_hand
from xent.walkthrough import _feeds as feeds
from xent.walkthrough._feeds import Feed
from xent.walkthrough._implementations import (
    INFINITE_LOGITS,
    LOG_OF_ZERO,
    NAN_OF_ZERO,
    ONE_BY_ONE,
    Implementation,
    Skipped,
)
from xent.walkthrough._inputs import Given

PLAIN_LOSSES = (
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "cross_entropy",
    "nll_loss",
)


def of_definitions(given: Given, skipped: list[Skipped]) -> Iterator[Implementation]:
    if _has_options(given, "NumPy, by hand", skipped):
        return
    if given.of_rows:
        yield from _of_rows_by_hand(given)
        return
    z, p = feeds.in_numpy(given).ravel(), feeds.probabilities_in_numpy(given).ravel()
    y = given.target.astype(p.dtype).ravel()
    fed = _fed("binary_cross_entropy", "probabilities", p, y, given)
    yield _by_hand("binary, loop", lambda: by_hand.binary_by_loop(p, y), fed, LOG_OF_ZERO)
    yield _by_hand("binary, vectorised", lambda: by_hand.binary_vectorised(p, y), fed, NAN_OF_ZERO)
    if given.kind == "logits":
        fed = _fed("binary_cross_entropy_with_logits", "logits", z, y, given)
        yield _by_hand(
            "binary, logsigmoid", lambda: by_hand.binary_by_logsigmoid(z, y), fed, INFINITE_LOGITS
        )
    else:
        two = np.stack([1 - p, p], axis=1)
        t = np.stack([1 - y, y], axis=1)
        fed = _fed("binary_cross_entropy", "probabilities", p, y, given, two, t)
        yield _by_hand(
            "two-class cross entropy", lambda: by_hand.multiclass_vectorised(two, t), fed,
            NAN_OF_ZERO,
        )  # fmt: skip


def _of_rows_by_hand(given: Given) -> Iterator[Implementation]:
    x, p, t = feeds.in_numpy(given), feeds.probabilities_in_numpy(given), feeds.one_hot(given)
    y = t if given.soft else given.target
    fed = _fed(given.loss, "probabilities", p, y, given, p, y)
    yield _by_hand("multiclass, loop", lambda: by_hand.multiclass_by_loop(p, y), fed, LOG_OF_ZERO)
    fed = _fed(given.loss, "probabilities", p, y, given, p, t)
    yield _by_hand(
        "multiclass, vectorised", lambda: by_hand.multiclass_vectorised(p, t), fed, NAN_OF_ZERO
    )
    if given.kind == "probabilities":
        return
    fed = _fed("cross_entropy", given.kind, x, y, given, x, t)
    yield _by_hand(
        "multiclass, log-sum-exp", lambda: by_hand.multiclass_by_log_sum_exp(x, t), fed,
        INFINITE_LOGITS,
    )  # fmt: skip


def _by_hand(name: str, call: Callable[[], Any], fed: Feed, weakness: str) -> Implementation:
    return Implementation("NumPy, by hand", name, call, fed, ONE_BY_ONE, weakness=weakness)


def _fed(loss: str, form: str, values: Any, target: Any, given: Given, *shown: Any) -> Feed:
    """What NumPy was given; probabilities of rows stand for the logarithms that the loss takes."""
    numbers = np.asarray(values, dtype=np.float64)
    if form == "probabilities" and given.of_rows:
        with np.errstate(divide="ignore", invalid="ignore"):
            numbers = np.log(numbers)
    words = feeds.in_words(*(shown or (values, target)))
    return Feed(loss, form, numbers, feeds.NUMPY_DTYPES[given.dtype], words)


def of_scipy(given: Given, skipped: list[Skipped]) -> Iterator[Implementation]:
    if _has_options(given, "SciPy", skipped):
        return
    from scipy.special import expit, log_softmax, xlogy
    from scipy.special import softmax as stable_softmax

    x = feeds.in_numpy(given)
    if not given.of_rows:
        p = expit(x) if given.kind == "logits" else x
        y = given.target.astype(p.dtype)
        fed = _fed("binary_cross_entropy", "probabilities", p, y, given)
        yield Implementation(
            "SciPy", "xlogy", lambda: -np.mean(xlogy(y, p) + xlogy(1 - y, 1 - p)), fed,
            weakness=LOG_OF_ZERO,
        )  # fmt: skip
        return
    t = feeds.one_hot(given)
    p = stable_softmax(x, axis=1) if given.kind == "logits" else feeds.probabilities_in_numpy(given)
    fed = _fed(given.loss, "probabilities", p, t, given)
    yield Implementation(
        "SciPy", "xlogy", lambda: -np.mean(np.sum(xlogy(t, p), axis=1)), fed,
        weakness=LOG_OF_ZERO,
    )  # fmt: skip
    if given.kind == "logits":
        fed = _fed("cross_entropy", "logits", x, t, given)
        yield Implementation(
            "SciPy", "log_softmax", lambda: -np.mean(np.sum(t * log_softmax(x, axis=1), axis=1)),
            fed, weakness=INFINITE_LOGITS,
        )  # fmt: skip


def of_sklearn(given: Given, skipped: list[Skipped]) -> Iterator[Implementation]:
    if _has_options(given, "scikit-learn", skipped):
        return
    if given.soft or (not given.of_rows and not np.isin(given.target, (0, 1)).all()):
        skipped.append(Skipped("scikit-learn", "log_loss takes labels, no probabilities"))
        return
    from sklearn.metrics import log_loss

    p, y = feeds.probabilities_in_numpy(given), given.target
    if given.of_rows:
        columns = p
        fed = _fed(given.loss, "probabilities", p, y, given)
    else:
        p, y = p.ravel(), y.ravel()
        columns = np.column_stack([1 - p, p])
        fed = _fed("binary_cross_entropy", "probabilities", p, y, given, columns, y)
    labels = np.arange(columns.shape[1])
    eps = float(np.finfo(p.dtype).eps)
    yield Implementation(
        "scikit-learn", "log_loss", lambda: log_loss(y, columns, labels=labels), fed,
        weakness=f"probabilities are clipped to [eps, 1 - eps], eps = {eps:.1e}", edge=eps,
    )  # fmt: skip


def _has_options(given: Given, name: str, skipped: list[Skipped]) -> bool:
    """Whether the numbers ask for more than a plain cross-entropy, which is all there is here."""
    wants = [*given.options, *(["reduction='sum'"] if given.reduction == "sum" else [])]
    if given.loss not in PLAIN_LOSSES:
        wants = [given.loss]
    if wants:
        skipped.append(Skipped(name, f"knows no {', '.join(wants)}"))
    return bool(wants)

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
from xent.walkthrough._shares import Shares, shares_of

PLAIN_LOSSES = (
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "cross_entropy",
    "nll_loss",
)
# Options that only weigh terms, leave some out, or change what the sum is divided by.
_WEIGHING = ("weight", "pos_weight", "sample_weight", "ignore_index", "normalizer", "all_ignored")


def of_definitions(given: Given, skipped: list[Skipped]) -> Iterator[Implementation]:
    if _asks_for_more(given, "NumPy, by hand", skipped):
        return
    of = shares_of(given)
    yield from (_of_rows_by_hand if given.of_rows else _of_elements_by_hand)(given, of)


def _of_elements_by_hand(given: Given, of: Shares) -> Iterator[Implementation]:
    z, p = of.counted(feeds.in_numpy(given)), of.counted(feeds.probabilities_in_numpy(given))
    y = of.counted(given.target).astype(p.dtype)
    shares = (of.weight, of.pos_weight, of.count)
    fed = _fed("binary_cross_entropy", "probabilities", given, p, y)
    yield _by_hand("binary, loop", lambda: by_hand.binary_by_loop(p, y, *shares), fed, LOG_OF_ZERO)
    yield _by_hand(
        "binary, vectorised", lambda: by_hand.binary_vectorised(p, y, *shares), fed, NAN_OF_ZERO
    )
    if given.kind == "logits":
        fed = _fed("binary_cross_entropy_with_logits", "logits", given, z, y)
        yield _by_hand(
            "binary, logsigmoid", lambda: by_hand.binary_by_logsigmoid(z, y, *shares), fed,
            INFINITE_LOGITS,
        )  # fmt: skip
    elif of.pos_weight is None:
        two = np.stack([1 - p, p], axis=1)
        t = np.stack([1 - y, y], axis=1)
        fed = _fed("binary_cross_entropy", "probabilities", given, two, t)
        yield _by_hand(
            "two-class cross entropy",
            lambda: by_hand.multiclass_vectorised(two, t, None, of.weight, of.count), fed,
            NAN_OF_ZERO,
        )  # fmt: skip


def _of_rows_by_hand(given: Given, of: Shares) -> Iterator[Implementation]:
    x, p = of.counted(feeds.in_numpy(given)), of.counted(feeds.probabilities_in_numpy(given))
    t = of.counted(feeds.one_hot(given))
    y = t if given.soft else of.counted(given.target)
    shares = (of.class_weight, of.weight, of.count)
    fed = _fed(given.loss, "probabilities", given, p, y)
    yield _by_hand(
        "multiclass, loop", lambda: by_hand.multiclass_by_loop(p, y, *shares), fed, LOG_OF_ZERO
    )
    fed = _fed(given.loss, "probabilities", given, p, t)
    yield _by_hand(
        "multiclass, vectorised", lambda: by_hand.multiclass_vectorised(p, t, *shares), fed,
        NAN_OF_ZERO,
    )  # fmt: skip
    if given.kind == "probabilities":
        return
    fed = _fed("cross_entropy", given.kind, given, x, t)
    yield _by_hand(
        "multiclass, log-sum-exp", lambda: by_hand.multiclass_by_log_sum_exp(x, t, *shares), fed,
        INFINITE_LOGITS,
    )  # fmt: skip


def _by_hand(name: str, call: Callable[[], Any], fed: Feed, weakness: str) -> Implementation:
    return Implementation("NumPy, by hand", name, call, fed, ONE_BY_ONE, weakness=weakness)


def _fed(loss: str, form: str, given: Given, *shown: Any, values: Any = None) -> Feed:
    """What NumPy was given; probabilities of rows stand for the logarithms that the loss takes.

    Rows that are left out beforehand are among the numbers, for the definition leaves them out too.
    """
    if values is None:
        own = feeds.probabilities_in_numpy if form == "probabilities" else feeds.in_numpy
        values = own(given)
    numbers = np.asarray(values, dtype=np.float64)
    if form == "probabilities" and given.of_rows:
        with np.errstate(divide="ignore", invalid="ignore"):
            numbers = np.log(numbers)
    return Feed(loss, form, numbers, feeds.NUMPY_DTYPES[given.dtype], feeds.in_words(*shown))


def of_scipy(given: Given, skipped: list[Skipped]) -> Iterator[Implementation]:
    if _asks_for_more(given, "SciPy", skipped):
        return
    from scipy.special import expit, log_softmax, xlogy
    from scipy.special import softmax as stable_softmax

    of, x = shares_of(given), feeds.in_numpy(given)
    if not given.of_rows:
        whole = expit(x) if given.kind == "logits" else x
        p, y = of.counted(whole), of.counted(given.target).astype(x.dtype)
        fed = _fed("binary_cross_entropy", "probabilities", given, p, y, values=whole)
        yes = y if of.pos_weight is None else y * of.pos_weight
        yield Implementation(
            "SciPy", "xlogy", lambda: -of.mean(xlogy(yes, p) + xlogy(1 - y, 1 - p)), fed,
            weakness=LOG_OF_ZERO,
        )  # fmt: skip
        return
    whole = feeds.probabilities_in_numpy(given)
    if given.kind == "logits":
        whole = stable_softmax(x, axis=1)
    p, t = of.counted(whole), of.counted(feeds.one_hot(given))
    t = t if of.class_weight is None else t * of.class_weight
    fed = _fed(given.loss, "probabilities", given, p, t, values=whole)
    yield Implementation(
        "SciPy", "xlogy", lambda: -of.mean(np.sum(xlogy(t, p), axis=1)), fed, weakness=LOG_OF_ZERO
    )
    if given.kind == "logits":
        rows = of.counted(x)
        fed = _fed("cross_entropy", "logits", given, rows, t)
        yield Implementation(
            "SciPy", "log_softmax", lambda: -of.mean(np.sum(t * log_softmax(rows, axis=1), axis=1)),
            fed, weakness=INFINITE_LOGITS,
        )  # fmt: skip


def of_sklearn(given: Given, skipped: list[Skipped]) -> Iterator[Implementation]:
    if _asks_for_more(given, "scikit-learn", skipped):
        return
    of = shares_of(given)
    p, y = of.counted(feeds.probabilities_in_numpy(given)), of.counted(given.target)
    if given.soft or (not given.of_rows and not np.isin(y, (0, 1)).all()):
        skipped.append(Skipped("scikit-learn", "log_loss takes labels, no probabilities"))
        return
    weight = of.of_labels(y)
    if not weight.any():
        skipped.append(Skipped("scikit-learn", "log_loss refuses weights that are all 0"))
        return
    from sklearn.metrics import log_loss

    columns = p if given.of_rows else np.column_stack([1 - p, p])
    loss = given.loss if given.of_rows else "binary_cross_entropy"
    fed = _fed(loss, "probabilities", given, columns, y)
    labels = np.arange(columns.shape[1])
    eps = float(np.finfo(p.dtype).eps)

    def call() -> Any:
        if of.plain:
            return log_loss(y, columns, labels=labels)
        # Its own mean is divided by the sum of the weights, which not every loss does.
        total = log_loss(y, columns, labels=labels, normalize=False, sample_weight=weight)
        return total / (len(y) if of.count is None else of.count)

    yield Implementation(
        "scikit-learn", "log_loss", call, fed,
        weakness=f"probabilities are clipped to [eps, 1 - eps], eps = {eps:.1e}", edge=eps,
    )  # fmt: skip


def _asks_for_more(given: Given, name: str, skipped: list[Skipped]) -> bool:
    """Whether the numbers ask for more than a weighted cross-entropy, which is all there is."""
    wants = [option for option in given.options if option not in _WEIGHING]
    if given.loss not in PLAIN_LOSSES:
        wants = [given.loss]
    if wants:
        skipped.append(Skipped(name, f"knows no {', '.join(wants)}"))
        return True
    if not given.counted.any():
        skipped.append(Skipped(name, "every target is ignored, and nothing is left to compute"))
        return True
    return False

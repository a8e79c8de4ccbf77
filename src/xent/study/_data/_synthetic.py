"""Synthetic data: rows drawn from a logistic model whose coefficients are known."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xent._errors import InputError
from xent._links import Array, log_sigmoid, log_softmax
from xent.study._data._columns import quoted

_LARGEST = 10**9
_KEYS = "n, features, classes, noise and seed"


@dataclass(frozen=True)
class SyntheticSpec:
    """What to draw.

    Args:
        n: rows.
        features: standard normal features.
        classes: at least 2.
        noise: standard deviation of the normal noise added to each row's log-odds.
        seed: of the coefficients, the features and the labels.
    """

    n: int = 1000
    features: int = 4
    classes: int = 2
    noise: float = 0.0
    seed: int = 0


# The data of the BCE-versus-CE study are this draw.
BCE_VERSUS_CE = SyntheticSpec(n=100_000, features=4, classes=2, noise=0.0, seed=0)


@dataclass(frozen=True)
class SyntheticData:
    """Rows and the truth behind them.

    Args:
        features: ``(n, features)`` float64.
        target: ``(n,)`` int64 classes.
        coefficients: ``(classes - 1, features + 1)`` float64 log-odds against class 0; the
            intercept is the last column.
        log_probabilities: ``(n, classes)`` float64, in nats: those the labels were drawn from,
            noise included.
    """

    features: Array
    target: NDArray[np.int64]
    coefficients: Array
    log_probabilities: Array


def is_synthetic(source: str) -> bool:
    """Say whether the source is ``synthetic`` with or without keys."""
    return source == "synthetic" or source.startswith("synthetic:")


def parse_synthetic(source: str) -> SyntheticSpec:
    """Read ``synthetic:n=1000,features=4,classes=2,noise=0,seed=0``; each key has that default.

    Raises:
        InputError: a key is unknown, repeated or without a usable value.

    >>> parse_synthetic("synthetic:n=50,classes=3")
    SyntheticSpec(n=50, features=4, classes=3, noise=0.0, seed=0)
    """
    values: dict[str, float] = {}
    for item in filter(None, source.partition(":")[2].split(",")):
        key, _, text = (part.strip() for part in item.partition("="))
        if key not in SyntheticSpec.__dataclass_fields__ or key in values:
            raise _malformed(source, f"the keys {_KEYS}, each at most once", quoted(item))
        values[key] = _number(source, key, text)
    spec = SyntheticSpec(**values)  # type: ignore[arg-type] # _number makes whole numbers int
    if spec.n * spec.features > _LARGEST or spec.n * spec.classes > _LARGEST:
        raise _malformed(
            source,
            f"synthetic data of at most {_LARGEST:,} numbers",
            f"n={spec.n}, features={spec.features}, classes={spec.classes}",
        )
    return spec


def _malformed(source: str, required: str, found: str) -> InputError:
    example = "Write synthetic:n=1000,features=4,classes=2,noise=0,seed=0."
    return InputError(f"compare: {quoted(source, 60)}", required, found, example)


def _number(source: str, key: str, text: str) -> float:
    least = {"n": 1, "features": 1, "classes": 2, "noise": 0, "seed": 0}[key]
    whole = key != "noise"
    try:
        value = int(text) if whole else float(text)
    except ValueError:
        value = math.nan
    if not (value >= least and math.isfinite(value)):
        kind = "a whole number" if whole else "a number"
        required = f"one where {key} is {kind} of at least {least}"
        raise _malformed(source, required, quoted(f"{key}={text}"))
    return value


def draw_synthetic(spec: SyntheticSpec) -> SyntheticData:
    """Draw coefficients, features, noise and labels, in this order, from one generator.

    >>> draw_synthetic(SyntheticSpec(n=5, features=2)).coefficients.shape
    (1, 3)
    """
    random = np.random.default_rng(spec.seed)
    weights = random.normal(size=(spec.features, spec.classes - 1))
    intercepts = random.normal(size=spec.classes - 1)
    features = random.normal(size=(spec.n, spec.features))
    noise = random.normal(scale=spec.noise, size=(spec.n, spec.classes - 1))
    log_odds = intercepts + features @ weights + noise
    if spec.classes == 2:
        with np.errstate(over="ignore"):  # exp(1000) = inf gives the right probability, 0
            probability = 1.0 / (1.0 + np.exp(-log_odds[:, 0]))
        target = random.binomial(n=1, p=probability).astype(np.int64)
        log_probabilities = np.hstack([log_sigmoid(-log_odds), log_sigmoid(log_odds)])
    else:
        log_probabilities = log_softmax(np.hstack([np.zeros((spec.n, 1)), log_odds]))
        target = _draw_classes(np.exp(log_probabilities), random)
    coefficients = np.column_stack([weights.T, intercepts])
    return SyntheticData(features, target, coefficients, log_probabilities)


def _draw_classes(probabilities: Array, random: np.random.Generator) -> NDArray[np.int64]:
    thresholds = np.cumsum(probabilities, axis=1)[:, :-1]
    uniform = random.random(size=(probabilities.shape[0], 1))
    return np.asarray((uniform >= thresholds).sum(axis=1), dtype=np.int64)

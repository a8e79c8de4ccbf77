"""Question C, whether procedures differ over many data sets, each of which counts once."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from xent._links import Array
from xent.study._statistics import friedman, wilcoxon


@dataclass(frozen=True)
class DataSetPair:
    """Two formulations over the data sets.

    Args:
        minuend: the later formulation.
        subtrahend: the earlier one.
        minuend_worse: on how many data sets the minuend has the higher log loss.
        subtrahend_worse: the other way round.
        median_difference: of log loss over the data sets, minuend minus subtrahend, in nats.
        p_value: of no difference; after Friedman's test adjusted by Holm over all pairs.
    """

    minuend: str
    subtrahend: str
    minuend_worse: int
    subtrahend_worse: int
    median_difference: float
    p_value: float


@dataclass(frozen=True)
class OverDataSets:
    """Formulations compared over data sets.

    Args:
        model: which model was trained.
        data: names of the data sets.
        formulations: names.
        log_losses: by formulation, one for each data set: mean over its seeds or splits, infinite
            where no learning rate led anywhere.
        test: ``wilcoxon`` for two formulations, ``friedman`` for more.
        p_value: of the hypothesis that all are alike.
        smallest_p_value: what the test could give at best with so many data sets.
        mean_ranks: by formulation, 1 the lowest log loss.
        pairs: every two formulations.
        sentence: the finding in one sentence.
    """

    model: str
    data: tuple[str, ...]
    formulations: tuple[str, ...]
    log_losses: Mapping[str, tuple[float, ...]]
    test: str
    p_value: float
    smallest_p_value: float
    mean_ranks: Mapping[str, float]
    pairs: tuple[DataSetPair, ...]
    sentence: str


def compare_over_data_sets(
    model: str, data: Sequence[str], log_losses: Mapping[str, Sequence[float]], level: float
) -> OverDataSets:
    """Wilcoxon's signed ranks for two formulations, Friedman's test with Holm's for more.

    Args:
        model: name of the model.
        data: names of the data sets, two or more.
        log_losses: by formulation, one for each data set; may be infinite.
        level: confidence level; tests are at 1 - level.
    """
    names = tuple(log_losses)
    losses = np.array([log_losses[name] for name in names], dtype=np.float64).T
    ranks = np.stack([_ranks(row) for row in losses]).mean(axis=0)
    if len(names) == 2:
        test, p_value = "wilcoxon", wilcoxon(_difference(losses, 1, 0)).p_value
        smallest = 2.0 ** (1 - len(data))
        p_pairs = {(1, 0): p_value}
    else:
        ranked = friedman(losses)
        test, p_value = "friedman", ranked.p_value
        # All data sets rank the formulations alike: one of the k! orders, the same in each.
        smallest = float(math.factorial(len(names))) ** (1 - len(data))
        p_pairs = dict(zip(ranked.pairs, ranked.p_pairs, strict=True))
    pairs = tuple(
        _pair(names, losses, later, earlier, p) for (later, earlier), p in p_pairs.items()
    )
    return OverDataSets(
        model,
        tuple(data),
        names,
        {name: tuple(map(float, log_losses[name])) for name in names},
        test,
        p_value,
        smallest,
        dict(zip(names, map(float, ranks), strict=True)),
        pairs,
        _sentence(len(data), pairs, p_value, smallest, level),
    )


def _ranks(losses: Array) -> Array:
    """Ranks from 1, ties sharing their mean."""
    _, place, counts = np.unique(losses, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(counts) - (counts - 1) / 2.0)[place])


def _difference(losses: Array, later: int, earlier: int) -> Array:
    """Differences over the data sets; two infinite losses are alike."""
    one, other = losses[:, later], losses[:, earlier]
    both = np.isinf(one) & np.isinf(other)
    return np.where(both, 0.0, np.where(both, 0.0, one) - np.where(both, 0.0, other))


def _pair(
    names: Sequence[str], losses: Array, later: int, earlier: int, p_value: float
) -> DataSetPair:
    differences = _difference(losses, later, earlier)
    return DataSetPair(
        names[later],
        names[earlier],
        int((differences > 0).sum()),
        int((differences < 0).sum()),
        float(np.median(differences)),
        p_value,
    )


def _sentence(
    count: int,
    pairs: Sequence[DataSetPair],
    p_value: float,
    smallest: float,
    level: float,
) -> str:
    over = f"Over {count} data sets"
    few = smallest >= 1 - level
    if len(pairs) == 1:
        pair = pairs[0]
        wins = (
            f"{pair.minuend} has the higher log loss on {pair.minuend_worse} and "
            f"{pair.subtrahend} on {pair.subtrahend_worse}"
        )
        if few:
            return (
                f"{over} {wins}; so few can't show a difference: Wilcoxon's p is "
                f"{smallest:.2g} at the least."
            )
        differ = "they differ" if p_value < 1 - level else "no difference is shown"
        return f"{over} {wins}: {differ} (Wilcoxon, p = {p_value:.2g})."
    if few:
        return (
            f"{over} no difference of the formulations can be shown: with so few Friedman's p is "
            f"{smallest:.2g} at the least."
        )
    if p_value >= 1 - level:
        return f"{over} no difference of the formulations is shown (Friedman, p = {p_value:.2g})."
    found = [pair for pair in pairs if pair.p_value < 1 - level]
    named = ", ".join(f"{p.minuend} and {p.subtrahend} (p = {p.p_value:.2g})" for p in found)
    which = f"by Holm these pairs do: {named}" if found else "no single pair is shown to, by Holm"
    return f"{over} the formulations differ (Friedman, p = {p_value:.2g}); {which}."

"""``xent.compare_predictions``: the same tests for predictions that were made elsewhere."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from xent._errors import InputError
from xent.scoring import Finding, Scores, prediction_findings, score_rows
from xent.study._data._columns import quoted
from xent.study._evaluation._row_values import Entrant, ScoredRows
from xent.study._predictions._arrays import (
    check_indexes,
    class_numbers,
    cluster_numbers,
    kind_of,
    log_probabilities_of,
    relative_weights,
)
from xent.study._statistics import check_level, check_margin
from xent.study._verdicts._designs import Design, measure
from xent.study._verdicts._intervals import MetricInterval, metric_intervals
from xent.study._verdicts._margin import given_margin, margin_of_skill, no_margin
from xent.study._verdicts._pair_sentences import design_sentence, question_sentence, rule_sentence
from xent.study._verdicts._pairing import compare_all
from xent.study._verdicts._pairs import FITTED, Margin, Pair
from xent.study._verdicts._soundness import unsound_subjects

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console

SKILL = "skill"


@dataclass(frozen=True, eq=False, repr=False)
class PredictionComparison:
    """The result of :func:`compare_predictions`.

    Args:
        rows: how many rows were predicted.
        class_names: one for each column, in their order.
        scores: of each set of predictions, by name.
        intervals: of each set of predictions, by name: every metric with its interval.
        pairs: every two compared, the later one minus the earlier one.
        margin: the largest difference that does not matter, and where it comes from.
        findings: what is wrong with the predictions, or worth knowing.
        level: confidence level.
        clusters: how many clusters of rows there are; None without groups.
        weighted: whether rows have weights.
        kinds: what the numbers were, by name: ``probs``, ``log-probs`` or ``logits``.
        fingerprint: SHA-256 in hexadecimal of target, predictions, weights and clusters.
        environment: versions, and when it was done.
        asked: where the predictions come from, with the options of the command line; empty where
            they came from Python.
    """

    rows: int
    class_names: tuple[str, ...]
    scores: dict[str, Scores]
    intervals: dict[str, tuple[MetricInterval, ...]]
    pairs: tuple[Pair, ...]
    margin: Margin
    findings: tuple[Finding, ...]
    level: float
    clusters: int | None
    weighted: bool
    kinds: Mapping[str, str] = field(default_factory=dict)
    fingerprint: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    asked: Mapping[str, object] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"<PredictionComparison of {', '.join(self.scores)}: {self.rows:,} rows>"

    @property
    def ok(self) -> bool:
        """Whether there is no finding of level error."""
        return all(found.level != "error" for found in self.findings)

    @property
    def reading(self) -> tuple[str, ...]:
        """The findings of the pairs, the margin, the question and the rule, in sentences."""
        rule = rule_sentence(self.level, len(self.pairs))
        sentences = tuple(pair.sentence for pair in self.pairs)
        test = filter(None, [design_sentence(self.pairs)])
        return (*sentences, self.margin.words, question_sentence(FITTED, "seed", 1), rule, *test)

    @property
    def summary(self) -> pd.DataFrame:
        """One row a set of predictions: every metric with the ends of its interval."""
        import pandas as pd

        rows = []
        for name, intervals in self.intervals.items():
            row: dict[str, object] = {"predictions": name}
            for each in intervals:
                row[each.metric] = each.value
                row[f"{each.metric}_low"], row[f"{each.metric}_high"] = each.low, each.high
            rows.append(row)
        return pd.DataFrame(rows)

    def to_dict(self) -> dict[str, object]:
        """The results as JSON values; a number that is not finite is null."""
        from xent.study._predictions._results import prediction_results

        return prediction_results(self)

    def to_json(self) -> str:
        """The same as text."""
        return json.dumps(self.to_dict(), indent=1, allow_nan=False)

    def to_html(self, path: str | PathLike[str] | None = None) -> str:
        """The report as one HTML page that needs no network and no script.

        Args:
            path: a file to write it to as well.

        Raises:
            InputError: if that can't be written.
        """
        from xent.report import build, write_page

        page = build(self.to_dict())
        if path is not None:
            write_page(Path(path), page)
        return page

    def show(self, console: Console | None = None) -> None:
        """Print scores, verdicts and findings on the terminal, or on a rich console."""
        from xent.study._show._predictions import show_predictions

        show_predictions(self, console)

    def _repr_html_(self) -> str:
        from xent.study._show._predictions import render_predictions

        return render_predictions(self)


def compare_predictions(
    y: ArrayLike,
    predictions: Mapping[str, ArrayLike],
    kind: str | Mapping[str, str],
    *,
    classes: Sequence[object] | None = None,
    margin: float | str | None = None,
    groups: ArrayLike | None = None,
    weight: ArrayLike | None = None,
    level: float = 0.95,
) -> PredictionComparison:
    """Compare predictions of the same rows that were made anywhere: do they really differ.

    The question answered is that of fitted models: a paired t over rows (over clusters of them,
    with ``groups``) of the log losses, in nats, with TOST beside it and Holm's adjustment over the
    pairs. Predictions are scored as they are: nothing is normalised, clipped or guessed.

    Args:
        y: ``(rows,)`` true classes: column numbers from 0, booleans, or, with ``classes``, labels.
        predictions: by name: ``(rows, classes)``, or for two classes ``(rows,)`` of the second
            class, the log-odds where the kind is logits. A DataFrame's columns are matched to
            the classes by name; a single column named after the first class is refused, and so
            are two pandas objects whose rows have other labels or another order.
        kind: what the numbers are: ``"probs"``, ``"log-probs"`` or ``"logits"``, of all
            predictions or by name. It is never guessed.
        classes: the labels of the columns, in their order; by default 0 to K - 1.
        margin: the largest difference of log loss, in nats, that does not matter, fixed before
            looking; ``"skill"`` takes 2 % of the skill on these rows, and says that it was not
            fixed before; None makes no claim of equivalence.
        groups: ``(rows,)``; rows that share a value share an error; none may be missing.
        weight: ``(rows,)``, at least 0; the unit does not matter.
        level: confidence level.

    Raises:
        InputError: sizes, order, kind or values that don't fit, in one line.

    >>> y = [0, 1, 1, 0, 1, 0]
    >>> one, other = [0.2, 0.7, 0.6, 0.3, 0.8, 0.4], [0.3, 0.6, 0.6, 0.2, 0.9, 0.3]
    >>> result = compare_predictions(y, {"one": one, "other": other}, "probs", margin=0.1)
    >>> result.pairs[0].verdict
    'inconclusive'
    """
    check_level(level, "compare_predictions: level")
    if not isinstance(margin, str):
        check_margin(margin, "compare_predictions: margin")
    elif margin != SKILL:
        raise InputError(
            "compare_predictions: margin",
            f"a number of nats, {SKILL!r} or None",
            repr(margin),
            "Give the largest difference that does not matter, such as 0.001.",
        )
    entrants, names, target = _entrants(y, predictions, kind, classes)
    rows = len(target)
    check_indexes(y, predictions, weight=weight, groups=groups)
    scored = ScoredRows(target, relative_weights(weight, rows), cluster_numbers(groups, rows))
    measured = measure(entrants, Design(FITTED, (scored,)))
    scores = {
        each.name: score_rows(_log_q(each), target, scored.weight, names) for each in entrants
    }
    findings = _findings(entrants, scores, target)
    unsound = unsound_subjects(findings)
    sound = [each.log_loss for name, each in scores.items() if name not in unsound]
    chosen = _margin(margin, scored, len(names), sound)
    return PredictionComparison(
        rows=rows,
        class_names=names,
        scores=scores,
        intervals={
            each.name: metric_intervals(each, [scores[each.name]], level) for each in measured
        },
        pairs=compare_all(measured, chosen, level, unsound),
        margin=chosen,
        findings=findings,
        level=level,
        clusters=None if scored.groups is None else int(scored.groups.max()) + 1,
        weighted=weight is not None,
        kinds={each.name: kind_of(kind, each.name) for each in entrants},
        fingerprint=_fingerprint(entrants, names, scored),
        environment=_environment(),
    )


def _fingerprint(entrants: Sequence[Entrant], names: tuple[str, ...], rows: ScoredRows) -> str:
    digest = hashlib.sha256()
    digest.update(repr((names, [each.name for each in entrants])).encode("utf-8", "replace"))
    arrays = [rows.target, rows.weight, rows.groups, *map(_log_q, entrants)]
    for array in arrays:
        digest.update(b"-" if array is None else np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def _environment() -> dict[str, str]:
    from xent import __version__

    return {
        "date": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "xent": __version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
    }


def _entrants(
    y: ArrayLike,
    predictions: Mapping[str, ArrayLike],
    kind: str | Mapping[str, str],
    classes: Sequence[object] | None,
) -> tuple[tuple[Entrant, ...], tuple[str, ...], Any]:
    """The predictions as log-probabilities, the names of the classes and the target."""
    several: object = predictions
    if not isinstance(several, Mapping) or len(several) < 2:
        found = type(several).__name__
        if isinstance(several, Mapping):
            found = f"{len(several)} of them"
        raise InputError(
            "compare_predictions: predictions",
            "a mapping of two or more names to arrays",
            found,
            'Give {"a": first, "b": second}.',
        )
    given = None if classes is None else tuple(map(str, classes))
    _check_different(several, "predictions", "names")
    _check_different(given or (), "classes", "names")
    logs = {
        str(name): log_probabilities_of(values, kind, str(name), given, y)
        for name, values in predictions.items()
    }
    widths = {name: log_q.shape[1] for name, log_q in logs.items()}
    if len(set(widths.values())) > 1:
        raise InputError(
            "compare_predictions: predictions",
            "of the same classes",
            ", ".join(f"{name!r} of {width}" for name, width in widths.items()),
            "Give one column for each class, in the same order.",
        )
    width = next(iter(widths.values()))
    names = tuple(map(str, range(width))) if given is None else given
    target = class_numbers(y, names, labelled=given is not None)
    return tuple(Entrant(name, (log_q,)) for name, log_q in logs.items()), names, target


def _check_different(names: Iterable[object], what: str, noun: str) -> None:
    """Refuse names that are one as text, such as 1 and "1"."""
    texts = [str(name) for name in names]
    twice = next((text for text in texts if texts.count(text) > 1), None)
    if twice is not None:
        raise InputError(
            f"compare_predictions: {what}",
            f"of different {noun}",
            f"{quoted(twice)} more than once",
            "Give each a name of its own; 1 and '1' are one.",
        )


def _log_q(entrant: Entrant) -> Any:
    (log_q,) = entrant.replicates
    return log_q


def _margin(
    margin: float | str | None, rows: ScoredRows, classes: int, losses: Sequence[float]
) -> Margin:
    if margin is None:
        return no_margin()
    if not isinstance(margin, str):
        return given_margin(float(margin))
    shares = np.bincount(rows.target, rows.weight, minlength=classes)
    shares = shares[shares > 0.0] / shares.sum()
    prior = float(-np.sum(shares * np.log(shares)))
    return margin_of_skill(prior, losses, "rows given", before=False)


def _findings(
    entrants: Sequence[Entrant], scores: Mapping[str, Scores], target: Any
) -> tuple[Finding, ...]:
    found = [
        each
        for entrant in entrants
        for each in prediction_findings(
            scores[entrant.name], _log_q(entrant), target, subject=entrant.name
        )
    ]
    severity = {"error": 0, "warning": 1, "note": 2}
    return tuple(sorted(found, key=lambda each: severity[each.level]))

"""What a study gives back: one frozen object, its numbers as tables."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from xent.scoring import Finding, Scores
from xent.study._data._dataset import Dataset
from xent.study._evaluation._trial import Trial
from xent.study._formulations import Formulation
from xent.study._optimum._maximum_likelihood import MaximumLikelihood
from xent.study._spec import StudySpec
from xent.study._verdicts._intervals import MetricInterval
from xent.study._verdicts._pairs import FITTED, Margin, Pair

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Aggregate:
    """Mean over seeds and its standard error.

    The mean is None where a seed has no value, and infinite where one is; the standard error is
    None then, and with one seed.
    """

    mean: float | None
    se: float | None

    @classmethod
    def of(cls, values: Iterable[float | None]) -> Aggregate:
        """Aggregate the values of the trials.

        >>> Aggregate.of([1.0, 3.0])
        Aggregate(mean=2.0, se=1.0)
        """
        given = list(values)
        numbers = [value for value in given if value is not None and not np.isnan(value)]
        if not numbers or len(numbers) < len(given):
            return cls(None, None)
        if not np.isfinite(numbers).all():
            return cls(float(np.sum(numbers)), None)
        se = None
        if len(numbers) > 1:
            se = float(np.std(numbers, ddof=1) / np.sqrt(len(numbers)))
        return cls(float(np.mean(numbers)), se)


@dataclass(frozen=True)
class Spread:
    """Median and quartiles of repeated timings, in seconds."""

    median: float
    lower: float
    upper: float
    repeats: int

    @classmethod
    def of(cls, seconds: Sequence[float]) -> Spread | None:
        """Summarise timings; None where there are none."""
        if not len(seconds):
            return None
        lower, median, upper = np.quantile(seconds, [0.25, 0.5, 0.75])
        return cls(float(median), float(lower), float(upper), len(seconds))


METRICS: dict[str, Callable[[Scores], float | None]] = {
    "log_loss": lambda s: s.log_loss,
    "brier": lambda s: s.brier,
    "accuracy": lambda s: s.accuracy,
    "auc": lambda s: s.auc,
    "ece": lambda s: s.ece,
    "ece_noise_floor": lambda s: s.ece_noise_floor,
    "slope": lambda s: s.recalibration.slope,
    "slope_se": lambda s: s.recalibration.slope_se,
    "intercept": lambda s: _largest_intercept(s)[0],
    "intercept_se": lambda s: _largest_intercept(s)[1],
}


def _largest_intercept(scores: Scores) -> tuple[float | None, float | None]:
    """Return the intercept farthest from 0 and the standard error of that same intercept."""
    fit = scores.recalibration
    pairs = zip(fit.intercepts, fit.intercept_ses, strict=True)
    return max(pairs, key=lambda pair: abs(pair[0]), default=(None, None))


@dataclass(frozen=True)
class Parameter:
    """One log-odds coefficient of a linear model, in original units of its feature.

    Args:
        log_odds: which class it is the log-odds of.
        against: the reference class, or ``the rest``.
        feature: its feature, or ``(intercept)``.
        mean: over seeds.
        sd: standard deviation over seeds, None with one seed.
        standard_error: of the likelihood at the mean; None where it means nothing.
        estimate: maximum likelihood, None where no maximum exists.
        estimate_se: its standard error.
        truth: where the data were simulated.
    """

    log_odds: str
    against: str
    feature: str
    mean: float
    sd: float | None
    standard_error: float | None
    estimate: float | None
    estimate_se: float | None
    truth: float | None


@dataclass(frozen=True, eq=False, repr=False)
class FormulationResult:
    """One formulation over all its seeds.

    Args:
        formulation: what was minimised.
        n_parameters: trained numbers of one seed's model.
        trials: one for each seed.
        fit_seconds: wall time of training all seeds.
        timings: ``step``, ``data``, ``evaluation`` and ``loss`` (the real loss, forward and
            backward, timed apart), None where there was nothing to time.
        parameters: log-odds coefficients of linear models.
        parameters_note: why they, or their standard errors, are missing; empty where they aren't.
    """

    formulation: Formulation
    n_parameters: int
    trials: tuple[Trial, ...]
    fit_seconds: float
    timings: dict[str, Spread | None]
    parameters: tuple[Parameter, ...]
    parameters_note: str

    def __repr__(self) -> str:
        return f"<FormulationResult {self.name}: {len(self.trials)} trials, {self.status}>"

    @property
    def name(self) -> str:
        """Name of the formulation."""
        return self.formulation.name

    @property
    def status(self) -> str:
        """``finished``, or ``diverged`` if any seed did."""
        return "diverged" if any(t.status != "finished" for t in self.trials) else "finished"

    @property
    def recovered(self) -> bool:
        """Whether there are recovered probabilities beside the raw ones."""
        return any(trial.recovered is not None for trial in self.trials)

    def aggregate(self, metric: str, *, recovered: bool = False) -> Aggregate:
        """Mean and standard error over the seeds that finished, of one of ``METRICS``."""
        scores = [
            trial.recovered if recovered else trial.test
            for trial in self.trials
            if trial.status == "finished"
        ]
        return Aggregate.of(None if s is None else METRICS[metric](s) for s in scores)

    def mean(self, metric: str, *, recovered: bool = False) -> float | None:
        """Mean over the seeds of one of ``METRICS``."""
        return self.aggregate(metric, recovered=recovered).mean

    @property
    def distance(self) -> float | None:
        """Largest distance of a coefficient from the estimate over the seeds, in its SE."""
        distances = [trial.distance for trial in self.trials if trial.distance is not None]
        return max(distances) if distances else None


@dataclass(frozen=True)
class Baselines:
    """What any model has to beat, and what none can.

    Args:
        prior_log_loss: of predicting the training part's class shares, on the test part.
        majority: share of the most frequent class of the training part among the test rows.
        entropy_floor: mean entropy of the true probabilities of the test rows, where known.
        true_log_loss: log loss of the true probabilities on the test rows, where known.
        likelihood_log_loss: test log loss of the maximum likelihood estimate, where it exists.
    """

    prior_log_loss: float
    majority: float
    entropy_floor: float | None
    true_log_loss: float | None
    likelihood_log_loss: float | None


@dataclass(frozen=True, eq=False, repr=False)
class Comparison:
    """The result of ``xent.compare``.

    Args:
        spec: what was asked for.
        dataset: the data as they were used; with several splits, the first.
        formulations: one result for each, in the order asked for.
        baselines: prior, truth and maximum likelihood; means over the splits.
        likelihood: maximum likelihood of the linear model, or why there is none; None for other
            models. With several splits, the first one's.
        findings: of all trials, merged over seeds, errors first.
        environment: versions, device, threads.
        seconds: wall time of the whole study.
        splits: the data of every split, ``dataset`` first; trials name theirs by position.
        planned: how many trials were to be finished.
        taken: how many of them were finished in the folder before, and not trained again.
        question: ``fitted`` or ``procedure``: what the pairs answer.
        margin: the largest difference of log loss that does not matter, and where it comes from.
        pairs: every two formulations compared, the later one minus the earlier one.
        intervals: by formulation: every metric with its confidence interval.
        rules: the question and the rule of the verdicts, in sentences.
        asked: the names of all formulations that were asked for; of a study that was interrupted
            not all of them have a result.
    """

    spec: StudySpec
    dataset: Dataset
    formulations: tuple[FormulationResult, ...]
    baselines: Baselines
    likelihood: MaximumLikelihood | None
    findings: tuple[Finding, ...]
    environment: dict[str, str | int | bool]
    seconds: float
    splits: tuple[Dataset, ...] = ()
    planned: int = 0
    taken: int = 0
    question: str = FITTED
    margin: Margin | None = None
    pairs: tuple[Pair, ...] = ()
    intervals: Mapping[str, tuple[MetricInterval, ...]] = field(default_factory=dict)
    rules: tuple[str, ...] = ()
    asked: tuple[str, ...] = ()

    def __repr__(self) -> str:
        names = ", ".join(result.name for result in self.formulations)
        unit = "split" if self.spec.n_splits > 1 else "seed"
        units = f"{len(self.spec.seeds)} {unit}{'s' * (len(self.spec.seeds) > 1)}"
        return f"<Comparison of {names} on {self.dataset.name}: {units}>"

    def __getitem__(self, name: str) -> FormulationResult:
        """Return the result of the formulation of that name."""
        for result in self.formulations:
            if result.name == name:
                return result
        raise KeyError(name)

    @property
    def done(self) -> int:
        """How many trials are finished; fewer than planned in a study that was interrupted."""
        return sum(len(result.trials) for result in self.formulations)

    @property
    def status(self) -> str:
        """``finished``, ``interrupted``, or ``failed`` by a finding of level error."""
        if self.done < self.planned:
            return "interrupted"
        return "finished" if self.ok else "failed"

    @property
    def ok(self) -> bool:
        """Whether nothing went wrong: no finding of level error (a diverged seed is one)."""
        return all(found.level != "error" for found in self.findings)

    @property
    def summary(self) -> pd.DataFrame:
        """One row a formulation: mean and standard error over seeds of every metric.

        Formulations whose loss distorts probabilities have two rows, raw and recovered.
        """
        import pandas as pd

        rows = []
        for result in self.formulations:
            kinds = (False, True) if result.recovered else (False,)
            for recovered in kinds:
                row: dict[str, object] = {
                    "formulation": result.name,
                    "probabilities": "recovered" if recovered else "raw",
                }
                for metric in METRICS:
                    aggregate = result.aggregate(metric, recovered=recovered)
                    row[metric] = aggregate.mean
                    if metric in ("log_loss", "brier", "accuracy", "auc", "ece"):
                        row[f"{metric}_se"] = aggregate.se
                row["fit_seconds"] = result.fit_seconds
                row["parameters"] = result.n_parameters
                rows.append(row)
        return pd.DataFrame(rows)

    @property
    def trials(self) -> pd.DataFrame:
        """One row a trial: its key, objective, losses and status."""
        import pandas as pd

        columns = (
            "key", "formulation", "seed", "split", "status", "objective", "objective_reproduced",
            "gradient_norm", "train_log_loss", "validation_log_loss", "distance",
        )  # fmt: skip
        return pd.DataFrame(
            [
                {column: getattr(trial, column) for column in columns}
                | {
                    "test_log_loss": None if trial.test is None else trial.test.log_loss,
                    "test_log_loss_se": None if trial.test is None else trial.test.log_loss_se,
                    "recovered_log_loss": (
                        None if trial.recovered is None else trial.recovered.log_loss
                    ),
                }
                for result in self.formulations
                for trial in result.trials
            ]
        )

    @property
    def parameters(self) -> pd.DataFrame:
        """Log-odds coefficients of linear models, beside the estimate and the truth."""
        import pandas as pd

        return pd.DataFrame(
            [
                {"formulation": result.name, **vars(parameter)}
                for result in self.formulations
                for parameter in result.parameters
            ]
        )

    @property
    def curves(self) -> pd.DataFrame:
        """One row an epoch of a trial: the objective on training and validation rows."""
        import pandas as pd

        return pd.concat(
            [
                pd.DataFrame(
                    {
                        "formulation": result.name,
                        "seed": trial.seed,
                        "epoch": np.arange(1, len(trial.train_curve) + 1),
                        "train": trial.train_curve,
                        "validation": trial.validation_curve,
                    }
                )
                for result in self.formulations
                for trial in result.trials
            ],
            ignore_index=True,
        )

    @property
    def timings(self) -> pd.DataFrame:
        """One row a formulation and phase: median and quartiles in seconds."""
        import pandas as pd

        return pd.DataFrame(
            [
                {"formulation": result.name, "phase": phase, **vars(spread)}
                for result in self.formulations
                for phase, spread in result.timings.items()
                if spread is not None
            ]
        )

    def to_dict(self) -> dict[str, object]:
        """The results as JSON values, by the schema in ``results.schema.json``."""
        from xent.study._show._results import results

        return results(self)

    def to_html(self, path: str | PathLike[str] | None = None) -> str:
        """The report as one HTML page that needs no network and no script.

        Args:
            path: a file to write it to as well.

        Raises:
            InputError: if that can't be written.
        """
        from xent.report import write_page
        from xent.study._show._page import report_page

        page = report_page(self)
        if path is not None:
            write_page(Path(path), page)
        return page

    def _repr_html_(self) -> str:
        from xent.study._show._notebook import render

        return render(self)


def merge_findings(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """One finding for each kind and formulation, and how many seeds have it; errors come first.

    The sentence is the first seed's, or that of the seed with the largest distance.
    """
    groups: dict[tuple[str, str, str], list[Finding]] = {}
    for found in findings:
        groups.setdefault((found.level, found.name, found.subject), []).append(found)
    merged = []
    for group in groups.values():
        first = max(group, key=lambda each: each.values.get("distance", 0.0))
        more = len(group) - 1
        also = f" ({more} more seed{'s' * (more > 1)} alike.)" if more else ""
        merged.append(replace(first, message=first.message + also))
    severity = {"error": 0, "warning": 1, "note": 2}
    return tuple(sorted(merged, key=lambda each: severity[each.level]))

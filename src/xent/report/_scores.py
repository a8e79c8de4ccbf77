"""The table of scores: every formulation by its right link, above what any model has to beat."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from xent.report._content import Table
from xent.report._numbers import ABSENT, fixed, plus_minus, seconds
from xent.report._run import Json, Run, average

# Of more formulations than these only the log loss has its interval in a table.
MOST_FOR_ALL = 8
OF_TRAINING = ("fit", "weights")
COLUMNS = ("log loss", "Brier", "ECE (noise floor)", "accuracy", "AUC", "slope", *OF_TRAINING)


@dataclass(frozen=True)
class Row:
    """One row: a formulation, or a baseline.

    Args:
        name: what it is of.
        cells: one for each column.
        note: raw, recovered, diverged.
        best: whether its log loss is below every other's by more than chance.
        baseline: whether it is no formulation.
    """

    name: str
    cells: list[str]
    note: str = ""
    best: bool = False
    baseline: bool = False


@dataclass(frozen=True)
class Scores:
    """The table, what it says about the lowest log loss, and an interval for every metric."""

    rows: list[Row] = field(default_factory=list)
    columns: tuple[str, ...] = COLUMNS
    reading: list[str] = field(default_factory=list)
    intervals: Table | None = None


def scores(run: Run) -> Scores:
    """Build the table from means and standard errors over seeds."""
    lowest = lowest_loss(run)
    winner = lowest if lowest is not None and _beats_all(run, lowest) else None
    rows = [row for name in run.names for row in _formulation(run, name, best=name == winner)]
    rows += _baselines(run.results.get("baselines") or {})
    if run.elsewhere:
        rows = [replace(row, cells=row.cells[: -len(OF_TRAINING)]) for row in rows]
        columns = COLUMNS[: -len(OF_TRAINING)]
    else:
        columns = COLUMNS
    return Scores(rows, columns, _reading(run, lowest, winner), _intervals(run))


def lowest_loss(run: Run) -> str | None:
    """The formulation with the lowest mean log loss, recovered where the loss distorts."""
    losses = {}
    for name in run.names:
        found = _aggregates(run, name, recovered=run.recovered(name)).get("log_loss") or {}
        if found.get("mean") is not None:
            losses[name] = found["mean"]
    return min(losses, key=losses.__getitem__) if losses else None


def _beats_all(run: Run, name: str) -> bool:
    """Whether every pair with this formulation is different: then only is it called best."""
    own = [pair for pair in run.pairs if name in (pair["minuend"], pair["subtrahend"])]
    others = len(run.names) - 1
    return bool(own) and len(own) == others and all(pair["verdict"] == "different" for pair in own)


def _aggregates(run: Run, name: str, *, recovered: bool) -> Json:
    key = "recovered" if recovered else "over_seeds"
    found: Json = run.formulation(name).get(key) or {}
    return found


def _formulation(run: Run, name: str, *, best: bool) -> Iterator[Row]:
    own = run.formulation(name)
    diverged = "diverged" if own.get("status") == "diverged" else ""
    recovered = run.recovered(name)
    for kind in (False, True) if recovered else (False,):
        note = ("recovered" if kind else "raw") if recovered else ""
        note = ", ".join(filter(None, (note, diverged)))
        cells = _cells(run, name, recovered=kind)
        yield Row(name, cells, note, best=best and kind == recovered)


def _cells(run: Run, name: str, *, recovered: bool) -> list[str]:
    own = run.formulation(name)
    found = _aggregates(run, name, recovered=recovered)

    def mean(metric: str) -> float | None:
        value: float | None = (found.get(metric) or {}).get("mean")
        return value

    def with_error(metric: str, digits: int) -> str:
        return plus_minus(mean(metric), (found.get(metric) or {}).get("se"), digits)

    loss = with_error("log_loss", 5)
    if _infinite(run, name, recovered=recovered):
        loss = "infinite"
    floor = mean("ece_noise_floor")
    ece = fixed(mean("ece"), 4) + ("" if floor is None else f" ({fixed(floor, 4)})")
    parameters = own.get("model_parameters")
    return [
        loss,
        with_error("brier", 5),
        ece,
        with_error("accuracy", 4),
        with_error("auc", 4),
        plus_minus(mean("slope"), mean("slope_se"), 3),
        "" if recovered else seconds(own.get("fit_seconds")),
        "" if recovered else ABSENT if parameters is None else f"{parameters:,}",
    ]


def _intervals(run: Run) -> Table | None:
    """Every metric with its interval; of many formulations the log loss alone."""
    many = len(run.names) > MOST_FOR_ALL
    found = [
        (name, metric, own)
        for name in run.names
        for metric, own in (run.formulation(name).get("intervals") or {}).items()
        if own.get("value") is not None and (metric == "log_loss" or not many)
    ]
    if not found:
        return None
    rows = [
        (
            name,
            metric.replace("_", " "),
            *(fixed(own.get(key), 5) for key in ("value", "low", "high")),
            str(own.get("method", "")),
        )
        for name, metric, own in found
    ]
    level = found[0][2].get("level") or 0.95
    more = "Those of the other metrics are in results.json." if many else ""
    headings = (run.thing, "metric", "value", "low", "high", "method")
    note = f"{level:.0%} intervals. {more}"
    return Table(headings, rows, names=2, note=note, grouped=True, texts=1)


def _infinite(run: Run, name: str, *, recovered: bool) -> bool:
    key = "recovered" if recovered else "test"
    return any((trial.get(key) or {}).get("infinite_rows") for trial in run.finished(name))


def _baselines(base: Json) -> Iterator[Row]:
    named = {
        "class prior": "prior_log_loss",
        "maximum likelihood": "likelihood_log_loss",
        "true model": "true_log_loss",
        "entropy of the truth": "entropy_floor",
    }
    for name, key in named.items():
        if base.get(key) is not None:
            cells = [fixed(base[key])] + [""] * (len(COLUMNS) - 1)
            if key == "prior_log_loss":
                cells[COLUMNS.index("accuracy")] = fixed(base.get("majority"), 4)
            yield Row(name, cells, baseline=True)


def _reading(run: Run, lowest: str | None, winner: str | None) -> list[str]:
    several = max((len(run.finished(name)) for name in run.names), default=0) > 1
    first = "Means over seeds on the test part, ± standard error over seeds" if several else (
        "Scores on the test part"
    )  # fmt: skip
    sentences = [
        f"{first}; losses in nats. The slope is that of the recalibration, ± its standard error "
        "over rows: 1 is calibrated. The noise floor is the ECE that calibrated predictions would "
        "show on as many rows."
    ]
    if winner is not None:
        sentences.append(
            f"In bold: the log loss of {winner}, shown to be lower than every other "
            f"{run.thing}’s. Nothing is claimed of the other columns."
        )
    elif lowest is not None and len(run.names) > 1:
        sentences.append(
            f"The lowest log loss is that of {lowest}; it is not in bold, since it is not shown to "
            f"be lower than every other {run.thing}’s."
        )
    infinite = average(
        [float(_infinite(run, name, recovered=run.recovered(name))) for name in run.names]
    )
    if infinite:
        sentences.append(
            "An infinite log loss is a probability of 0 for a class that came true; it is not "
            "clipped."
        )
    return sentences

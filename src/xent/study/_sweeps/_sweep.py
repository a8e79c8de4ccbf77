"""A sweep: a grid of studies with one ledger, and what it says beyond each of them.

For each data set and model every formulation gets the learning rate that is best on the validation
rows; then formulations are compared at their own best ones, beside the comparisons at each common
one. Over several data sets each data set counts once.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from xent._errors import InputError
from xent.study._comparison import Comparison, FormulationResult
from xent.study._data._columns import Table
from xent.study._data._dataset import STUDY
from xent.study._data._sources import read_table
from xent.study._data._splits import load_splits, with_halves
from xent.study._data._synthetic import is_synthetic
from xent.study._formulations import default_formulations, find_formulations
from xent.study._runs._processes import worker_processes
from xent.study._runs._run import Interrupted, run_study
from xent.study._runs._run_folder import RunFolder
from xent.study._runs._trials import Progress
from xent.study._spec import StudySpec, check_formulations, check_spec
from xent.study._sweeps._spec import SweepSpec, read_sweep
from xent.study._verdicts._data_sets import OverDataSets, compare_over_data_sets
from xent.study._verdicts._soundness import unsound_subjects
from xent.study._verdicts._study_statistics import with_statistics

if TYPE_CHECKING:
    from rich.console import Console


@dataclass(frozen=True, eq=False)
class Cell:
    """One study of the grid.

    Args:
        data: name of its data.
        model: name of its model.
        learning_rate: of all formulations.
        folder: its folder, relative to the sweep's.
        results: what its ``results.json`` holds.
    """

    data: str
    model: str
    learning_rate: float
    folder: str
    results: dict[str, Any]


@dataclass(frozen=True)
class Choice:
    """The learning rate of one formulation, chosen on the validation rows.

    Args:
        learning_rate: the one with the lowest validation log loss, the smaller of equal ones;
            None where no learning rate led anywhere without a seed diverging.
        validation_log_losses: at each learning rate of the sweep, mean over seeds or splits; None
            where a seed diverged or there are no validation rows.
        test_log_loss: at the chosen one.
        test_log_loss_se: its standard error over seeds or splits; None with one.
    """

    learning_rate: float | None
    validation_log_losses: tuple[float | None, ...]
    test_log_loss: float | None
    test_log_loss_se: float | None = None


@dataclass(frozen=True, eq=False)
class AtBest:
    """One data set and model, each formulation at its own best learning rate.

    Args:
        data: name of the data.
        model: name of the model.
        choices: by formulation.
        comparison: of the formulations that have a best learning rate, as trained at it.
        notes: on the grid: where the best learning rate is the smallest or the largest tried.
    """

    data: str
    model: str
    choices: Mapping[str, Choice]
    comparison: Comparison
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Sweep:
    """The result of ``xent.sweep``.

    Args:
        spec: what was asked for.
        cells: one for each study that was run.
        best: one for each data set and model that all learning rates were run of.
        over_data_sets: one for each model, where all of at least two data sets were run.
        done: how many trials are finished.
        planned: how many there are to finish.
        taken: how many of them were finished in the folder before.
        seconds: wall time.
    """

    spec: SweepSpec
    cells: tuple[Cell, ...]
    best: tuple[AtBest, ...]
    over_data_sets: tuple[OverDataSets, ...]
    done: int
    planned: int
    taken: int
    seconds: float

    def __repr__(self) -> str:
        return f"<Sweep of {len(self.cells)} studies: {self.status}>"

    @property
    def status(self) -> str:
        """``finished``, ``interrupted``, or ``failed`` by an error at a best learning rate."""
        if self.done < self.planned:
            return "interrupted"
        return "finished" if self.ok else "failed"

    @property
    def ok(self) -> bool:
        """Whether each formulation has a best learning rate, with no finding of level error."""
        found = all(choice.learning_rate for each in self.best for choice in each.choices.values())
        return found and all(each.comparison.ok for each in self.best)

    def to_dict(self) -> dict[str, object]:
        """The results as JSON values, by the schema in ``sweep.schema.json``."""
        from xent.study._sweeps._results import sweep_results

        return sweep_results(self)

    def show(self, console: Console | None = None) -> None:
        """Print best learning rates, verdicts and findings on the terminal, or a rich console."""
        from rich.console import Console

        from xent.study._show._sweep import show_sweep

        show_sweep(self, console or Console(highlight=False))

    def to_html(self, path: str | PathLike[str] | None = None) -> str:
        """The sweep as one HTML page that needs no network and no script.

        Args:
            path: a file to write it to as well.

        Raises:
            InputError: if that can't be written.
        """
        from xent.report import build_sweep, write_page

        page = build_sweep(self.to_dict())
        if path is not None:
            write_page(Path(path), page)
        return page


class SweepInterrupted(Interrupted):
    """A sweep was interrupted; what was finished is in its folder, and the same call goes on.

    Args:
        sweep: what is finished of it.
    """

    def __init__(self, sweep: Sweep) -> None:
        super().__init__(sweep.done, sweep.planned, None)
        self.sweep = sweep


def sweep(
    study: str | PathLike[str] | Mapping[str, Any],
    *,
    out: str | PathLike[str] | None = None,
    jobs: int | None = None,
    executor: Executor | None = None,
    progress: Progress | None = None,
) -> Sweep:
    """Compare formulations over data sets, models and learning rates.

    Args:
        study: the path of a TOML file, or the same as a mapping: the options of
            :func:`xent.compare`, where ``data``, ``model`` and ``learning-rate`` may be lists.
        out: folder to keep everything in; None is the file's ``out``, or keeps nothing. Trials
            that are finished there are not trained again.
        jobs: processes to train in; None is the file's ``jobs``, or 1.
        executor: any ``concurrent.futures.Executor`` instead of ``jobs``.
        progress: called with what is being done and the fraction that is done.

    Raises:
        InputError: anything that can't be used, in one line, before anything is trained.
        Interrupted: a KeyboardInterrupt where there is a folder, which has the results so far.

    >>> grid = {"data": "synthetic:n=300,features=2", "learning-rate": [0.01, 0.1], "seeds": 2,
    ...         "epochs": 5, "margin": 0.001}
    >>> [cell.learning_rate for cell in sweep(grid).cells]
    [0.01, 0.1]
    """
    spec = read_sweep(study)
    spec = replace(spec, jobs=spec.jobs if jobs is None else jobs)
    spec = replace(spec, out=spec.out if out is None else Path(out))
    return run_sweep(spec, executor=executor, progress=progress)


def run_sweep(
    spec: SweepSpec, *, executor: Executor | None = None, progress: Progress | None = None
) -> Sweep:
    """Run a sweep from its specification; see :func:`sweep`."""
    run = _SweepRun(spec, progress)
    try:
        with _executor_of(spec, executor) as shared:
            for data in spec.data:
                for model in spec.models:
                    run.group(data, model, shared)
    except KeyboardInterrupt as stop:
        if spec.out is None:
            raise
        raise SweepInterrupted(run.finish(stop)) from stop
    return run.finish()


@contextmanager
def _executor_of(spec: SweepSpec, executor: Executor | None) -> Iterator[Executor | None]:
    """One pool for all studies, so that its processes start once."""
    if executor is not None or spec.jobs == 1:
        yield executor
        return
    with worker_processes([spec.study], spec.jobs) as pool:
        yield pool


class _SweepRun:
    """A sweep under way."""

    def __init__(self, spec: SweepSpec, progress: Progress | None) -> None:
        self.begin = time.perf_counter()
        self.spec = spec
        self.progress = progress
        self.folder = None if spec.out is None else RunFolder.plan(spec.out)
        self.folders = _folder_names(spec)
        self.tables: dict[str, Table | None] = {}
        self.planned = _check_cells(spec, self.tables)
        self.cells: list[Cell] = []
        self.best: list[AtBest] = []
        self.done = 0
        self.taken = 0

    def group(self, data: str, model: str, executor: Executor | None) -> None:
        """Run all learning rates of one data set and model, and choose."""
        rates = self.spec.learning_rates
        comparisons = [self._run(data, model, rate, executor) for rate in rates]
        choices = choose(comparisons, rates)
        together = at_best(comparisons, self.spec, choices)
        self.best.append(AtBest(data, model, choices, together, edge_notes(choices, rates)))

    def _run(self, data: str, model: str, rate: float, executor: Executor | None) -> Comparison:
        folder = self.folders[data, model, rate]
        comparison = run_study(
            self.spec.cell(data, model, rate),
            table=self.tables[data],
            out=None if self.spec.out is None else self.spec.out / folder,
            store=self.spec.out,
            executor=executor,
            progress=self._say,
        )
        self.cells.append(Cell(data, model, rate, folder, comparison.to_dict()))
        self.done += comparison.done
        self.taken += comparison.taken
        return comparison

    def _say(self, what: str, fraction: float) -> None:
        if self.progress is not None and what in ("training", "evaluating"):
            cells = len(self.folders)
            self.progress(f"{what} (of one study)", fraction)
            if what == "evaluating":
                self.progress(f"{cells} studies", (len(self.cells) + fraction) / cells)

    def finish(self, stop: KeyboardInterrupt | None = None) -> Sweep:
        """What there is, kept in the folder."""
        done = self.done + (stop.done if isinstance(stop, Interrupted) else 0)
        result = Sweep(
            self.spec,
            tuple(self.cells),
            tuple(self.best),
            _over_data_sets(self.spec, self.best),
            done,
            self.planned,
            self.taken,
            time.perf_counter() - self.begin,
        )
        if self.folder is not None and self.cells:
            from xent.report import build_sweep

            document = result.to_dict()
            self.folder.write_document("sweep.json", document)
            self.folder.write_page("sweep.html", build_sweep(document, linked=True))
        return result


def _check_cells(spec: SweepSpec, tables: dict[str, Table | None]) -> int:
    """Check every cell before the first is trained; returns the number of trials."""
    formulations: dict[str, tuple[str, ...]] = {}
    trials = 0
    for data, given in spec.data.items():
        in_memory = given.source != STUDY and not is_synthetic(given.source)
        studies = [
            spec.cell(data, model, rate) for model in spec.models for rate in spec.learning_rates
        ]
        for study in studies:
            check_spec(study)
        tables[data] = read_table(given.source) if in_memory else None
        try:
            formulations[data] = _check_data(studies, tables[data])
        except InputError as error:
            raise _of_one(error, data, spec) from error
        trials += len(studies) * len(spec.study.seeds) * len(formulations[data])
    if len(set(formulations.values())) > 1:
        named = "; ".join(f"{data}: {','.join(names)}" for data, names in formulations.items())
        raise InputError(
            "compare: formulations",
            "given for data with two classes beside data with more, whose defaults differ",
            named,
            'Give formulations = ["ce", "ovr"].',
        )
    return trials


def _of_one(error: InputError, data: str, spec: SweepSpec) -> InputError:
    """The error of one data set among several: says which, and where its own options stand."""
    subject, required, found, repair = error.args
    option = str(subject).removeprefix("compare: --").replace("-", "_")
    if len(spec.data) == 1 or not hasattr(spec.data[data], option):
        return error
    own = f"Options of {data} alone stand in a [[data]] table with its source."
    return InputError(subject, required, found, f"{repair} {own}")


def _check_data(studies: Sequence[StudySpec], table: Table | None) -> tuple[str, ...]:
    """Check the studies of one data set; returns the names of the formulations."""
    dataset = load_splits(with_halves(studies[0]), table)[0]
    classes = len(dataset.class_names)
    found = find_formulations(studies[0].formulations or default_formulations(classes), classes)
    for study in studies:
        check_formulations(study, found, dataset)
    return tuple(formulation.name for formulation in found)


def _folder_names(spec: SweepSpec) -> dict[tuple[str, str, float], str]:
    """A folder for each cell, whatever the names of data and models are."""
    data, models = _safe_names(spec.data), _safe_names(spec.models)
    return {
        (d, m, rate): f"cells/{data[d]}/{models[m]}/learning-rate-{_rate_name(rate)}"
        for d in spec.data
        for m in spec.models
        for rate in spec.learning_rates
    }


def _rate_name(rate: float) -> str:
    """The shortest text that reads as this number and no other."""
    return f"{rate:g}" if float(f"{rate:g}") == rate else repr(rate)


def _safe_names(names: Mapping[str, object]) -> dict[str, str]:
    safe: dict[str, str] = {}
    for number, name in enumerate(names, start=1):
        plain = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.")[:40] or "data"
        taken = plain.lower() in {other.lower() for other in safe.values()}
        safe[name] = f"{plain}-{number}" if taken else plain
    return safe


def choose(comparisons: Sequence[Comparison], rates: Sequence[float]) -> dict[str, Choice]:
    """The learning rate of each formulation that is best on the validation rows.

    Args:
        comparisons: of the same data and model, one for each learning rate.
        rates: the learning rates, ascending.
    """
    choices = {}
    for result in comparisons[0].formulations:
        own = [comparison[result.name] for comparison in comparisons]
        losses = [_validation_loss(each) for each in own]
        usable = [i for i, each in enumerate(own) if each.status == "finished"]
        if len(rates) > 1:
            usable = [i for i in usable if losses[i] is not None]
        # Without validation rows there is one learning rate, and nothing to choose.
        best = min(usable, key=lambda i: (losses[i] or 0.0, i), default=None)
        choices[result.name] = Choice(
            None if best is None else rates[best],
            tuple(losses),
            None if best is None else _test_loss(own[best]),
            None if best is None else _test_loss_error(own[best]),
        )
    return choices


def edge_notes(choices: Mapping[str, Choice], rates: Sequence[float]) -> tuple[str, ...]:
    """Say where a best learning rate is at an end of the grid, beyond which may lie a better one.

    >>> chosen = {"ce": Choice(1.0, (0.5, 0.4), 0.4), "ovr": Choice(0.1, (0.3, 0.4), 0.3)}
    >>> for note in edge_notes(chosen, [0.1, 1.0]):
    ...     print(note)
    ce: the best learning rate is the largest tried (1); a larger one may be better: widen the grid.
    ovr: the best learning rate is the smallest tried (0.1); a smaller one may be better: widen
    the grid.
    """
    if len(rates) < 2:
        return ()
    notes = []
    for rate, end, beyond in ((rates[-1], "largest", "larger"), (rates[0], "smallest", "smaller")):
        names = [name for name, choice in choices.items() if choice.learning_rate == rate]
        if names:
            notes.append(
                f"{', '.join(names)}: the best learning rate is the {end} tried ({rate:g}); a "
                f"{beyond} one may be better: widen the grid."
            )
    return tuple(notes)


def _validation_loss(result: FormulationResult) -> float | None:
    """Mean over seeds or splits; None where one diverged or there are no validation rows."""
    losses = [trial.best_validation_log_loss for trial in result.trials]
    known = [loss for loss in losses if loss is not None and math.isfinite(loss)]
    return float(np.mean(known)) if len(known) == len(losses) else None


def _test_loss(result: FormulationResult) -> float | None:
    return result.mean("log_loss", recovered=result.recovered)


def _test_loss_error(result: FormulationResult) -> float | None:
    return result.aggregate("log_loss", recovered=result.recovered).se


def at_best(
    comparisons: Sequence[Comparison], spec: SweepSpec, choices: Mapping[str, Choice]
) -> Comparison:
    """Compare the formulations, each as trained at its own best learning rate."""
    by_rate = dict(zip(spec.learning_rates, comparisons, strict=True))
    chosen = {
        name: by_rate[choice.learning_rate]
        for name, choice in choices.items()
        if choice.learning_rate is not None
    }
    first = comparisons[0]
    findings = [found for found in first.findings if found.subject not in choices]
    for name, comparison in chosen.items():
        findings += [found for found in comparison.findings if found.subject == name]
    results = tuple(comparison[name] for name, comparison in chosen.items())
    together = replace(
        first,
        formulations=results,
        findings=tuple(findings),
        planned=sum(len(result.trials) for result in results),
        seconds=sum(comparison.seconds for comparison in comparisons),
    )
    return with_statistics(together)


def _over_data_sets(spec: SweepSpec, best: Sequence[AtBest]) -> tuple[OverDataSets, ...]:
    """Compare over the data sets, for each model that all of them were run with."""
    found = []
    for model in spec.models:
        own = [each for each in best if each.model == model]
        if len(own) < max(2, len(spec.data)):
            continue
        # A log loss that is not that of probabilities has no place in a ranking.
        unsound = {name for each in own for name in unsound_subjects(each.comparison.findings)}
        names = [name for name in own[0].choices if name not in unsound]
        if len(names) < 2:
            continue
        losses = {name: [_loss_or_infinity(each.choices[name]) for each in own] for name in names}
        data = [each.data for each in own]
        found.append(compare_over_data_sets(model, data, losses, spec.study.level))
    return tuple(found)


def _loss_or_infinity(choice: Choice) -> float:
    return math.inf if choice.test_log_loss is None else choice.test_log_loss

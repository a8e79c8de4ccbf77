"""A comparison on the terminal: tables and plain sentences that read well at 80 columns."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from xent._text import printable
from xent.scoring import Finding, Scores
from xent.study._bce_versus_ce import PUBLISHED, SigmoidScore
from xent.study._comparison import Aggregate, Comparison, FormulationResult, Parameter, Spread
from xent.study._data._dataset import Dataset
from xent.study._show._checks import show_checks
from xent.study._show._pairs import show_pairs
from xent.study._spec import FIVE_BY_TWO
from xent.study._verdicts._conditions import conditions

MOST_FEATURES = 8
# From here on digits behind the point say nothing.
LARGE = 1e4
# Names of formulations are folded beyond this.
NAME_WIDTH = 14
# Log losses closer than this are shown as equal: their fifth digit is.
EQUAL = 5e-6
# More columns of coefficients than this do not fit beside each other.
SIDE_BY_SIDE = 4
# Columns between two of a table, and what a feature's name has whatever stands beside it.
GAP, NARROWEST_NAME = 3, 22
LEVELS = {"error": "bold red", "warning": "yellow", "note": "cyan"}


def show(comparison: Comparison, console: Console) -> None:
    """Print data, scores, parameters, timings and findings."""
    _show_data(comparison, console)
    _show_table(console, *_scores_table(comparison))
    _show_reading(comparison, console)
    if comparison.margin is not None:
        show_pairs(comparison.pairs, (comparison.margin.words, *comparison.rules), console)
        show_checks(comparison.pairs, console)
    _show_table(console, *_calibration_table(comparison))
    _show_parameters(comparison, console)
    _show_table(console, *_timings_table(comparison))
    show_findings(comparison.findings, console)


def show_findings(findings: Sequence[Finding], console: Console) -> None:
    """Print findings by level; a cause and a cure once for each kind."""
    if not findings:
        console.print("No findings.")
        return
    for kind in dict.fromkeys((found.level, found.name) for found in findings):
        group = [found for found in findings if (found.level, found.name) == kind]
        first = group[0]
        head = Text(f"{first.level} ", style=LEVELS[first.level])
        head.append(f"{first.code} {first.name}", style="bold")
        console.print(head)
        for found in group[:4]:
            _indented(console, f"{found.subject}: {found.message}")
        if len(group) > 4:
            _indented(console, f"... and {len(group) - 4} more")
        _indented(console, f"cause: {first.cause}")
        _indented(console, f"cure: {first.cure}")


def _say(console: Console, text: str, style: str = "") -> None:
    console.print(Text(printable(text), style=style))


def _cell(text: str) -> str:
    return escape(printable(text))


def _indented(console: Console, text: str) -> None:
    from rich.padding import Padding

    console.print(Padding(Text(printable(text)), (0, 0, 0, 2)))


def _show_data(comparison: Comparison, console: Console) -> None:
    dataset, spec = comparison.dataset, comparison.spec
    sizes = ", ".join(f"{len(part.target):,} {name}" for name, part in dataset.parts.items())
    classes = ", ".join(dataset.class_names[:6]) + (", ..." if len(dataset.class_names) > 6 else "")
    _say(console, dataset.name, style="bold")
    counts = f"{len(dataset.feature_names)} features; {len(dataset.class_names)} classes"
    _say(console, f"{sizes} rows; {counts}: {classes}")
    for note in dataset.notes:
        _say(console, f"- {note}")
    _say(console, _training_sentence(comparison))
    shared = (
        "split, batch order and starting point" if spec.model.pairs_start else "split, batch order"
    )
    _say(console, f"{_replicates(comparison)}, paired: same {shared}.")
    if spec.n_splits > 1:
        _say(console, "The data above and the coefficients are the first split's.")
    if comparison.taken:
        trials = f"{comparison.taken} of {comparison.planned} trials"
        _say(console, f"{trials} were finished in the folder before and are not trained again.")
    if spec.data.weight is not None:
        _say(console, f"Training and scores are weighted by {spec.data.weight!r}.")
    if spec.data.group is not None:
        _say(console, f"Rows that share {spec.data.group!r} are in one part.")
    if not comparison.environment["native_extension"]:
        _say(console, "The native extension is not installed: NumPy and torch take its place.")
    console.print()


def _replicates(comparison: Comparison) -> str:
    spec = comparison.spec
    if spec.splits == FIVE_BY_TWO:
        return "Five times two halves, a seed each"
    if spec.n_splits > 1:
        return f"{spec.n_splits} random splits, a seed each"
    return f"{len(spec.seeds)} seed{'s' * (len(spec.seeds) > 1)}"


def _training_sentence(comparison: Comparison) -> str:
    spec, training = comparison.spec, comparison.spec.training
    model = spec.model.kind
    if spec.model.widths:
        model += f" {','.join(map(str, spec.model.widths))}"
    if training.converge:
        return f"{model}: Newton in float64 to a gradient norm of {training.gradient_norm:g}"
    batch = "full batch" if training.batch_size is None else f"batches of {training.batch_size}"
    decay = f", weight decay {training.weight_decay:g}" if training.weight_decay else ""
    return (
        f"{model}: {training.epochs} epochs of {training.optimizer} at "
        f"{training.learning_rate:g}{decay}, {batch}, {training.dtype}, {training.protocol}"
    )


def _scores_table(comparison: Comparison) -> tuple[str, Table]:
    spec = comparison.spec
    title = "Test scores by the right link"
    if spec.n_splits > 1:
        title += f", mean over {spec.n_splits} splits (± SE, as if they shared no rows)"
    elif len(spec.seeds) > 1:
        title += f", mean over {len(spec.seeds)} seeds (± SE)"
    table = _metrics_table("log loss", "Brier", "accuracy", "AUC")
    for name, result, recovered in _rows(comparison):
        table.add_row(name, *_scores_row(result, recovered=recovered))
    base = comparison.baselines
    table.add_section()
    _baseline(table, "class prior", base.prior_log_loss, base.majority)
    _baseline(table, "MLE", base.likelihood_log_loss)
    _baseline(table, "true model", base.true_log_loss)
    _baseline(table, "entropy", base.entropy_floor)
    return title, table


def _calibration_table(comparison: Comparison) -> tuple[str, Table]:
    first = comparison.formulations[0].trials[0].test
    whose = "" if first is None else f" of the {first.ece_of}"
    refits = [
        scores.recalibration
        for _, result, recovered in _rows(comparison)
        for scores in _finished(result, recovered=recovered)
    ]
    lacking = bool(refits) and all(refit.slope is None for refit in refits)
    headings = ("ECE", "noise floor") if lacking else ("ECE", "noise floor", "slope", "intercept")
    table = _metrics_table(*headings)
    for name, result, recovered in _rows(comparison):

        def mean(metric: str, of: FormulationResult = result, which: bool = recovered) -> str:
            return _number(of.mean(metric, recovered=which))

        row = [
            mean("ece"),
            mean("ece_noise_floor"),
            _with_number(mean("slope"), mean("slope_se")),
            _with_number(mean("intercept"), mean("intercept_se")),
        ]
        table.add_row(name, *row[: len(headings)])
    table.caption = (
        f"ECE{whose} over 15 groups of equal mass; the noise floor is what calibrated predictions "
        "would show. "
    )
    table.caption += (
        f"There is no slope and no intercept: {refits[0].failure}."
        if lacking
        else "Slope 1 and intercept 0 are calibrated; ± SE over rows."
    )
    return "Calibration on the test part", table


def _metrics_table(*headings: str) -> Table:
    table = new_table()
    table.add_column("", min_width=NAME_WIDTH, overflow="fold")
    for heading in headings:
        table.add_column(heading, justify="right", no_wrap=True)
    return table


def _rows(comparison: Comparison) -> Iterable[tuple[str, FormulationResult, bool]]:
    """The rows of a table of metrics: each formulation, and once more where it is recovered."""
    for result in comparison.formulations:
        name = _short_lines(result.name)
        yield (name if result.status == "finished" else f"{name}\n(diverged)"), result, False
        if result.recovered:
            yield "  recovered", result, True


def _baseline(
    table: Table, name: str, log_loss: float | None, accuracy: float | None = None
) -> None:
    if log_loss is not None:
        accuracy_text = "" if accuracy is None else _number(accuracy)
        table.add_row(name, _number(log_loss, 5), "", accuracy_text, "", style="dim")


def _scores_row(result: FormulationResult, *, recovered: bool) -> list[str]:
    def cell(metric: str, digits: int = 4) -> str:
        return _with_error(result.aggregate(metric, recovered=recovered), digits)

    loss = cell("log_loss", 5)
    if any(scores.infinite_rows for scores in _finished(result, recovered=recovered)):
        loss = "infinite"
    area = _number(result.mean("auc", recovered=recovered))
    return [loss, cell("brier", 5), cell("accuracy"), area]


def _finished(result: FormulationResult, *, recovered: bool) -> Iterable[Scores]:
    for trial in result.trials:
        scores = trial.recovered if recovered else trial.test
        if trial.status == "finished" and scores is not None:
            yield scores


def _show_reading(comparison: Comparison, console: Console) -> None:
    """Sentences that say what the table does not."""
    _say(console, "Losses in nats.")
    if len(comparison.formulations) > 1:
        _say(console, _difference_sentence(comparison))
    for result in comparison.formulations:
        if result.formulation.resolved_link.name == "normalised-sigmoid":
            _say(console, f"{result.name}: {result.formulation.resolved_link.formula}.")
    for sentence in conditions(comparison):
        _say(console, sentence)
    console.print()


def _difference_sentence(comparison: Comparison) -> str:
    """How far apart the formulations score, recovered where the loss distorts probabilities."""
    losses = {
        result.name: loss
        for result in comparison.formulations
        if (loss := result.mean("log_loss", recovered=result.recovered)) is not None
    }
    if len(losses) < 2:
        return "Too few formulations finished to compare them."
    best, worst = min(losses, key=losses.__getitem__), max(losses, key=losses.__getitem__)
    gap = losses[worst] - losses[best]
    recovered = any(result.recovered for result in comparison.formulations)
    of = " (recovered where there is such a row)" if recovered else ""
    if gap < EQUAL:
        return f"All log losses{of} are equal to {EQUAL:g} nats."
    return f"Lowest log loss{of}: {best}; highest: {worst}, {_number(gap, 5)} nats above it."


def _show_parameters(comparison: Comparison, console: Console) -> None:
    likelihood = comparison.likelihood
    shown = [result for result in comparison.formulations if result.parameters]
    if not shown:
        return
    kinds: dict[tuple[str, ...], list[FormulationResult]] = {}
    for result in shown:
        against = tuple(dict.fromkeys((p.log_odds, p.against) for p in result.parameters))
        kinds.setdefault(tuple(map(str, against)), []).append(result)
    for group in kinds.values():
        for first in range(0, len(group), SIDE_BY_SIDE):
            block = group[first : first + SIDE_BY_SIDE]
            table = _parameters_table(block, comparison.dataset, console.width)
            _show_table(console, *table)
    known = likelihood is None or likelihood.status == "maximum"
    notes = [f"{each.name}: {each.parameters_note}." for each in shown if each.parameters_note]
    if likelihood is not None and not known:
        notes = [f"No maximum likelihood estimate ({likelihood.status}).", likelihood.message]
    for sentence in notes:
        _say(console, sentence)
    if notes:
        console.print()


def _parameters_table(
    group: Sequence[FormulationResult], dataset: Dataset, width: int
) -> tuple[str, Table]:
    first = group[0].parameters
    classes = list(dict.fromkeys(p.log_odds for p in first))
    against = first[0].against
    what = "Log-odds" if len(classes) > 1 else f"Log-odds of {classes[0]}"
    title = f"{what} against {against}"
    table = new_table()
    if len(classes) > 1:
        table.add_column("class")
    table.add_column("feature")
    truth = any(p.truth is not None for p in first)
    estimate = any(p.estimate is not None for p in first)
    for heading, wanted in (("truth", truth), ("MLE", estimate)):
        if wanted:
            table.add_column(heading, justify="right", no_wrap=True)
    for result in group:
        table.add_column(_short_lines(result.name), justify="right")
    chosen = _most_important(first, dataset)
    rows = []
    for i in chosen:
        parameter = first[i]
        row = [_cell(parameter.log_odds)] if len(classes) > 1 else []
        row.append(printable(parameter.feature))
        if truth:
            row.append(_number(parameter.truth))
        if estimate:
            row.append(_plus_minus(parameter.estimate, parameter.estimate_se))
        row += [
            _plus_minus(
                result.parameters[i].mean,
                result.parameters[i].standard_error if len(group) == 1 else None,
            )
            for result in group
        ]
        rows.append(row)
    feature = int(len(classes) > 1)
    others = sum(
        GAP + max(len(row[i]) for row in rows) for i in range(len(rows[0])) if i != feature
    )
    for row in rows:
        row[feature] = escape(_cut(row[feature], max(NARROWEST_NAME, width - others - 2 * GAP)))
        table.add_row(*row)
    if len(chosen) < len(first):
        table.caption = (
            f"{len(chosen)} of {len(first)}, the largest per standard deviation of the feature; "
            "--json and --out give all"
        )
    errors = any(p.standard_error or p.estimate_se for p in first)
    return f"{title}, per unit{' (± SE)' if errors else ''}", table


def _most_important(parameters: Sequence[Parameter], dataset: Dataset) -> list[int]:
    """The rows to show, in their own order: the largest per standard deviation of the feature."""
    spread = dataset.train.features.std(axis=0) * dataset.scale
    deviation = dict(zip(dataset.feature_names, spread.tolist(), strict=True))

    def size(i: int) -> float:
        return float(abs(parameters[i].mean) * deviation.get(parameters[i].feature, 0.0))

    ranked = sorted(range(len(parameters)), key=size, reverse=True)
    return sorted(ranked[: MOST_FEATURES + 1])


def _timings_table(comparison: Comparison) -> tuple[str, Table]:
    table = new_table()
    table.add_column("", min_width=NAME_WIDTH, overflow="fold")
    for heading in ("step", "data", "evaluation", "loss alone**"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("fit*", justify="right", no_wrap=True)
    for result in comparison.formulations:
        phases = (result.timings[p] for p in ("step", "data", "evaluation", "loss"))
        name = _short_lines(result.name)
        table.add_row(name, *map(_spread, phases), _seconds(result.fit_seconds))
    table.caption = "* all seeds   ** torch's own loss, forward and backward, timed apart"
    return "Time: median (quartiles)", table


def show_sigmoid_scores(
    scores: Sequence[SigmoidScore], title: str, console: Console, *, published: bool
) -> None:
    """Print right figures beside those that a sigmoid on every output gives."""
    table = new_table()
    table.add_column("")
    table.add_column("right", justify="right")
    if published:
        table.add_column("as published", justify="right")
    table.add_column("sigmoids / row sum", justify="right")
    table.add_column("sigmoids as is", justify="right")
    as_published = {model.formulation: model.published_log_loss for model in PUBLISHED}
    for score in scores:
        row = [_cell(score.formulation), _number(score.right, 6)]
        if published:
            row.append(_number(as_published[score.formulation], 6))
        wrong = bool(score.findings)
        for value in (score.renormalised, score.raw):
            shown = _number(value, 6)
            row.append(f"[red]{shown}[/red]" if wrong else shown)
        table.add_row(*row)
    _show_table(console, title, table)
    for score in scores:
        _say(console, f"{score.formulation}: {score.reason}.")
        for found in score.findings:
            _indented(console, f"{found.code} {found.name}: {found.message}")
    console.print()


def _show_table(console: Console, title: str, table: Table) -> None:
    # Title and caption stand outside the table, which would wrap them to its own width.
    _say(console, title, style="bold")
    caption, table.caption = table.caption, None
    console.print(table)
    if caption:
        _say(console, str(caption))
        console.print()


def _cut(text: str, width: int) -> str:
    """A name in one line, its middle left out where it is too long."""
    tail = (width - 1) // 3
    return text if len(text) <= width else f"{text[: width - 1 - tail]}…{text[-tail:]}"


def new_table() -> Table:
    return Table(
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, 1),
        collapse_padding=True,
    )


def _short_lines(name: str) -> str:
    """A formulation's name as a cell, one line for each modifier, long ones in two."""
    base, *modifiers = _cell(name).split("+")
    lines = [f"+{m}" if len(m) < NAME_WIDTH else f"+{m}".replace("=", "=\n  ") for m in modifiers]
    return "\n".join([base, *lines])


def _number(value: float | None, digits: int = 4) -> str:
    if value is None:
        return "-"
    return f"{value:.{digits}f}" if abs(value) < LARGE else f"{value:.2g}"


def _with_error(aggregate: Aggregate, digits: int) -> str:
    if aggregate.mean is None:
        return "-"
    mean = _number(aggregate.mean, digits)
    return mean if aggregate.se is None else f"{mean} ±{_number(aggregate.se, digits)}"


def _with_number(value: str, error: str) -> str:
    """A number that is there, with an error that may not be."""
    return value if "-" in (value, error) else f"{value} ±{error}"


def _plus_minus(value: float | None, error: float | None) -> str:
    if value is None:
        return "-"
    shown = f"{value:.4g}"
    return shown if error is None else f"{shown} ±{error:.2g}"


def _spread(spread: Spread | None) -> str:
    if spread is None:
        return "-"
    scale, unit = _unit(spread.median)
    lower, median, upper = (v * scale for v in (spread.lower, spread.median, spread.upper))
    return f"{_short(median)} {unit}\n({_short(lower)}-{_short(upper)})"


def _seconds(seconds: float) -> str:
    scale, unit = _unit(seconds)
    return f"{_short(seconds * scale)} {unit}"


def _short(value: float) -> str:
    return f"{value:.0f}" if value >= 10 else f"{value:.2g}"


def _unit(seconds: float) -> tuple[float, str]:
    if seconds < 1e-3:
        return 1e6, "µs"
    return (1e3, "ms") if seconds < 1 else (1.0, "s")

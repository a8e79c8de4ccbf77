"""``xent compare``: one model, several losses, the user's data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from xent.cli._present import (
    exit_code,
    hand_over,
    interruptible,
    print_json,
    progress_bar,
    terminal,
)
from xent.cli._replaced import replacing


class _CountOrFiveByTwo(click.ParamType[int | str]):
    """How many splits, or the word for five times two halves."""

    name = "N|5x2"

    def convert(self, value: Any, param: Any, ctx: Any) -> int | str:
        try:
            return int(value)
        except ValueError:
            return str(value)


class _NumberOrSkill(click.ParamType[float | str]):
    """A number of nats, or the word skill."""

    name = "nats|skill"

    def convert(self, value: Any, param: Any, ctx: Any) -> float | str:
        if value == "skill":
            return "skill"
        try:
            return float(value)
        except ValueError:
            self.fail(f"{value!r} is neither a number of nats nor the word skill.", param, ctx)


class _FractionOrFile(click.ParamType[float | str]):
    """A fraction of the rows, or a file."""

    name = "fraction|file"

    def convert(self, value: Any, param: Any, ctx: Any) -> float | str:
        try:
            return float(value)
        except ValueError:
            return str(value)


def _names(text: str | None) -> tuple[str, ...]:
    return () if text is None else tuple(part.strip() for part in text.split(",") if part.strip())


@click.command()
@click.argument("data", nargs=-1, metavar="DATA")
@click.option("--predictions", is_flag=True,
              help="DATA are files of predictions, one a model: only compare them.")  # fmt: skip
@click.option("--input", "input_kind", type=click.Choice(["probs", "log-probs", "logits"]),
              help="What the predictions are.")  # fmt: skip
@click.option("--id", "identity", metavar="COLUMN",
              help="Names the rows of the predictions, which are matched by it.")  # fmt: skip
@click.option("-t", "--target", metavar="COLUMN", help="Column of classes.")
@click.option("-f", "--formulations", metavar="NAMES",
              help="bce, ce1, ce2 (two classes), ce, ovr, each with +smoothing=E, +focal=G, "
              "+weights=balanced or W:W; package.module:name for your own.  "
              "[default: bce,ce1,ce2 for two classes, ce,ovr for more]")  # fmt: skip
@click.option("-s", "--seeds", type=click.IntRange(min=1), metavar="N",
              help="How many starting points.  [default: 10, or one a split]")  # fmt: skip
@click.option("--splits", type=_CountOrFiveByTwo(), default=1, show_default=True, metavar="N|5x2",
              help="How many random splits of the rows, or five times two halves.")  # fmt: skip
@click.option("--model", default="linear", show_default=True, metavar="MODEL",
              help="linear, mlp, or package.module:factory.")  # fmt: skip
@click.option("--widths", metavar="W,W", help="Hidden widths of an mlp.")
@click.option("--head", metavar="NAME", help="The final nn.Linear of a factory's model.")
@click.option("--test", type=_FractionOrFile(), default=0.2, show_default=True,
              help="Rows to test on: a fraction, or a file.")  # fmt: skip
@click.option("--validation", type=float, default=0.1, show_default=True, metavar="FRACTION",
              help="Rows for validation curves.")  # fmt: skip
@click.option("--stratify/--no-stratify", default=True, show_default=True,
              help="Keep the classes' shares in every part.")  # fmt: skip
@click.option("--group", metavar="COLUMN", help="Rows that share its value stay in one part.")
@click.option("--groups", metavar="COLUMN",
              help="Rows that share its value share an error: standard errors are of these "
              "clusters.  [default: those of --group]")  # fmt: skip
@click.option("--weight", metavar="COLUMN", help="Sample weights.")
@click.option("--positive", metavar="CLASS", help="The class of two that becomes class 1.")
@click.option("--classes", multiple=True, metavar="NAMES",
              help="Keep only rows of these classes; may be repeated.")  # fmt: skip
@click.option("--drop", multiple=True, metavar="COLUMNS",
              help="Columns that are no features; may be repeated.")  # fmt: skip
@click.option("--split-seed", type=click.IntRange(min=0), default=0, show_default=True,
              help="Decides the split.")  # fmt: skip
@click.option("--standardize/--no-standardize", default=True, show_default=True,
              help="Centre and scale numbers by the training part.")  # fmt: skip
@click.option("--optimizer", type=click.Choice(["adam", "adamw", "sgd", "lbfgs"]), default="adam",
              show_default=True)  # fmt: skip
@click.option("--lr", "--learning-rate", "learning_rate", type=float, default=0.1,
              show_default=True, help="Step size.")  # fmt: skip
@click.option("--epochs", type=click.IntRange(min=1), default=50, show_default=True)
@click.option("--batch-size", type=click.IntRange(min=1), help="Rows of a step.  [default: all]")
@click.option("--momentum", type=float, default=0.0, help="Of sgd.")
@click.option("--weight-decay", type=float, default=0.0, help="As torch's optimisers take it.")
@click.option("--converge", is_flag=True,
              help="Newton in float64 to the optimum of each loss (linear models).")  # fmt: skip
@click.option("--gradient-norm", type=float, default=1e-9, show_default=True,
              help="What counts as converged.")  # fmt: skip
@click.option("--protocol", type=click.Choice(["as-written", "matched"]), default="as-written",
              show_default=True, help="matched: steps that are equal in log-odds.")  # fmt: skip
@click.option("--device", default="cpu", show_default=True)
@click.option("--dtype", type=click.Choice(["float32", "float64"]), default="float32",
              show_default=True)  # fmt: skip
@click.option("--question", type=click.Choice(["fitted", "procedure"]),
              help="Do these fitted models differ, or do the ways of training them?  "
              "[default: procedure, fitted with one seed]")  # fmt: skip
@click.option("--margin", type=_NumberOrSkill(), metavar="NATS|skill",
              help="The largest difference of log loss that does not matter.  "
              "[default: 2 % of the skill on validation rows]")  # fmt: skip
@click.option("--level", type=float, default=0.95, show_default=True,
              help="Confidence level; tests are at 1 - level.")  # fmt: skip
@click.option("-j", "--jobs", type=click.IntRange(min=1), default=1, show_default=True,
              help="Processes to train in.")  # fmt: skip
@click.option("-o", "--out", type=click.Path(path_type=Path, file_okay=False), metavar="FOLDER",
              help="Keep report, results.json and trials here.")  # fmt: skip
@click.option("--open", "show", is_flag=True, help="Show the report in the browser.")
@click.option("--json", "as_json", is_flag=True, help="Print the results as JSON.")
@click.option("-q", "--quiet", is_flag=True, help="No progress.")
@click.pass_context
def command(
    context: click.Context,
    /,
    data: tuple[str, ...],
    *,
    out: Path | None,
    jobs: int,
    show: bool,
    as_json: bool,
    quiet: bool,
    **options: Any,
) -> int:  # the \b below is click's mark for lines to leave as they are
    """Train one model under several loss formulations and score each by its right link.

    DATA is a .csv, .tsv, .parquet or .npz file, sklearn:NAME (breast_cancer, digits, iris, wine),
    synthetic:n=1000,features=4,classes=2,noise=0,seed=0, or bce-versus-ce. A .toml file describes
    a sweep over data sets, models and learning rates.

    \b
    Examples:
      xent compare data.csv --target churned
      xent compare sklearn:breast_cancer --seeds 20
      xent compare sklearn:digits -f ce,ovr,ce+focal=2 --model mlp --widths 64
      xent compare sklearn:iris --classes versicolor,virginica --converge
      xent compare study.toml --out runs/study
      xent compare --predictions a.csv b.csv -t y --input probs --margin 0.001

    Exit codes: 0 fine, 1 a finding of level error, 2 bad input, 130 interrupted.
    """
    if options.pop("predictions"):
        from xent.cli._predictions import compare_files

        return compare_files(context, data, out=out, show=show, as_json=as_json, **options)
    if len(data) == 1 and data[0].lower().endswith(".toml"):
        from xent.cli._sweep import run_file

        return run_file(
            context, data[0], out=out, jobs=jobs, show=show, as_json=as_json, quiet=quiet
        )
    _check_study(context, data, options)
    from xent.study import DataSpec, run_study

    data_spec = DataSpec(
        source=data[0],
        drop=options.pop("drop"),
        classes=options.pop("classes"),
        **{name: options.pop(name) for name in _DATA_OPTIONS},
    )
    spec = _study_spec(data_spec, options)
    with interruptible(out), replacing(out), progress_bar(quiet=quiet) as progress:
        comparison = run_study(spec, out=out, jobs=jobs, progress=progress)
    if as_json:
        print_json(comparison)
        if show:
            hand_over(comparison, out, show=True, wanted=True)
        return exit_code(comparison)
    from xent.study._show._terminal import show as show_comparison

    show_comparison(comparison, terminal())
    hand_over(comparison, out, show=show, wanted=False)
    return exit_code(comparison)


def _check_study(context: click.Context, data: tuple[str, ...], options: dict[str, Any]) -> None:
    """One source of data, and none of the options that only predictions have."""
    if not data:
        raise click.UsageError("Missing argument 'DATA'.", context)
    if len(data) > 1:
        raise click.UsageError(
            f"Got {len(data)} data sets, and one is compared at a time; files of predictions need "
            "--predictions, and several data sets a .toml file.",
            context,
        )
    for name, option in (("input_kind", "--input"), ("identity", "--id")):
        if options.pop(name) is not None:
            raise click.UsageError(f"{option} is for --predictions alone.", context)
    if options["margin"] == "skill":
        options["margin"] = None


_DATA_OPTIONS = (
    "target", "test", "validation", "stratify", "group", "groups", "weight", "positive",
    "split_seed", "standardize",
)  # fmt: skip


def _study_spec(data: Any, options: dict[str, Any]) -> Any:
    """The rest of the options; what is left over after names and model belongs to training."""
    from xent._errors import InputError
    from xent.study import ModelSpec, StudySpec, TrainingSpec
    from xent.study._spec import default_seeds

    widths = options.pop("widths")
    try:
        hidden = tuple(int(width) for width in _names(widths))
    except ValueError:
        raise InputError(
            "compare: --widths",
            "whole numbers such as 64,32",
            repr(widths),
            "Separate them by commas.",
        ) from None
    seeds, splits = options.pop("seeds"), options.pop("splits")
    return StudySpec(
        data=data,
        formulations=_names(options.pop("formulations")),
        seeds=default_seeds(splits) if seeds is None else tuple(range(seeds)),
        splits=splits,
        question=options.pop("question"),
        margin=options.pop("margin"),
        level=options.pop("level"),
        model=ModelSpec(options.pop("model"), hidden, options.pop("head")),
        training=TrainingSpec(**options),
    )

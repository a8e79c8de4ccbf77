"""``xent compare --predictions``: the same tests for predictions that were made elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from xent.cli._present import hand_over, print_document, terminal
from xent.cli._replaced import replacing

if TYPE_CHECKING:
    from xent.study import PredictionComparison

# What the options of compare mean here; any other is refused rather than ignored.
_MEANINGFUL = {
    "data", "predictions", "input_kind", "target", "classes", "positive", "identity", "groups",
    "weight", "drop", "margin", "level", "question", "out", "show", "as_json", "quiet",
}  # fmt: skip


def compare_files(
    context: click.Context,
    files: Sequence[str],
    *,
    out: Path | None,
    show: bool,
    as_json: bool,
    **options: Any,
) -> int:
    """Compare files of predictions; returns the exit code."""
    from xent.study import compare_predictions
    from xent.study._predictions._files import read_predictions

    _refuse_others(context)
    columns, kind = _columns(options), _kind(options["input_kind"])
    _check_files(files)
    _check_question(options["question"])
    read = read_predictions(files, kind, columns)
    first = next(iter(read.values()))
    comparison = compare_predictions(
        first.target,
        {name: file.values for name, file in read.items()},
        kind,
        classes=first.classes,
        margin=options["margin"],
        groups=first.groups,
        weight=first.weight,
        level=options["level"],
    )
    comparison = replace(comparison, asked=_asked(read, files, kind, options))
    if out is not None:
        with replacing(out):
            _write(out, comparison)
    if as_json:
        print_document(comparison.to_dict())
    else:
        comparison.show(terminal())
    if show or (out is not None and not as_json):
        hand_over(comparison, out, show=show, kept="report.html, results.json")
    return 0 if comparison.ok else 1


def _asked(
    names: Iterable[str], files: Sequence[str], kind: str, options: dict[str, Any]
) -> dict[str, object]:
    """What the report makes the command of: files by name, and the options that were given."""
    given = {
        name: list(value) if isinstance(value, tuple) else value
        for name in ("target", "identity", "classes", "positive", "groups", "weight", "drop",
                     "margin")
        if (value := options[name])
    }  # fmt: skip
    found = {"files": dict(zip(names, files, strict=True)), "input": kind, **given}
    return found if options["level"] == 0.95 else found | {"level": options["level"]}


def _refuse_others(context: click.Context) -> None:
    from xent._errors import InputError

    for parameter in context.command.params:
        name = parameter.name or ""
        source = context.get_parameter_source(name)
        if name not in _MEANINGFUL and source is click.core.ParameterSource.COMMANDLINE:
            raise InputError(
                f"compare: {parameter.opts[-1]}",
                "left out with --predictions, which trains nothing",
                f"{parameter.opts[-1]} {context.params[name]}",
                "Leave it out.",
            )


def _columns(options: dict[str, Any]) -> Any:
    from xent.study._predictions._files import PredictionColumns

    return PredictionColumns(
        target=options["target"],
        classes=options["classes"],
        positive=options["positive"],
        identity=options["identity"],
        groups=options["groups"],
        weight=options["weight"],
        drop=options["drop"],
    )


def _kind(given: str | None) -> str:
    from xent._errors import InputError

    if given is None:
        raise InputError(
            "compare: --input",
            "given with --predictions: probs, log-probs or logits",
            "nothing",
            "Say what the numbers are; it is never guessed.",
        )
    return given


def _check_files(files: Sequence[str]) -> None:
    from xent._errors import InputError

    if len(files) < 2:
        raise InputError(
            "compare: --predictions",
            "followed by two files or more, one for each model",
            f"{len(files)}",
            "Give xent compare --predictions A.csv B.csv --target COLUMN --input probs.",
        )


def _check_question(question: str | None) -> None:
    from xent._errors import InputError

    if question == "procedure":
        raise InputError(
            "compare: --question procedure",
            "asked of models that are trained here, from several seeds or splits",
            "files of predictions of one model each",
            "Leave it out: the question is that of fitted models.",
        )


def _write(folder: Path, comparison: PredictionComparison) -> None:
    from xent._errors import InputError

    try:
        folder.mkdir(parents=True, exist_ok=True)
        text = comparison.to_json() + "\n"
        (folder / "results.json").write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(
            "compare: --out",
            "a folder that can be written to",
            f"{str(folder)!r} ({error.strerror or error})",
            "Name another folder.",
        ) from error
    comparison.to_html(folder / "report.html")

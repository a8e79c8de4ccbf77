"""The page: every section's content, put into one template."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from xent.report._coefficients import coefficients
from xent.report._curves import curves
from xent.report._drawing import drawing_settings, share_styles
from xent.report._forest import forest
from xent.report._glossary import words
from xent.report._methods import command, facts, methods, why_no_command
from xent.report._names import html_cell, html_name, html_short, html_text, plain_text
from xent.report._reliability import reliability
from xent.report._run import Arrays, Json, Run, no_arrays, of_predictions
from xent.report._scores import scores
from xent.report._seeds import seeds
from xent.report._summary import script_json, summary
from xent.report._timing import timing
from xent.report._verdicts import look, verdicts

if TYPE_CHECKING:
    from markupsafe import Markup

    from xent.report._content import Figure

# Findings of one kind beyond these are counted.
MOST_ALIKE = 3
# More classes than these are only counted.
MOST_CLASSES = 4
LEVELS = {"error": ("✖", "bad"), "warning": ("▲", "unsure"), "note": ("○", "mild")}
# Notes beyond these are folded away; errors and warnings never are.
MOST_NOTES = 2


def build(results: Json, arrays: Arrays = no_arrays) -> str:
    """Build the report of a run.

    Args:
        results: what ``results.json`` holds.
        arrays: gives the arrays of ``trials/KEY.npz`` by key, or None where there are none;
            only the reliability of a study needs them.

    Returns:
        A whole HTML page, the same for the same results: no script, nothing from outside.
    """
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    if "predictions" in results:
        results = of_predictions(results)
    run = Run(results, arrays)
    with drawing_settings():
        figures = _figures(run)
    shared, styles = share_styles(drawing for figure in figures for drawing in figure.drawings)
    drawings = iter(shared)
    figures = [
        replace(figure, drawings=[next(drawings) for _ in figure.drawings]) for figure in figures
    ]
    findings = _findings(run)
    open_ = MOST_NOTES + sum(group["level"] != "note" for group in findings)
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True,
                              lstrip_blocks=True)  # fmt: skip
    environment.filters.update(text=html_text, name=html_name, short=html_short, plain=plain_text,
                               cell=html_cell)  # fmt: skip
    page = environment.from_string(_read("report.html.jinja")).render(
        run=run,
        title=run.data.get("name") or "unnamed data",
        header=_header(run),
        stylesheet=Markup(_read("report.css")) + styles,
        status=_status(run),
        contents=_contents(figures),
        verdicts=verdicts(run),
        words=words(run),
        look=look,
        findings=findings[:open_],
        folded=findings[open_:],
        scores=scores(run),
        figures=figures,
        methods=methods(run),
        command=command(run),
        why_no_command=why_no_command(run),
        facts=facts(run),
        summary=script_json(summary(run)),
    )
    return page + "\n"


def _figures(run: Run) -> list[Figure]:
    """What there is to draw; of predictions made elsewhere, what needs no training."""
    if run.elsewhere:
        return [forest(run), reliability(run)]
    return [forest(run), seeds(run), curves(run), reliability(run), *coefficients(run), timing(run)]


def _contents(figures: list[Figure]) -> list[tuple[str, str]]:
    """Anchor and title of every section."""
    begin = [("verdict", "Verdict"), ("findings", "Findings"), ("scores", "Scores")]
    return [*begin, *((each.key, each.title) for each in figures), ("methods", "Methods")]


def _read(name: str) -> str:
    return files("xent.report").joinpath(name).read_text(encoding="utf-8")


def _header(run: Run) -> list[Markup]:
    """What was run, in a few counts."""
    from markupsafe import Markup

    rows = (run.data.get("rows") or {}).get("test")
    features, classes = run.data.get("features") or (), run.data.get("classes") or ()
    seeds = (run.results.get("spec") or {}).get("seeds") or ()
    facts = [
        None if rows is None else _count(rows, "test row"),
        _count(len(features), "feature") if features else None,
        _classes(classes) if classes else None,
        _count(len(run.names) + len(run.missing), run.thing),
        _count(len(seeds), "seed") if seeds else None,
        _kept((run.results.get("environment") or {}).get("date")),
    ]
    return [Markup("{}").format(fact) for fact in facts if fact]


def _classes(names: Sequence[str]) -> Markup:
    """How many classes there are, and their names where they are few."""
    from markupsafe import Markup

    counted = Markup("{}").format(_count(len(names), "class"))
    if len(names) > MOST_CLASSES:
        return counted
    return counted + Markup(" ({})").format(Markup(", ").join(map(html_short, names)))


def _kept(date: str | None) -> Markup | None:
    """A date in one line."""
    from markupsafe import Markup

    return Markup('<span class="kept">{}</span>').format(plain_text(date)) if date else None


def _count(number: int, thing: str) -> str:
    plural = "es" if thing.endswith("s") else "s"
    return f"{number:,} {thing}{plural * (number != 1)}"


def _status(run: Run) -> str:
    """What a reader has to know before everything else; empty where all is well."""
    if run.unfinished:
        trials = run.results["trials"]
        missing = f"Nothing is finished of {', '.join(run.missing)}. " if run.missing else ""
        return (
            f"Interrupted: {trials['finished']} of {trials['planned']} trials are finished, and "
            f"this is what they say; verdicts may change with the rest. {missing}The same command "
            "into the same folder finishes it."
        )
    if run.results.get("status") == "failed":
        return "Something went wrong: see the findings of level error."
    return ""


def _findings(run: Run) -> list[dict[str, Any]]:
    """Findings by kind, in their own order: errors first."""
    kinds: dict[tuple[str, str], list[Json]] = {}
    for found in run.results.get("findings") or ():
        kinds.setdefault((found["level"], found["name"]), []).append(found)
    groups = []
    for (level, name), own in kinds.items():
        sign, colour = LEVELS.get(level, LEVELS["note"])
        more = len(own) - MOST_ALIKE
        groups.append(
            {"level": level, "name": name, "sign": sign, "colour": colour, "first": own[0],
             "shown": own[:MOST_ALIKE], "more": max(0, more)}
        )  # fmt: skip
    return groups

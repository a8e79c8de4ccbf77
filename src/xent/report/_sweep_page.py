"""The page of a sweep: what each data set and model gave, and what they give together."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

from xent.report._names import html_name, html_text, plain_text
from xent.report._run import Json
from xent.report._verdicts import look

LEVELS = {"error": ("✖", "bad"), "warning": ("▲", "unsure"), "note": ("○", "mild")}


def build_sweep(document: Json, *, linked: bool = False) -> str:
    """Build the page of a sweep.

    Args:
        document: what ``sweep.json`` holds.
        linked: whether the page stands beside the folder of the studies, so that it may link to
            their reports.

    Returns:
        A whole HTML page: no script, nothing from outside.
    """
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True,
                              lstrip_blocks=True)  # fmt: skip
    environment.filters.update(text=html_text, name=html_name, plain=plain_text)
    rates = document["spec"]["learning_rates"]
    page = environment.from_string(_read("sweep.html.jinja")).render(
        stylesheet=Markup(_read("report.css")),
        title=", ".join(document["spec"]["data"]),
        header=_header(document),
        status=_status(document),
        rates=rates,
        groups=[_group(each, document, linked=linked) for each in document["best"]],
        over=document["over_data_sets"],
        look=look,
        number=_number,
    )
    return page + "\n"


def _read(name: str) -> str:
    return files("xent.report").joinpath(name).read_text(encoding="utf-8")


def _header(document: Json) -> str:
    spec, trials = document["spec"], document["trials"]
    counts = [
        (len(spec["data"]), "data set"),
        (len(spec["models"]), "model"),
        (len(spec["learning_rates"]), "learning rate"),
        (trials["finished"], "trial"),
    ]
    return " · ".join(f"{count:,} {thing}{'s' * (count != 1)}" for count, thing in counts)


def _status(document: Json) -> str:
    trials = document["trials"]
    if document["status"] == "interrupted":
        return (
            f"Interrupted: {trials['finished']} of {trials['planned']} trials are finished. Data "
            "sets and models that are not complete are left out; the same command into the same "
            "folder finishes them."
        )
    if document["status"] == "failed":
        return "Failed: a formulation diverged at every learning rate, or a finding is an error."
    return ""


def _group(best: Json, document: Json, *, linked: bool) -> dict[str, Any]:
    """One data set and model, as the template shows it."""
    cells = [
        cell
        for cell in document["cells"]
        if (cell["data"], cell["model"]) == (best["data"], best["model"])
    ]
    # What is shown beside the verdicts: with one learning rate they are the same pairs again.
    common = cells if len(cells) > 1 and best["pairs"] else []
    return {
        **best,
        "choices": [{"name": name, **choice} for name, choice in best["formulations"].items()],
        "findings": [_finding(found) for found in best["findings"]],
        "links": [(f"{cell['learning_rate']:g}", f"{cell['folder']}/report.html")
                  for cell in cells if linked],
        "common": [(f"{cell['learning_rate']:g}", cell["pairs"]) for cell in common],
    }  # fmt: skip


def _finding(found: Json) -> dict[str, Any]:
    sign, colour = LEVELS.get(found["level"], ("", ""))
    return {**found, "sign": sign, "colour": colour}


def _number(value: float | None, error: float | None = None) -> str:
    """A log loss with its standard error."""
    if value is None:
        return "–"
    return f"{value:.5f}" if error is None else f"{value:.5f} ±{error:.5f}"

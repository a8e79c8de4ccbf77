"""The results in short, as JSON inside the page: for those who read it with a program."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from xent.report._run import Run

if TYPE_CHECKING:
    from markupsafe import Markup

# What is long: every trial's curves and coefficients, and the parameters. results.json has them.
_LEFT_OUT = ("trials", "parameters", "timings", "over_seeds", "recovered", "link", "intervals")
_LONG = ("features", "notes", "standard_deviations")
# Letters that end a script element or a line of script, wherever they stand.
_ESCAPES = {
    letter: f"\\u{ord(letter):04x}" for letter in ("<", ">", "&", "\u2028", "\u2029")
}  # fmt: skip
# Of more pairs than this only these values are kept.
MOST_PAIRS = 40
_OF_A_PAIR = (
    "minuend",
    "subtrahend",
    "difference",
    "interval",
    "p_holm",
    "p_equivalence",
    "verdict",
)


def summary(run: Run) -> dict[str, Any]:
    """The results without what is long."""
    results = {key: value for key, value in run.results.items() if key != "elsewhere"}
    results["data"] = {key: value for key, value in run.data.items() if key not in _LONG}
    results["formulations"] = {name: _formulation(run, name) for name in run.names}
    if len(run.pairs) > MOST_PAIRS:
        results["pairs"] = [
            _rounded({key: pair.get(key) for key in _OF_A_PAIR}, 5) for pair in run.pairs
        ]
    results["findings"] = [
        {key: found.get(key) for key in ("code", "name", "level", "subject", "message")}
        for found in results.get("findings") or ()
    ]
    rounded: dict[str, Any] = _rounded(results)
    return rounded


def _formulation(run: Run, name: str) -> dict[str, Any]:
    own = run.formulation(name)
    short = {key: value for key, value in own.items() if key not in _LEFT_OUT}
    recovered = own.get("recovered") or {}
    if recovered:
        short["recovered"] = {
            metric: aggregate.get("mean") for metric, aggregate in recovered.items()
        }
    short["trials"] = len(run.trials(name))
    return short


def _rounded(value: Any, digits: int = 9) -> Any:
    """Numbers to so many significant digits: more would only be length."""
    if isinstance(value, Mapping):
        return {key: _rounded(item, digits) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(item, digits) for item in value]
    return float(f"{value:.{digits}g}") if isinstance(value, float) else value


def script_json(value: object) -> Markup:
    r"""JSON that can stand inside a script element whatever its strings are.

    >>> script_json("</script>")
    Markup('"\\u003c/script\\u003e"')
    """
    from markupsafe import Markup

    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for letter, escape in _ESCAPES.items():
        text = text.replace(letter, escape)
    return Markup(text.encode("utf-8", "backslashreplace").decode("utf-8"))

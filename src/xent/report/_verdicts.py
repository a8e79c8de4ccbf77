"""What was asked and what came out: one sentence for each pair, by word, sign and colour."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from xent.report._content import Table
from xent.report._numbers import ABSENT, p_value, signed, significant
from xent.report._run import Json, Run

# More sentences than this are folded away below the first ones, and still more left to the table.
MOST, MOST_FOLDED = 12, 8

QUESTIONS = {
    "fitted": "Do these fitted models differ on the population that the test rows are drawn from?",
    "procedure": "Do these ways of training differ on this task, whatever the seed?",
}


CHECKS = {"brier": "Brier score", "auc": "AUC", "paired bootstrap": "log loss, bootstrap"}


@dataclass(frozen=True)
class Verdict:
    """How a verdict looks: its sign, and the name of its colour."""

    sign: str
    colour: str


VERDICTS = {
    "different": Verdict("≠", "bad"),
    "inconclusive": Verdict("?", "unsure"),
    "different but negligible": Verdict("≃", "mild"),
    "equivalent": Verdict("≈", "good"),
    "identical": Verdict("=", "good"),
}
UNKNOWN = Verdict("·", "unsure")


@dataclass(frozen=True)
class Verdicts:
    """The first section of the page.

    Args:
        question: what was asked, in words.
        headline: all verdicts in one sentence.
        colour: of the headline.
        margin: the margin in words.
        shown: the pairs whose sentences stand open.
        folded: the other pairs.
        more: how many pairs have no sentence.
        note: why there are no verdicts.
        conditions: what they hold under: the length of steps, convergence.
        checks: the same pairs by other tests and metrics.
    """

    question: str
    headline: str
    colour: str
    margin: str
    shown: list[Json]
    folded: list[Json]
    more: int
    note: str
    conditions: list[str]
    checks: Table | None


def verdicts(run: Run) -> Verdicts:
    """Sort the pairs so that those come first that need a decision."""
    order = list(VERDICTS)
    pairs = run.pairs
    if len(pairs) > MOST:
        pairs = sorted(
            pairs, key=lambda pair: order.index(pair["verdict"]) if pair["verdict"] in order else 0
        )
    headline, colour = _headline(run)
    if pairs and run.unfinished:
        headline = f"So far: {headline[:1].lower()}{headline[1:]}"
    return Verdicts(
        question=_question(run),
        headline=headline,
        colour=colour,
        margin=(run.results.get("margin") or {}).get("words") or "",
        shown=pairs[:MOST],
        folded=pairs[MOST : MOST + MOST_FOLDED],
        more=max(0, len(pairs) - MOST - MOST_FOLDED),
        note="" if pairs else _why_none(run),
        conditions=[str(sentence) for sentence in run.results.get("conditions") or ()],
        checks=_checks(pairs),
    )


def _checks(pairs: list[Json]) -> Table | None:
    """Every pair by other tests and metrics, as far as sentences stand open."""
    rows = [
        (
            f"{pair['minuend']} − {pair['subtrahend']}",
            CHECKS.get(check["name"], check["name"]),
            signed(check.get("value")),
            _interval(check),
            p_value(check.get("p_value")),
            str(check.get("words") or ""),
        )
        for pair in pairs[:MOST]
        for check in pair.get("checks") or ()
    ]
    if not rows:
        return None
    note = "The verdicts do not rest on these, and no p-value here is adjusted for their number."
    if len(pairs) > MOST:
        note += f" Shown are {MOST} pairs; results.json has all."
    headings = ("pair", "by", "difference", "interval", "p", "what it is")
    return Table(headings, rows, names=2, note=note, grouped=True, texts=1)


def _interval(check: Json) -> str:
    ends = check.get("low"), check.get("high")
    return ABSENT if None in ends else " to ".join(map(signed, ends))


def _question(run: Run) -> str:
    """The question, and what its answer is true of: the first of the rules that were printed."""
    rules = run.results.get("rules") or [QUESTIONS.get(run.results.get("question") or "", "")]
    question = str(rules[0]).removeprefix("Question: ")
    return question[:1].upper() + question[1:]


def look(pair: Json) -> Verdict:
    """How the verdict of a pair looks."""
    return VERDICTS.get(pair.get("verdict") or "", UNKNOWN)


def _headline(run: Run) -> tuple[str, str]:
    """All pairs in one sentence. That all are equivalent needs no correction for their number."""
    pairs = run.pairs
    if not pairs:
        return "No verdict", "unsure"
    counts = Counter(pair["verdict"] for pair in pairs)
    within = "" if run.margin is None else f" within ±{significant(run.margin)} nats"
    if len(pairs) == 1:
        pair = pairs[0]
        return f"The two are {pair['verdict']}" if _plain(pair) else "Inconclusive", look(
            pair
        ).colour
    if set(counts) == {"identical"}:
        return f"All {len(pairs)} pairs are identical", "good"
    if set(counts) <= {"identical", "equivalent"}:
        return f"All {len(pairs)} pairs are equivalent{within}", "good"
    if set(counts) <= {"identical", "equivalent", "different but negligible"}:
        return f"No pair differs by more than the margin{within.replace(' within', ',')}", "good"
    parts = [f"{counts[name]} {name}" for name in VERDICTS if counts[name]]
    colour = "bad" if counts["different"] else "unsure"
    return f"Of {len(pairs)} pairs: {', '.join(parts)}", colour


def _plain(pair: Json) -> bool:
    return pair["verdict"] in VERDICTS and pair["verdict"] != "inconclusive"


def _why_none(run: Run) -> str:
    scored = [name for name in run.names if run.finished(name)]
    if len(run.names) < 2 and run.missing:
        return "One formulation is finished so far: there is nothing yet to compare it with."
    if len(run.names) < 2:
        return f"One {run.thing} was run: there is nothing to compare it with."
    if len(scored) < 2:
        return f"Fewer than two {run.thing}s have a finished trial, so no pair can be compared."
    return "These results hold no comparison of pairs."

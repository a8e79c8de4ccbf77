"""Entrants whose log loss is not that of probabilities: there is nothing to test, and why."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from xent.scoring import Finding

# Findings after which a small log loss is no merit: what was scored is no distribution, or it does
# better than the true probabilities can.
UNSOUND = (
    "rows-do-not-sum-to-one",
    "values-outside-unit-interval",
    "softmax-over-rows",
    "single-column-of-ones",
    "below-entropy-floor",
)


def unsound_subjects(findings: Iterable[Finding]) -> dict[str, str]:
    """The subjects of such findings, each with codes and names: ``XS103 rows-do-not-...``."""
    kinds: dict[str, dict[str, None]] = {}
    for each in findings:
        if each.name in UNSOUND:
            kinds.setdefault(each.subject, {})[f"{each.code} {each.name}"] = None
    return {subject: ", ".join(words) for subject, words in kinds.items()}


def unsound_sentence(minuend: str, subtrahend: str, unsound: Mapping[str, str]) -> str:
    """Say whose log loss is not that of probabilities; empty where both are sound.

    >>> unsound_sentence("b", "a", {"b": "XS103 rows-do-not-sum-to-one"})
    'b and a: inconclusive. There is no verdict, since the log loss of b is not that of
    probabilities (XS103 rows-do-not-sum-to-one): see its finding.'
    """
    who = [name for name in (minuend, subtrahend) if name in unsound]
    if not who:
        return ""
    said = " and ".join(f"of {name} is not that of probabilities ({unsound[name]})" for name in who)
    finding = "its finding" if len(who) == 1 else "their findings"
    return (
        f"{minuend} and {subtrahend}: inconclusive. There is no verdict, since the log loss "
        f"{said}: see {finding}."
    )

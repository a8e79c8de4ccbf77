"""The rules, one file for each family."""

from __future__ import annotations

from xent.wiring._rule import Rule
from xent.wiring.rules import (
    _activations,
    _axes,
    _by_hand,
    _evaluation,
    _outputs,
    _scales,
    _suppressions,
)

_FAMILIES = (_activations, _scales, _outputs, _axes, _evaluation, _by_hand, _suppressions)

RULES: dict[str, Rule] = {
    rule.code: rule
    for rule in sorted(
        (rule for family in _FAMILIES for rule in family.RULES), key=lambda rule: rule.code
    )
}

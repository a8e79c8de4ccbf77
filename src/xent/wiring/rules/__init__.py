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
    _shapes_and_targets,
    _suppressions,
    _symptoms_of_training,
)

_FAMILIES = (
    _activations, _scales, _outputs, _axes, _shapes_and_targets, _evaluation, _by_hand,
    _symptoms_of_training, _suppressions,
)  # fmt: skip

RULES: dict[str, Rule] = {
    rule.code: rule
    for rule in sorted(
        (rule for family in _FAMILIES for rule in family.RULES), key=lambda rule: rule.code
    )
}

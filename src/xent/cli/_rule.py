"""``xent rule``: what a rule looks for, why, and what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from xent.wiring import Rule


@click.command()
@click.argument("rule", required=False, metavar="RULE")
def command(rule: str | None) -> int:
    """Say what a rule of xent check looks for, why it matters, and what to do.

    RULE is a code or a name; without it the rules are listed.

    \b
    Examples:
      xent rule XE101
      xent rule softmax-into-cross-entropy
    """
    from xent._errors import InputError
    from xent.wiring import RULES

    if rule is None:
        for each in RULES.values():
            click.echo(f"{each.code}  {each.level:<7}  {each.name}")
        return 0
    found = next((each for each in RULES.values() if rule in (each.code, each.name)), None)
    if found is None:
        from difflib import get_close_matches

        known = [word for each in RULES.values() for word in (each.code, each.name)]
        near = get_close_matches(rule, known, n=1)
        repair = f"Did you mean {near[0]}?" if near else "xent rule lists them."
        raise InputError("rule: RULE", "the code or name of a rule", repr(rule), repair)
    click.echo(_text(found), nl=False)
    return 0


def _text(rule: Rule) -> str:
    parts = [f"{rule.code} {rule.name} ({rule.level})", rule.what, rule.why]
    if rule.limits:
        parts.append(rule.limits)
    parts.append(f"Found by {rule.found_by}.")
    if rule.repair is not None:
        parts.append(f"Fix ({rule.repair.safety}): {rule.repair.words}")
    parts += ["Example:", _indented(rule.example), "Use instead:", _indented(rule.instead)]
    return "\n\n".join(parts) + "\n"


def _indented(code: str) -> str:
    return "\n".join(f"    {line}".rstrip() for line in code.strip().splitlines())

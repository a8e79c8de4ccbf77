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
    wanted = rule.casefold()
    found = next(
        (each for each in RULES.values() if wanted in (each.code.casefold(), each.name)), None
    )
    if found is None:
        from difflib import get_close_matches

        near = get_close_matches(wanted, [each.name for each in RULES.values()], n=1)
        repair = f"Did you mean {near[0]}?" if near else "xent rule lists them."
        raise InputError("rule: RULE", "the code or name of a rule", repr(rule), repair)
    click.echo(_text(found), nl=False)
    return 0


def _text(rule: Rule) -> str:
    from xent._text import filled, page_width

    paragraphs = [rule.what, rule.why, rule.limits, f"Found by {rule.found_by}."]
    if rule.repair is not None:
        paragraphs.append(f"Fix ({rule.repair.safety}): {rule.repair.words}")
    width = page_width()
    parts = [
        f"{rule.code} {rule.name} ({rule.level})",
        *(filled(text, width) for text in paragraphs if text),
        "Example:", _indented(rule.example), "Use instead:", _indented(rule.instead),
    ]  # fmt: skip
    return "\n\n".join(parts) + "\n"


def _indented(code: str) -> str:
    return "\n".join(f"    {line}".rstrip() for line in code.strip().splitlines())

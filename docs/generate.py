"""Writes the reference pages that come from tables; a test holds them up to date.

python docs/generate.py
"""

from __future__ import annotations

from pathlib import Path

DOCS = Path(__file__).parent
NOTE = "<!-- Made by docs/generate.py from the tables in the source; don't edit it here. -->\n"


def findings_page() -> str:
    """Every kind of finding: what it means and what to do."""
    from xent.scoring import FINDINGS

    lines = [
        NOTE,
        "# Findings",
        "",
        "What `xent` looks for on every trial. An **error** means that a number is wrong (the",
        "exit code is 1), a **warning** that it is suspect, a **note** that it is worth knowing.",
    ]
    for kind in FINDINGS.values():
        lines += ["", f"## {kind.code} `{kind.name}` ({kind.level})", "", kind.cause, ""]
        lines += [f"*Cure:* {kind.cure}"]
    return "\n".join(lines) + "\n"


def formulations_page() -> str:
    """The built-in formulations with their links."""
    from xent.study import BUILT_IN

    lines = [
        NOTE,
        "# Formulations",
        "",
        "A formulation owns its number of outputs, its loss, its link to probabilities and its",
        "map to log-odds.",
        "",
        "| name | classes | what is minimised | link | log-odds |",
        "|---|---|---|---|---|",
    ]
    for formulation in BUILT_IN.values():
        link = formulation.resolved_link
        classes = "2" if formulation.binary_only else "any"
        against = "class 0" if link.log_odds_of == "reference" else "the rest"
        lines.append(
            f"| `{formulation.name}` | {classes} | {formulation.description} | "
            f"{link.formula} | against {against} |"
        )
    lines += ["", (DOCS / "formulations-text.md").read_text(encoding="utf-8").rstrip()]
    return "\n".join(lines) + "\n"


PAGES = {"findings.md": findings_page, "formulations.md": formulations_page}


def main() -> None:
    """Write every page."""
    for name, page in PAGES.items():
        (DOCS / name).write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()

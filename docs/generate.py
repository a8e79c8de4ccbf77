"""Writes the reference pages that come from tables; a test holds them up to date.

python docs/generate.py
"""

from __future__ import annotations

import json
import re
import string
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from xent._contracts import Argument, Contract, Fault, Form
    from xent.walkthrough import Choice

DOCS = Path(__file__).parent
RESULTS = DOCS.parent / "benchmarks" / "results"
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
        if kind.rule:
            lines += [f"*Reported where:* {kind.rule[0].lower()}{kind.rule[1:]}", ""]
        lines += [f"*Cure:* {kind.cure}"]
    return "\n".join(lines) + "\n"


def rules_page() -> str:
    """Every rule of xent check: what it finds, why that is wrong, and the same without it."""
    from xent.wiring import RULES

    lines = [
        NOTE,
        "# Rules",
        "",
        "What `xent check` looks for. Errors and warnings are shown, notes on request:",
        "`--extend-select ALL`. `xent rule XE101` prints one of these entries. What is found at",
        "run time is found on tensors, by `xent.check` and `xent.watch`.",
        "",
        "| code | level | found in | fix | rule |",
        "|---|---|---|---|---|",
    ]
    for rule in RULES.values():
        anchor = f"{rule.code}-{rule.name}".lower()
        fix = rule.repair.safety if rule.repair else ""
        name = f"[`{rule.name}`](#{anchor})"
        lines.append(f"| {rule.code} | {rule.level} | {rule.found_in} | {fix} | {name} |")
    for rule in RULES.values():
        lines += ["", f"## {rule.code} {rule.name}", "", f"*{rule.level}.* {rule.what} {rule.why}"]
        if rule.limits:
            lines += ["", rule.limits]
        if rule.repair:
            lines += ["", f"*Fix ({rule.repair.safety}):* {rule.repair.words}"]
        for title, code in (("Example", rule.example), ("Use instead", rule.instead)):
            lines += ["", f"{title}:", "", "```py", *code.strip().splitlines(), "```"]
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


def losses_page() -> str:
    """The contract of every loss, and the catalogue of what can be wrong with its arguments."""
    from xent._contracts import CONTRACTS

    lines = [
        NOTE,
        "# Losses",
        "",
        "Every loss of `xent.functional`: what it takes, what it gives, and what it refuses.",
        "All values are in nats. Arguments after the * of a signature are given by name; they are",
        "off by default, and without them each function is PyTorch's of the same name.",
        "",
        "| loss | one | input | target |",
        "|---|---|---|---|",
    ]
    for contract in CONTRACTS.values():
        one = "row" if "classes" in contract.argument("input").forms[0].shape else "element"
        kinds = [
            " or ".join(dict.fromkeys(domain.plural for domain in contract.argument(name).domains))
            for name in ("input", "target")
        ]
        lines.append(f"| [`{contract.name}`](#{contract.name}) | {one} | {' | '.join(kinds)} |")
    lines += [
        "",
        "A loss of *elements* takes each element as a yes or no by itself; a loss of *rows* takes",
        "each row as one class out of several. In shapes, `*batch`, `*positions` and `*shape` are",
        "any number of axes; PyTorch's rule is that the classes are on axis 1, or on axis 0 where",
        "there is no other. Dtypes are named by their kind: *floating* is float16, bfloat16,",
        "float32 and float64; *integer* is any width, signed or not; *real* is both and bool.",
    ]
    for contract in CONTRACTS.values():
        lines += ["", *contract_section(contract)]
    faults = {fault.code: fault for row in CONTRACTS.values() for fault in row.errors}
    lines += ["", *faults_section([faults[code] for code in sorted(faults)])]
    return "\n".join(lines) + "\n"


def contract_section(contract: Contract) -> list[str]:
    """One loss."""
    lines = [f"## {contract.name}", "", contract.summary, "", "```math", contract.latex, "```", ""]
    lines += ["In plain text:", "", *in_lines(contract.formula)]
    lines += ["With every option:", "", *in_lines(contract.options_formula)]
    lines += [
        "| argument | values | shape | dtypes | default | meaning |",
        "|---|---|---|---|---|---|",
    ]
    keyword_only = False
    for argument in contract.arguments:
        if argument.keyword_only and not keyword_only:
            lines.append("| * | | | | | *by name only* |")
            keyword_only = True
        lines += argument_rows(argument)
    lines += ["", f"*Result:* {as_code(contract.output)}, or one number where it is reduced."]
    if contract.mean_denominator:
        lines[-1] += f" The mean divides by {contract.mean_denominator}."
    else:
        lines[-1] = f"*Result:* {as_code(contract.output)}; nothing is reduced."
    lines += ["", f"*Probabilities:* `{contract.probabilities}`."]
    lines[-1] += f" *Prediction:* `{contract.prediction}`."
    if contract.also_known_as:
        lines += ["", "*In other libraries:* " + quoted(contract.also_known_as) + "."]
    lines += ["", "*Siblings:*", ""]
    lines += [f"- `{sibling.name}` {sibling.difference}." for sibling in contract.siblings]
    codes = ", ".join(f"[{fault.code}](#errors)" for fault in by_code(contract.errors))
    lines += ["", f"*Errors:* {codes}.", "", "*References:*", ""]
    for reference in contract.references:
        lines.append(f"- {reference.author}, *{reference.title}*, {reference.year}.")
    return lines


def argument_rows(argument: Argument) -> list[str]:
    """The rows of one argument, one for each form that it takes."""
    from xent._contracts import DTYPE_GROUPS

    rows = []
    for number, form in enumerate(argument.forms):
        name, meaning = (f"`{argument.name}`", argument.meaning) if number == 0 else ("or", "")
        default = "" if number or argument.default is None else f"`{argument.default}`"
        dtypes = DTYPE_GROUPS.get(form.dtypes, "")
        shape = as_code(form.shape)
        rows.append(f"| {name} | {values(form)} | {shape} | {dtypes} | {default} | {meaning} |")
    return rows


def values(form: Form) -> str:
    """What an argument may hold."""
    domain = form.domain
    if domain.choices:
        return " or ".join(f"`{choice!r}`" for choice in domain.choices)
    many = form.shape not in ("", "()")
    text = f"{domain.plural if many else 'one ' + domain.name} in {domain.interval}"
    return text + (", normalised over the classes" if domain.normalised else "")


def as_code(shape: str) -> str:
    """A shape in words, with what is in parentheses as code."""
    return re.sub(r"\([^)]*\)", lambda found: f"`{found[0]}`", shape)


def in_lines(formula: str) -> list[str]:
    """A formula in plain text, broken where the table has two spaces."""
    return ["```text", *re.sub(r"([,;])  ", r"\1\n", formula).splitlines(), "```", ""]


def faults_section(faults: list[Fault]) -> list[str]:
    """The catalogue of errors."""
    lines = [
        "## Errors",
        "",
        "Every error is a `ContractError`, which is a `ValueError`, and also of the type that",
        "PyTorch raises for the same mistake. Names in ⟨⟩ stand for the caller's own sizes. Only",
        "values that a kernel reads anyway are checked, and ignored rows are never read.",
        "",
        "| code | what is wrong | also a | the argument must be | what to do |",
        "|---|---|---|---|---|",
    ]
    for fault in faults:
        also = ", ".join(f"`{kind.__name__}`" for kind in fault.raises)
        repairs = "<br>".join(
            (f"*{situation}:* " if situation else "") + filled(text)
            for situation, text in fault.repairs.items()
        )
        name = fault.name.replace("-", " ")
        lines.append(f"| {fault.code} | {name} | {also} | {filled(fault.required)} | {repairs} |")
    return lines


def filled(template: str) -> str:
    """A text of the table with the names of what the caller's call would fill in."""
    parts = string.Formatter().parse(template)
    return "".join(text + (f"⟨{name}⟩" if name else "") for text, name, _, _ in parts)


def by_code(faults: tuple[Fault, ...]) -> list[Fault]:
    """Faults in the order of their codes."""
    return sorted(faults, key=lambda fault: fault.code)


def quoted(names: tuple[str, ...]) -> str:
    """Names as code, with commas."""
    return ", ".join(f"`{name}`" for name in names)


def which_page() -> str:
    """The cheat sheet of losses, an example for each task and last layer, and what goes wrong."""
    from xent.walkthrough._choice import cheat_sheet
    from xent.walkthrough._render_choice import LEGEND, choice_in_markdown, sheet_in_markdown

    choices = cheat_sheet()
    lines = [
        NOTE,
        "# Which loss, and how",
        "",
        "For a task, the last layer of the model and the form of the target. `xent which --task",
        "multiclass --last-layer softmax --target indices` says the same of one of them,",
        '`xent.which("multiclass", "softmax", "indices")` does so in Python, and `xent which',
        "--table` prints the tables. All of it follows from the [contracts](losses.md) of the",
        "losses, and every example and every outcome below is run by the tests.",
        "",
        f"{as_code_of_f(LEGEND)}",
        "",
        sheet_in_markdown(choices),
        "",
        "Targets: `indices` are numbers of classes, such as 2; `one-hot` is a column for each",
        "class, 1 where it applies and 0 elsewhere; `probabilities` lie between 0 and 1;",
        "`floats` are labels in a floating dtype, such as 1.0.",
        "",
        "## In full",
        "",
        "One form of the target for each task and last layer; with the others the call differs,",
        "and what is refused.",
    ]
    for choice in first_of_each_layer(choices):
        lines += ["", choice_in_markdown(choice, level=3)]
    return "\n".join(lines) + "\n"


def first_of_each_layer(choices: tuple[Choice, ...]) -> list[Choice]:
    """The first that is possible of each task and last layer, or the first where none is."""
    found: dict[tuple[str, str], Choice] = {}
    for choice in sorted(choices, key=lambda choice: not choice.possible):
        found.setdefault((choice.task, choice.last_layer), choice)
    order = {(choice.task, choice.last_layer): None for choice in choices}
    return [found[key] for key in order]


def as_code_of_f(legend: str) -> str:
    """The legend of the cheat sheet with its names as code."""
    for name in ("torch.nn.functional", "xent.functional"):
        legend = legend.replace(name, f"`{name}`")
    return legend.replace("F is", "`F` is")


def speed_page() -> str:
    """What benchmarks/losses.py has measured."""
    lines = [
        NOTE,
        "# Speed and memory",
        "",
        "`benchmarks/losses.py` times five variants in turns, each in a process of its own:",
        "PyTorch, PyTorch with huge pages (`THP_MEM_ALLOC_ENABLE=1`), `torch.compile`,",
        "`xent.functional`, and a pass over the same bytes past the caches, which is what memory",
        "allows. The gradient is the one that a user gets: a fresh tensor from `loss.backward()`.",
        "A ratio a / b is the time of a over that of b, the median over rounds that time both;",
        "milliseconds are for this machine only.",
        "",
    ]
    found = measured("losses.json")
    if found is None:
        return "\n".join([*lines, "Not measured yet: `make bench-losses`."]) + "\n"
    lines += [where(found), ""]
    if found["copy"] == "copy_":
        lines += ["The copy is PyTorch's `copy_`: there was no native extension.", ""]
    for loss in dict.fromkeys(row["loss"] for row in found["speed"]):
        lines += [*speed_table(loss, [row for row in found["speed"] if row["loss"] == loss]), ""]
    lines += ["**Small inputs**, forward and backward. At most 1.05 is the goal.", ""]
    lines += ["| loss | input | PyTorch, µs | xent / PyTorch |", "|---|---|---|---|"]
    for row in found["small"]:
        ratio = f"{row['ratio']:.2f}{missed(row['met'])}"
        lines.append(f"| `{row['loss']}` | {row['case']} | {row['seconds'] * 1e6:.1f} | {ratio} |")
    lines += ["", "**One training step** of a whole model, stochastic gradient descent.", ""]
    lines += ["| model | rows | xent, ms | PyTorch / xent | huge pages / xent |", "|---" * 5 + "|"]
    for row in found["training"]:
        cells = [times(row["ratios"].get(name)) for name in ("eager/ours", "huge_pages/ours")]
        ours = f"{row['seconds']['ours'] * 1e3:.1f}"
        lines.append(f"| {row['case']} | {row['rows']:,} | {ours} | {cells[0]} | {cells[1]} |")
    lines += ["", "**Peak memory** of forward and backward beside the inputs, in gradients.", ""]
    lines += ["| loss | input | PyTorch | xent | goal |", "|---|---|---|---|---|"]
    for row in found["memory"]:
        theirs, ours = (f"{row['multiples'][who]:.2f}" for who in ("eager", "ours"))
        goal = row["exception"] or f"≤ {row['bound']:.2f}{missed(row['met'])}"
        lines.append(f"| `{row['loss']}` | {row['case']} | {theirs} | {ours} | {goal} |")
    return "\n".join(lines) + "\n"


def speed_table(loss: str, rows: list[dict[str, Any]]) -> list[str]:
    """The cases of one loss."""
    lines = [
        f"## {loss}",
        "",
        "| input | pass | xent, ms | PyTorch / xent | huge pages / xent | compiled / xent "
        "| xent / copy | goals |",
        "|---" * 8 + "|",
    ]
    ratios = ("eager/ours", "huge_pages/ours", "compile/ours", "ours/copy")
    for row in rows:
        cells = " | ".join(times(row["ratios"].get(name)) for name in ratios)
        ours = f"{row['seconds']['ours'] * 1e3:.2f}" if "ours" in row["seconds"] else ""
        goals = "<br>".join(goal_text(goal) for goal in row["goals"])
        lines.append(f"| {row['case']} | {row['pass']} | {ours} | {cells} | {goals} |")
    return lines


def goal_text(goal: dict[str, Any]) -> str:
    """A goal, with what was measured where no column has it."""
    names = {"eager": "PyTorch", "huge_pages": "huge pages", "compile": "compiled",
             "ours": "xent", "copy": "copy", "plain": "without options"}  # fmt: skip
    over, under = (names[name] for name in goal["ratio"].split("/"))
    sign = "≥" if goal["at_least"] else "≤"
    own = f": {times(goal['measured'])}" if under == "without options" else ""
    return f"{over} / {under} {sign} {goal['bound']:g}{own}{missed(goal['met'])}"


def accuracy_page() -> str:
    """What benchmarks/accuracy.py has measured."""
    lines = [
        NOTE,
        "# Accuracy",
        "",
        "`benchmarks/accuracy.py` holds values and gradients against 200-bit arithmetic, on inputs",
        "that are hard: logits up to 1e4, gaps from 1e-3 to 1e4, classes at -inf, probabilities of",
        "0, 1 and next to them. Errors are in ulp, the distance of neighbouring numbers of the",
        "result's dtype: 0.5 is the error of rounding the exact answer. *NaN* counts the finite",
        "answers that came out as NaN or infinite. Where a gradient is the difference of two",
        "terms, as with a target between 0 and 1, the ulp is that of the larger term.",
        "",
    ]
    found = measured("accuracy.json")
    if found is None:
        return "\n".join([*lines, "Not measured yet: `make bench-accuracy`."]) + "\n"
    lines += [where(found), "", "## Single samples", ""]
    lines += ["| loss | dtype | of | PyTorch, max | mean | NaN | xent, max | mean | NaN |"]
    lines += ["|---" * 9 + "|"]
    for row in found["samples"]:
        cells = " | ".join(
            f"{row[who]['max']:.3g} | {row[who]['mean']:.2g} | {row[who]['not_numbers'] or ''}"
            for who in ("torch", "ours")
        )
        lines.append(f"| {row['loss']} | {row['dtype']} | {row['of']} | {cells} |")
    lines += [
        "",
        "Gradients may be off by 2 ulp; those of `cross_entropy` by 4 + (max - x) units of",
    ]
    lines += [
        "2^-24 (2^-53 in float64), relative. The largest part of its bound that any one uses:"
    ]
    lines += [""]
    lines += ["| loss | dtype | PyTorch | xent |", "|---|---|---|---|"]
    for row in found["samples"]:
        if row["of"] == "gradient" and row["dtype"] in ("float32", "float64"):
            theirs, ours = (f"{float(part):.2g}" for part in row["of_bound"])
            lines.append(f"| {row['loss']} | {row['dtype']} | {theirs} | {ours} |")
    lines += ["", "## Means over many rows", "", "Errors in ulp.", ""]
    lines += ["| loss | dtype | rows | exact | PyTorch | error | xent | error |"]
    lines += ["|---" * 8 + "|"]
    for row in found["means"]:
        cells = " | ".join(
            f"{float(row[who]['value']):.8g} | {float(row[who]['ulp']):.2g}"
            for who in ("torch", "ours")
        )
        name = f"{row['loss']} | {row['dtype']} | {row['rows']:,}"
        lines.append(f"| {name} | {row['exact']:.8g} | {cells} |")
    lines += ["", "## Where PyTorch is wrong", "", "BCE and BCEL are `binary_cross_entropy` and"]
    lines += ["`binary_cross_entropy_with_logits`, CE `cross_entropy`, NLL `nll_loss`; t is the"]
    lines += ["target, and *slope* the gradient of the loss. float32 unless a dtype is named.", ""]
    lines += ["| call | PyTorch | xent | exact |", "|---|---|---|---|"]
    for row in found["differences"]:
        cells = " | ".join(f"{float(row[who]):.7g}" for who in ("torch", "ours", "exact"))
        lines.append(f"| `{row['call']}` | {cells} |")
    return "\n".join(lines) + "\n"


def measured(name: str) -> dict[str, Any] | None:
    """The saved results of a benchmark, if it has been run."""
    path = RESULTS / name
    if not path.exists():
        return None
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def where(found: dict[str, Any]) -> str:
    """The machine, the versions and the day of a measurement."""
    machine = found["machine"]
    quick = " **A quick run, with small inputs.**" if found["quick"] else ""
    return (
        f"{machine['processor']}, {machine['threads']} threads, Python {machine['python']}, "
        f"PyTorch {machine['torch']}; {found['date']}, commit {found['commit']}.{quick}"
    )


def times(ratio: float | None) -> str:
    """A ratio, if it was measured."""
    return "" if ratio is None else f"{ratio:.3g}"


def missed(met: bool) -> str:
    """A mark beside a goal."""
    return "" if met else " **missed**"


PAGES = {
    "findings.md": findings_page,
    "formulations.md": formulations_page,
    "losses.md": losses_page,
    "rules.md": rules_page,
    "speed.md": speed_page,
    "accuracy.md": accuracy_page,
    "which.md": which_page,
}


def main() -> None:
    """Write every page."""
    for name, page in PAGES.items():
        (DOCS / name).write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()

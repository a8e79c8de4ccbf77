"""What goes wrong with a loss that is not for a combination, reasoned from the contract table.

Each mistake is the call that somebody would write: the outputs as they are, and the target in the
dtype that the loss wants. What becomes of it follows from shapes, dtypes and domains.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from xent._contracts import CONTRACTS, Contract
from xent._symptoms import LARGEST_SIGMOID_OF_PROBABILITY, double_softmax_loss_floor
from xent.walkthrough._combinations import LOGITS, Combination, is_a_loss, of_rows
from xent.walkthrough._routes import VARIABLES, Route

REFUSED, ANOTHER, SAME = "refused", "another number", "the same number"


@dataclass(frozen=True)
class Mistake:
    """A call that is not for the combination.

    Args:
        loss: the function.
        output: the first argument, as an expression.
        target: the second, likewise.
        outcome: ``"refused"`` (an error), ``"another number"`` or ``"the same number"``.
        why: one sentence, without the name of the loss.
    """

    loss: str
    output: str
    target: str
    outcome: str
    why: str

    @property
    def call(self) -> str:
        """The call, with F for the module of the functions."""
        return f"F.{self.loss}({self.output}, {self.target})"


def mistakes(
    combination: Combination, right: list[Route], classes: int | None = None
) -> list[Mistake]:
    """One for each loss of the table without a right way that costs no digit.

    Args:
        combination: what outputs and target are.
        right: the right ways.
        classes: how many classes there are; None for as many as in the examples.
    """
    if classes is None:
        classes = LOGITS[combination.task].shape[1] if combination.task == "multiclass" else 2
    fitting = {route.contract.name for route in right if route.cost <= 1}
    return [
        _mistake_with(combination, contract, classes)
        for contract in CONTRACTS.values()
        if is_a_loss(contract) and contract.name not in fitting
    ]


def _mistake_with(combination: Combination, contract: Contract, classes: int) -> Mistake:
    output, target = VARIABLES[combination.output_domain.name], _target(combination, contract)
    outcome, why = _outcome(combination, contract, target, classes)
    return Mistake(contract.name, output, target, outcome, why)


def _outcome(
    combination: Combination, contract: Contract, target: str, classes: int
) -> tuple[str, str]:
    if combination.target_shape == "lists":
        return REFUSED, "takes a tensor, and lists of different lengths are none"
    refusal = _refusal(combination, contract, target)
    return (REFUSED, refusal) if refusal else _number(combination, contract, classes)


def _target(combination: Combination, contract: Contract) -> str:
    """The target with no more than its dtype changed."""
    domains = {domain.name for domain in contract.argument("target").domains}
    columns = combination.target_shape in ("(N, C)", "(N, 2)")
    if combination.target_shape == "lists":
        return "target"
    if combination.target == "indices":
        return "target" if of_rows(contract) else "target.float()"
    if combination.target == "one-hot":
        soft = not of_rows(contract) or "class probability" in domains
        return "target.float()" if soft else "target"
    if of_rows(contract) and not columns and combination.target == "floats":
        return "target.long()" if combination.rows else "target"
    return "target"


def _refusal(combination: Combination, contract: Contract, target: str) -> str:
    """Why the form of the arguments is refused; empty where it passes."""
    outputs, targets = combination.output_shape, combination.target_shape
    if not of_rows(contract):
        if outputs != targets:
            return f"takes a target in the shape of the outputs, {outputs}, not {targets}"
        return _refused_values(combination, contract)
    soft = "class probability" in {d.name for d in contract.argument("target").domains}
    whole = target.endswith(".long()") or (
        combination.target_dtype == "int64" and not target.endswith(".float()")
    )
    if outputs == targets and soft and not whole:
        return ""
    if outputs == "(N,)":
        return "takes an axis of classes, as in (N, 2), not outputs of shape (N,)"
    if targets != "(N,)":
        return f"takes one class index a row, not a target of shape {targets}"
    return "" if whole else "takes class indices of an integer dtype, not float32"


def _refused_values(combination: Combination, contract: Contract) -> str:
    given, wanted = combination.output_domain, contract.argument("input").domains[0]
    if wanted.name != "probability" or given.name not in ("logit", "log-probability"):
        return ""
    refused = "what is outside [0, 1] is refused"
    if given.name == "log-probability":
        return f"takes probabilities; {given.plural} lie below 0, and {refused}"
    return (
        f"takes probabilities; {given.plural} lie anywhere: {refused}, and a batch that happens to "
        "lie inside passes without a word"
    )


def _number(combination: Combination, contract: Contract, classes: int) -> tuple[str, str]:
    """What comes out of a call that is not refused, and why."""
    given, wanted = combination.output_domain.name, contract.argument("input").domains[0].name
    if of_rows(contract) and combination.one_output:
        return ANOTHER, "takes the N outputs for one row of N classes"
    if of_rows(contract) and combination.task == "multilabel":
        return ANOTHER, (
            "makes the labels of a row compete for one softmax, and a row with two labels counts "
            "twice"
        )
    if not of_rows(contract) and combination.rows and wanted == given.removeprefix("class "):
        return _column_by_column(combination)
    sentences = _INTO_ROWS if of_rows(contract) else _INTO_ELEMENTS
    otherwise = f"is another loss: {contract.summary[0].lower()}{contract.summary[1:-1]}"
    sentence = sentences.get((given, wanted), otherwise)
    return ANOTHER, sentence.format(classes=classes, floor=double_softmax_loss_floor(classes))


def _column_by_column(combination: Combination) -> tuple[str, str]:
    """A loss of elements on outputs that are one choice, of the kind that it takes."""
    if combination.task == "binary":
        return SAME, "gives the same mean, at twice the work: each column says what the other says"
    if combination.last_layer == "softmax":
        return ANOTHER, "adds -log(1 - p) of the other classes, and its mean divides by N C"
    return ANOTHER, (
        "asks a yes or no of each class, and its mean divides by N C: the probabilities of a row "
        "need not sum to one"
    )


_SIGMOID_OF_PROBABILITIES = (
    "applies a sigmoid to probabilities: all comes out between 0.5 and "
    f"{LARGEST_SIGMOID_OF_PROBABILITY:.3f}, so a 1 costs at least {math.log1p(math.exp(-1)):.3f} "
    f"and a 0 at least {math.log(2):.3f}"
)
_MINUS_PROBABILITY = (
    "takes logarithms: of probabilities the loss is -p_y, from -1 to 0, and its gradient is the "
    "same however wrong the model is"
)
# What becomes of outputs of one domain in a loss for another.
_INTO_ELEMENTS = {
    ("probability", "logit"): _SIGMOID_OF_PROBABILITIES,
    ("class probability", "logit"): _SIGMOID_OF_PROBABILITIES,
    ("class probability", "probability"): (
        "runs, on probabilities that share one: two labels of a row can't both be likely"
    ),
    ("log-probability", "logit"): (
        "takes log p for log-odds: its sigmoid is p / (1 + p), never above one half"
    ),
}
_INTO_ROWS = {
    ("logit", "log-probability"): (
        "takes log-probabilities and normalises nothing: the loss is -x_y, which falls without "
        "bound as that logit grows"
    ),
    ("class probability", "logit"): (
        "applies a second softmax: with {classes} classes no row costs less than {floor:.2f}"
    ),
    ("probability", "logit"): (
        "applies a softmax to numbers between 0 and 1: with {classes} classes no row costs less "
        "than {floor:.2f}"
    ),
    ("class probability", "log-probability"): _MINUS_PROBABILITY,
    ("probability", "log-probability"): _MINUS_PROBABILITY,
}

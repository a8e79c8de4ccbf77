"""Which loss is right for a task, a last layer and a target, and how it is used."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

from xent._contracts import CONTRACTS, DTYPE_GROUPS, Argument, Domain, Form
from xent.walkthrough._choice_example import example_of, expected_loss
from xent.walkthrough._combinations import (
    Combination,
    check_words,
    every_combination,
    of_rows,
)
from xent.walkthrough._mistakes import Mistake, mistakes
from xent.walkthrough._routes import VARIABLES, Route, routes

_OWN_PROBABILITIES = {"class probability": ("{output}", "{output}.argmax(dim=1)")}


@dataclass(frozen=True)
class Operand:
    """What an argument of the loss is.

    Args:
        meaning: what its numbers are.
        shape: in the letters N (rows) and C (classes).
        dtypes: the dtypes that the loss takes, in words.
    """

    meaning: str
    shape: str
    dtypes: str


@dataclass(frozen=True)
class Alternative:
    """Another loss that takes the same outputs.

    Args:
        loss: the function.
        call: the call, with F for the module of the functions.
        difference: what it does otherwise, completing a sentence that begins with its name.
    """

    loss: str
    call: str
    difference: str


@dataclass(frozen=True)
class Choice:
    """The answer of ``xent which``. Where nothing fits, it is the answer for what to change to.

    Args:
        task: ``"binary"``, ``"multiclass"`` or ``"multilabel"``.
        last_layer: ``"none"``, ``"sigmoid"``, ``"softmax"`` or ``"log_softmax"``.
        target: ``"indices"``, ``"one-hot"``, ``"probabilities"`` or ``"floats"``.
        impossible: why no loss takes these; empty where one does.
        change: what to change because of that, or what would be better; empty for nothing.
        loss: the function, as in ``xent.functional``.
        names: what else it is called: functions and modules of PyTorch.
        call: the call, with F for ``torch.nn.functional`` or ``xent.functional``.
        inputs: what the outputs are.
        targets: what the target is once it is in the form that the loss takes.
        probabilities: from outputs to probabilities, as an expression.
        prediction: from outputs to the predicted class or labels, likewise.
        also: other losses that take the same.
        mistakes: what goes wrong with every other loss.
        example: five lines that run.
        value: what the loss of the example comes out as, in nats, by its definition.
    """

    task: str
    last_layer: str
    target: str
    impossible: str
    change: str
    loss: str
    names: tuple[str, ...]
    call: str
    inputs: Operand
    targets: Operand
    probabilities: str
    prediction: str
    also: tuple[Alternative, ...]
    mistakes: tuple[Mistake, ...]
    example: str
    value: float

    @property
    def possible(self) -> bool:
        """Whether a loss takes these outputs and this target."""
        return not self.impossible

    @property
    def title(self) -> str:
        """The combination in words."""
        layer = "no last layer" if self.last_layer == "none" else self.last_layer
        return f"{self.task}, {layer}, target as {self.target}"

    def to_dict(self) -> dict[str, Any]:
        """All of it in lists and dictionaries, for JSON."""
        return {"possible": self.possible, **asdict(self)}

    def to_markdown(self) -> str:
        """All of it as a section of Markdown."""
        from xent.walkthrough._render_choice import choice_in_markdown

        return choice_in_markdown(self)

    def __str__(self) -> str:
        return self.to_markdown()

    def _repr_markdown_(self) -> str:
        return self.to_markdown()


def which(task: str, last_layer: str, target: str) -> Choice:
    """Say which loss is right for a task, a last layer and a form of the target.

    Where no loss takes them, the answer says why and what to change, and is that of the changed
    model. Everything follows from the contract table; torch is not imported.

    Args:
        task: ``"binary"`` (a yes or no for each row), ``"multiclass"`` (one class out of several)
            or ``"multilabel"`` (several yeses and noes for each row).
        last_layer: what the model ends with: ``"none"``, ``"sigmoid"``, ``"softmax"`` or
            ``"log_softmax"``.
        target: ``"indices"`` (numbers of classes), ``"one-hot"`` (a column of 0 and 1 for each
            class), ``"probabilities"`` or ``"floats"`` (labels such as 1.0).

    Returns:
        The loss with shapes and dtypes, the way from outputs to probabilities and predictions,
        what goes wrong with each of the other losses, and an example that runs.

    Raises:
        InputError: for a word that is none of these.

    >>> choice = which("multiclass", "softmax", "indices")
    >>> choice.call
    'F.nll_loss(p.log(), target)'
    >>> print(choice.change)
    Better without the softmax: F.cross_entropy(logits, target). ...
    """
    check_words(task, last_layer, target, all_of_them=True)
    return _choose(Combination(task, last_layer, target))


def cheat_sheet(
    task: str | None = None, last_layer: str | None = None, target: str | None = None
) -> tuple[Choice, ...]:
    """The answers for every combination, or for those with the given words.

    >>> len(cheat_sheet()), len(cheat_sheet("binary", target="indices"))
    (48, 4)
    """
    check_words(task, last_layer, target)
    found = every_combination(task, last_layer, target)
    return tuple(_choose(combination) for combination in found)


def _choose(combination: Combination) -> Choice:
    right = routes(combination)
    if not right:
        return _impossible(combination)
    first = right[0]
    return Choice(
        task=combination.task,
        last_layer=combination.last_layer,
        target=combination.target,
        impossible="",
        change=_better(combination, first),
        loss=first.contract.name,
        names=first.contract.also_known_as,
        call=first.call,
        inputs=_inputs(combination, first),
        targets=_targets(combination, first),
        probabilities=_expressions(combination)[0],
        prediction=_expressions(combination)[1],
        also=tuple(_alternative(route, first) for route in right[1:] if route.cost <= 1),
        mistakes=tuple(mistakes(combination, right)),
        example=example_of(combination, first, _expressions(combination)),
        value=expected_loss(combination, first),
    )


def _impossible(combination: Combination) -> Choice:
    """Why nothing fits, with the answer for what fits instead."""
    reasons, changes = [], []
    changed = combination
    if not routes(replace(combination, target="one-hot")):
        reason, repair = _LAYERS_THAT_DO_NOT_FIT[combination.task]
        reasons.append(reason)
        changes.append(repair.format(layer=combination.last_layer))
        changed = replace(changed, last_layer="none")
    if combination.target_shape == "lists":
        reasons.append(
            "Class indices name one class a row; several a row are lists of different lengths, "
            "which no tensor holds."
        )
        changes.append("Turn the lists into a column of 0 and 1 for each class.")
        changed = replace(changed, target="floats")
    answer = _choose(changed)
    return replace(
        answer,
        task=combination.task,
        last_layer=combination.last_layer,
        target=combination.target,
        impossible=" ".join(reasons),
        change=" ".join(changes),
        mistakes=tuple(mistakes(combination, [])),
        example=example_of(
            changed, routes(changed)[0], _expressions(changed), instead_of=combination
        ),
    )


_LAYERS_THAT_DO_NOT_FIT = {
    "multiclass": (
        "A sigmoid for each class answers each by itself: its probabilities need not sum to one, "
        "and no loss of one class out of several takes them.",
        "Take the {layer} off the model: the softmax is in the loss.",
    ),
    "multilabel": (
        "A softmax makes the classes of a row share one: two of them can't both be likely, so no "
        "loss of independent labels takes its output.",
        "Take the {layer} off the model: the sigmoid is in the loss.",
    ),
}


# As class probabilities weigh each logarithm, also those by 0.
_LOG_OF_ZERO = (
    "As it is, a p of exactly 0 makes the loss NaN in PyTorch, 0 times log 0, even where the "
    "target is 0, too; xent.functional gives 0 there. Of p.clamp(min=torch.finfo(p.dtype).tiny) "
    "the logarithm is finite."
)


def _better(combination: Combination, chosen: Route) -> str:
    if combination.last_layer == "none":
        return ""
    call = routes(replace(combination, last_layer="none"))[0].call
    start = f"Better without the {combination.last_layer}: {call}."
    if chosen.cost == 0 and combination.last_layer == "log_softmax":
        return f"{start} It is the same number in one step, with less memory."
    lost = f"{start} A probability that rounds to 0 or 1 has lost what its logit knows."
    if chosen.output.endswith(".log()") and chosen.target_domain == "class probability":
        return f"{lost} {_LOG_OF_ZERO}"
    return lost


def _inputs(combination: Combination, route: Route) -> Operand:
    argument = route.contract.argument("input")
    dtypes = _dtypes(argument, argument.forms[0])
    return Operand(combination.output_domain.plural, combination.output_shape, dtypes)


def _targets(combination: Combination, route: Route) -> Operand:
    argument = route.contract.argument("target")
    form = next(form for form in argument.forms if form.domain.name == route.target_domain)
    columns = route.target_domain == "class probability" or combination.task == "multilabel"
    shape = combination.output_shape if columns else "(N,)"
    return Operand(_meaning(form.domain), shape, _dtypes(argument, form))


def _meaning(domain: Domain) -> str:
    if domain.name == "probability":
        return "0 and 1, or probabilities of 1"
    meaning = f"{domain.plural} in {domain.interval.replace('classes', 'C')}"
    return f"{meaning}, summing to one in a row" if domain.normalised else meaning


def _dtypes(argument: Argument, form: Form) -> str:
    """The dtypes of a form; those that only xent takes beside it are named as such."""
    dtypes = DTYPE_GROUPS.get(form.dtypes, ", ".join(form.dtypes))
    if form.domain.name == "class index":
        return f"int64 or uint8 (xent: any {dtypes})"
    others = [
        DTYPE_GROUPS.get(other.dtypes, ", ".join(other.dtypes))
        for other in argument.forms
        if other.shape == form.shape and other is not form
    ]
    return f"{dtypes} (xent: {', '.join(others)} too)" if others else dtypes


def _expressions(combination: Combination) -> tuple[str, str]:
    """From outputs to probabilities and to predictions, from the table where a row has them."""
    domain = combination.output_domain.name
    variable = VARIABLES[domain]
    if domain in _OWN_PROBABILITIES:
        probabilities, prediction = _OWN_PROBABILITIES[domain]
        return probabilities.format(output=variable), prediction.format(output=variable)
    contract = next(
        contract
        for contract in CONTRACTS.values()
        if of_rows(contract) == combination.rows
        and contract.argument("input").domains[0].name == domain
    )
    return (
        contract.probabilities.replace("input", variable),
        contract.prediction.replace("input", variable),
    )


def _alternative(route: Route, chosen: Route) -> Alternative:
    siblings = {sibling.name: sibling.difference for sibling in chosen.contract.siblings}
    name = route.contract.name
    if route.cost == 1 and name == chosen.contract.twin:
        difference = "gives the same number: a second log_softmax changes nothing"
    else:
        summary = route.contract.summary
        other = f"is another loss: {summary[0].lower()}{summary[1:].removesuffix('.')}"
        difference = siblings.get(name, other)
    if not route.contract.also_known_as:
        difference += "; it is in xent.functional only"
    return Alternative(name, route.call, difference)

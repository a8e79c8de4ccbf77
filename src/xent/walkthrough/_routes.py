"""From what the model and the data give to what a loss takes, as expressions of PyTorch."""

from __future__ import annotations

from dataclasses import dataclass

from xent._contracts import CONTRACTS, Contract
from xent.walkthrough._combinations import Combination, is_a_loss, of_rows

# What the outputs are called in the answers, by the name of their domain.
VARIABLES = {
    "logit": "logits",
    "probability": "p",
    "class probability": "p",
    "log-probability": "log_p",
}
# From the domain of the outputs to that of the loss, with what it costs: 0 nothing, 1 some work
# twice, 2 and 3 digits. Log-probabilities are logits, too: their softmax gives them back.
_CONVERSIONS = {
    ("log-probability", "logit"): (1, "{output}"),
    ("class probability", "log-probability"): (2, "{output}.log()"),
    ("class probability", "logit"): (3, "{output}.log()"),
}
_TO_ELEMENTS = {
    ("binary", "indices"): "target.float()",
    ("binary", "one-hot"): "target[:, 1].float()",
    ("binary", "probabilities"): "target",
    ("binary", "floats"): "target",
    ("multilabel", "one-hot"): "target.float()",
    ("multilabel", "probabilities"): "target",
    ("multilabel", "floats"): "target",
}
_TO_INDICES = {
    "indices": "target",
    "one-hot": "target.argmax(dim=1)",
    "floats": "target.long()",
}
_TO_CLASS_PROBABILITIES = {
    ("binary", "probabilities"): "torch.stack([1 - target, target], dim=1)",
    ("multiclass", "probabilities"): "target",
}


@dataclass(frozen=True)
class Route:
    """One way from outputs and target into a loss.

    Args:
        contract: the loss.
        output: the first argument, as an expression.
        target: the second, likewise.
        target_domain: the name of the domain that the target is turned into.
        cost: 0 where the loss takes the outputs as they are; more where it doesn't.
    """

    contract: Contract
    output: str
    target: str
    target_domain: str
    cost: int

    @property
    def is_in_torch(self) -> bool:
        """Whether PyTorch has the loss, too, so that it is the one that people mean."""
        names = self.contract.also_known_as
        return any(name.startswith("torch.nn.functional.") for name in names)

    @property
    def call(self) -> str:
        """The call, with F for the module of the functions."""
        return f"F.{self.contract.name}({self.output}, {self.target})"


def routes(combination: Combination) -> list[Route]:
    """Every right way into a loss for the task; empty where there is none.

    The cheapest comes first, and of those that cost the same the losses that PyTorch has.
    """
    found = [
        route
        for contract in CONTRACTS.values()
        if is_a_loss(contract) and combination.task in contract.tasks
        for route in _routes_into(combination, contract)
    ]
    return sorted(found, key=lambda route: (route.cost, not route.is_in_torch))


def _routes_into(combination: Combination, contract: Contract) -> list[Route]:
    converted = _output(combination, contract)
    if converted is None:
        return []
    cost, output = converted
    for domain in contract.argument("target").domains:
        target = _target(combination, contract, domain.name)
        if target is not None:
            return [Route(contract, output, target, domain.name, cost)]
    return []


def _output(combination: Combination, contract: Contract) -> tuple[int, str] | None:
    if of_rows(contract) != combination.rows:
        return None
    given, wanted = combination.output_domain.name, contract.argument("input").domains[0].name
    variable = VARIABLES[given]
    if given == wanted:
        return 0, variable
    if not combination.rows or (given, wanted) not in _CONVERSIONS:
        return None
    cost, template = _CONVERSIONS[given, wanted]
    return cost, template.format(output=variable)


def _target(combination: Combination, contract: Contract, domain: str) -> str | None:
    key = (combination.task, combination.target)
    if not of_rows(contract):
        return _TO_ELEMENTS.get(key)
    if domain == "class index":
        return _TO_INDICES.get(combination.target)
    return _TO_CLASS_PROBABILITIES.get(key)

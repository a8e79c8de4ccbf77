"""The shape of a contract: what a loss asks of its arguments and what it promises."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from xent._contracts._domains import Domain
from xent._contracts._faults import Fault


@dataclass(frozen=True)
class Form:
    """One kind of value that an argument takes.

    Args:
        domain: the numbers it may hold.
        shape: in words of axes: ``*batch`` and ``*positions`` stand for any number of axes,
            ``classes`` for one; empty for an option that is not a tensor.
        dtypes: the names of the dtypes; empty for an option.
    """

    domain: Domain
    shape: str = ""
    dtypes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Argument:
    """One argument of a loss, in the order of the signature.

    Args:
        name: as in the signature.
        forms: the kinds of value that it takes.
        meaning: what it does, in one line.
        default: as it is written in the signature; None where it must be given.
        keyword_only: whether it is given by name only (what PyTorch's twin doesn't have).
    """

    name: str
    forms: tuple[Form, ...]
    meaning: str
    default: str | None = None
    keyword_only: bool = False

    @property
    def optional(self) -> bool:
        """Whether it may be left out."""
        return self.default is not None

    @property
    def domains(self) -> tuple[Domain, ...]:
        """The domain of each form."""
        return tuple(form.domain for form in self.forms)


@dataclass(frozen=True)
class Sibling:
    """A related loss and the difference in words."""

    name: str
    difference: str


@dataclass(frozen=True)
class Reference:
    """Where a loss is defined or was introduced."""

    author: str
    title: str
    year: int


@dataclass(frozen=True, repr=False)
class Contract:
    """All that is promised of one loss.

    Args:
        name: as in ``xent.functional``.
        summary: what it measures, in one sentence.
        tasks: of ``"binary"``, ``"multilabel"`` and ``"multiclass"``, those that it is for.
        formula: the loss of one element or row in plain text, without the options.
        latex: the same for a typesetter.
        options_formula: the loss of one element or row with every option, in plain text.
        arguments: in the order of the signature.
        output: the shape under ``reduction="none"``.
        mean_denominator: what ``reduction="mean"`` divides by, in words; empty for none.
        definition: ``definition(xp, **arrays)``: the loss of each element or row by the textbook,
            for arrays of the namespace ``xp`` (numpy, torch, ...).
        denominator: ``denominator(xp, **arrays)``: what the mean divides by, as a number.
        probabilities: how the input becomes probabilities, as an expression of PyTorch.
        prediction: how it becomes a prediction, likewise.
        also_known_as: the full names under which others offer it.
        twin: the same loss on another scale of the input.
        siblings: related losses and how they differ.
        errors: the faults that are found in the arguments.
        references: where it is defined.
    """

    name: str
    summary: str
    tasks: tuple[str, ...]
    formula: str
    latex: str
    options_formula: str
    arguments: tuple[Argument, ...]
    output: str
    mean_denominator: str
    definition: Callable[..., Any]
    denominator: Callable[..., Any] | None
    probabilities: str
    prediction: str
    also_known_as: tuple[str, ...]
    twin: str | None
    siblings: tuple[Sibling, ...]
    errors: tuple[Fault, ...]
    references: tuple[Reference, ...]

    def __repr__(self) -> str:
        return f"<Contract {self.name}>"

    def argument(self, name: str) -> Argument:
        """The argument of that name."""
        return next(argument for argument in self.arguments if argument.name == name)

    def fault(self, name: str) -> Fault:
        """The fault of that name."""
        return next(fault for fault in self.errors if fault.name == name)

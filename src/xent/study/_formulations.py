"""Loss formulations: what a model is asked to minimise, and what its outputs then mean.

A formulation owns four things: how many outputs the model has, the loss of one row, the link that
turns outputs into probabilities, and through the link the map to log-odds. Built-in formulations
take modifiers (label smoothing, focal, class weights), which change the loss and bring the
recovery that undoes their effect on the probabilities. The grammar is ``base+modifier=value``::

    bce    ce2+smoothing=0.1    ce+focal=2+weights=balanced    ovr+weights=1:1:4
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from xent._errors import InputError, XentError
from xent._links import LINKS, Link, find_link

if TYPE_CHECKING:
    import torch

    RowLoss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class Modifiers:
    """Changes to a built-in loss. The row loss is ``sum over k of c_k (1 - q_k)^focal (-log q_k)``.

    Args:
        smoothing: label smoothing ε in [0, 1): targets become ``(1 - ε) onehot + ε / K``.
        focal: focusing exponent γ >= 0.
        weights: class weights in class order, ``"balanced"`` (n / (K n_k) on the training part),
            or None. They multiply the terms of their class, as ``weight`` of torch's cross entropy
            does, and the mean divides by the sum of the weights of the true classes.
    """

    smoothing: float = 0.0
    focal: float = 0.0
    weights: tuple[float, ...] | str | None = None

    def __bool__(self) -> bool:
        return self != Modifiers()


@dataclass(frozen=True)
class Formulation:
    """A loss with everything that is needed to train by it and to score by it.

    Args:
        name: how it is called in tables, in ``--formulations`` and in the results.
        description: one sentence for people.
        outputs: number of classes to number of model outputs.
        loss: torch function of outputs ``(rows, outputs)`` and target ``(rows,)`` (int64 classes)
            to the loss of each row ``(rows,)`` in nats; it must treat every row by itself.
        link: a name from ``xent.LINKS`` or a ``Link``: how outputs become probabilities.
        binary_only: whether it exists for two classes only.
        likelihood: True claims that the mean loss *is* the log loss of the linked probabilities;
            the evaluation then holds the formulation to that.
        modifiers: set by the grammar on built-in formulations; a loss of your own has its own
            inside.
        recover: NumPy function of log-probabilities ``(rows, classes)`` to log-probabilities that
            undoes what the loss does to them (as focal and class weights do), or None.

    Raises:
        InputError: for a link that is not in the table, and for modifiers on a loss that is not
            built in.
    """

    name: str
    description: str
    outputs: Callable[[int], int]
    loss: RowLoss
    link: str | Link
    binary_only: bool = False
    likelihood: bool = False
    modifiers: Modifiers = field(default_factory=Modifiers)
    recover: Callable[[np.ndarray], np.ndarray] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "link", find_link(self.link))
        if self.modifiers and not self.built_in:
            raise InputError(
                f"formulation {self.name!r}: modifiers",
                "left out with a loss of your own",
                repr(self.modifiers),
                "Write them into the loss, and give recover to undo them.",
            )

    def __getstate__(self) -> dict[str, Any]:
        # Links of the table travel by name: their functions need not pickle.
        link = self.resolved_link
        return {**self.__dict__, "link": link.name if LINKS.get(link.name) is link else link}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, link=find_link(state["link"]))

    @property
    def built_in(self) -> bool:
        """Whether the loss is one of the table's, with or without modifiers."""
        table = BUILT_IN.get(self.base)
        return table is not None and self.loss is table.loss

    @property
    def resolved_link(self) -> Link:
        """The link as an object (a name is looked up when the formulation is made)."""
        return find_link(self.link)

    @property
    def base(self) -> str:
        """Name without modifiers: the key of the built-in table, or the user's own name."""
        return self.name.split("+", 1)[0]

    def contrasts(self, classes: int) -> np.ndarray | None:
        """Return the matrix ``(log-odds, outputs)`` that maps linear outputs to log-odds."""
        contrasts = self.resolved_link.contrasts
        return None if contrasts is None else contrasts(classes)


def _bce(outputs: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    from xent.functional import binary_cross_entropy_with_logits

    return binary_cross_entropy_with_logits(
        outputs[:, 0], target.to(outputs.dtype), reduction="none"
    )


def _ce(outputs: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    from xent.functional import cross_entropy

    return cross_entropy(outputs, target, reduction="none")


def _ce1(outputs: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    import torch

    return _ce(torch.cat([-outputs, outputs], dim=1), target)


def _ovr(outputs: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    from xent.functional import binary_cross_entropy_with_logits, one_hot

    hot = one_hot(target, outputs.shape[1]).to(outputs.dtype)
    losses = binary_cross_entropy_with_logits(outputs, hot, reduction="none")
    return losses.mean(dim=1)


def _one_output(_: int) -> int:
    return 1


def _two_outputs(_: int) -> int:
    return 2


def _output_per_class(classes: int) -> int:
    return classes


BUILT_IN: dict[str, Formulation] = {
    formulation.name: formulation
    for formulation in (
        Formulation(
            "bce",
            "one logit z, binary cross entropy with logits",
            _one_output,
            _bce,
            LINKS["sigmoid"],
            binary_only=True,
            likelihood=True,
        ),
        Formulation(
            "ce1",
            "one logit z as the pair (-z, z), cross entropy",
            _one_output,
            _ce1,
            LINKS["symmetric-softmax"],
            binary_only=True,
            likelihood=True,
        ),
        Formulation(
            "ce2",
            "two logits, cross entropy",
            _two_outputs,
            _ce,
            LINKS["softmax"],
            binary_only=True,
            likelihood=True,
        ),
        Formulation(
            "ce",
            "one logit a class, cross entropy",
            _output_per_class,
            _ce,
            LINKS["softmax"],
            likelihood=True,
        ),
        Formulation(
            "ovr",
            "one logit a class, one-vs-rest binary cross entropy (mean over classes), "
            "probabilities are the sigmoids divided by their sum",
            _output_per_class,
            _ovr,
            LINKS["normalised-sigmoid"],
        ),
    )
}

_GRAMMAR = "base+modifier=value, such as ce+smoothing=0.1+focal=2+weights=balanced"


def find_formulations(names: Sequence[str | Formulation], classes: int) -> tuple[Formulation, ...]:
    """Return the formulations of these names, checked against the number of classes.

    Raises:
        InputError: for an unknown name or modifier, a formulation given twice, or one that does not
            exist for this number of classes, or whose link does not fit its outputs.

    >>> [f.name for f in find_formulations(["bce", "ce2+smoothing=0.1"], classes=2)]
    ['bce', 'ce2+smoothing=0.1']
    """
    found = tuple(name if isinstance(name, Formulation) else _find_one(name) for name in names)
    if not found:
        raise InputError(
            "compare: formulations", "at least one name", "none", "Give --formulations bce,ce2."
        )
    seen: set[str] = set()
    for formulation in found:
        if formulation.name in seen:
            raise InputError(
                "compare: formulations",
                "different from each other",
                f"{formulation.name!r} twice",
                "Name each formulation once.",
            )
        seen.add(formulation.name)
        _require_classes(formulation, classes)
        _require_link(formulation, classes)
    return found


def default_formulations(classes: int) -> tuple[str, ...]:
    """Return what is compared when nothing is asked for.

    >>> default_formulations(2), default_formulations(3)
    (('bce', 'ce1', 'ce2'), ('ce', 'ovr'))
    """
    return ("bce", "ce1", "ce2") if classes == 2 else ("ce", "ovr")


def _require_classes(formulation: Formulation, classes: int) -> None:
    if formulation.binary_only and classes != 2:
        raise InputError(
            f"formulation {formulation.name!r}",
            "used with two classes",
            f"a target with {classes} classes",
            "Use ce or ovr.",
        )
    weights = formulation.modifiers.weights
    if isinstance(weights, tuple) and len(weights) != classes:
        raise InputError(
            f"formulation {formulation.name!r}: weights",
            f"one number a class ({classes})",
            f"{len(weights)} numbers",
            "Give them in class order, as in weights=1:4, or weights=balanced.",
        )


def _require_link(formulation: Formulation, classes: int) -> None:
    """Try the link on outputs of zero: a link that does not fit must not score anything."""
    link, n_outputs = formulation.resolved_link, formulation.outputs(classes)
    log_q = np.asarray(link.log_probabilities(np.zeros((1, n_outputs))))
    contrasts = formulation.contrasts(classes)
    if log_q.shape != (1, classes):
        found = f"an array of shape {log_q.shape} for one row"
    elif not np.isclose(np.exp(log_q).sum(), 1.0, atol=1e-6):
        found = f"probabilities that sum to {np.exp(log_q).sum():.6g}"
    elif contrasts is not None and contrasts.shape[1:] != (n_outputs,):
        found = f"contrasts of shape {contrasts.shape}"
    else:
        return
    raise InputError(
        f"formulation {formulation.name!r}: link {link.name}",
        f"a map from {n_outputs} outputs to {classes} log-probabilities",
        found,
        "Give the link that belongs to the loss.",
    )


def _find_one(name: str) -> Formulation:
    if ":" in name.split("+", 1)[0]:
        return _import_formulation(name)
    base, *modifiers = name.split("+")
    if base not in BUILT_IN:
        raise InputError(
            "compare: formulations",
            f"among {', '.join(BUILT_IN)}, or package.module:name of your own",
            repr(base),
            f"The grammar is {_GRAMMAR}.",
        )
    if not modifiers:
        return BUILT_IN[base]
    return modified(BUILT_IN[base], _parse_modifiers(name, modifiers))


def modified(formulation: Formulation, modifiers: Modifiers) -> Formulation:
    """Return a built-in formulation with modifiers; its loss is then no plain log loss.

    The name is made from the modifiers, so that equal formulations have equal names.
    """
    if not modifiers:
        return formulation
    parts = [formulation.base]
    if modifiers.smoothing:
        parts.append(f"smoothing={_shortest(modifiers.smoothing)}")
    if modifiers.focal:
        parts.append(f"focal={_shortest(modifiers.focal)}")
    if modifiers.weights is not None:
        weights = modifiers.weights
        text = weights if isinstance(weights, str) else ":".join(map(_shortest, weights))
        parts.append(f"weights={text}")
    return replace(formulation, name="+".join(parts), modifiers=modifiers, likelihood=False)


def _shortest(number: float) -> str:
    """The shortest text that reads back as the same number, without the grammar's plus sign."""
    return repr(float(number)).removesuffix(".0").replace("e+", "e")


def _parse_modifiers(name: str, modifiers: Sequence[str]) -> Modifiers:
    parsed = Modifiers()
    seen: set[str] = set()
    for modifier in modifiers:
        key, separator, value = modifier.partition("=")
        if not separator or key not in ("smoothing", "focal", "weights"):
            raise InputError(
                f"formulation {name!r}",
                "modified by smoothing=, focal= or weights=",
                repr(modifier),
                f"The grammar is {_GRAMMAR}.",
            )
        if key in seen:
            raise InputError(
                f"formulation {name!r}",
                "given each modifier once",
                f"{key}= twice",
                "Leave one of them out.",
            )
        seen.add(key)
        if key == "weights":
            parsed = replace(parsed, weights=_parse_weights(name, value))
        elif key == "focal":
            parsed = replace(parsed, focal=_parse_number(name, key, value, below=np.inf))
        else:
            parsed = replace(parsed, smoothing=_parse_number(name, key, value, below=1.0))
    return parsed


def _numbers(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(":"))
    except ValueError:
        return ()


def _parse_number(name: str, key: str, value: str, *, below: float) -> float:
    numbers = _numbers(value)
    if len(numbers) == 1 and 0 <= numbers[0] < below:
        return numbers[0]
    required = "a number in [0, 1)" if below == 1.0 else "a finite number of at least 0"
    raise InputError(
        f"formulation {name!r}: {key}", required, repr(value), f"The grammar is {_GRAMMAR}."
    )


def _parse_weights(name: str, value: str) -> str | tuple[float, ...]:
    numbers = _numbers(value)
    if value == "balanced" or (numbers and all(0 < weight < np.inf for weight in numbers)):
        return value if value == "balanced" else numbers
    raise InputError(
        f"formulation {name!r}: weights",
        "'balanced' or positive numbers in class order, as in 1:4",
        repr(value),
        f"The grammar is {_GRAMMAR}.",
    )


def _import_formulation(path: str) -> Formulation:
    found = import_by_path(path, "compare: formulations")
    if not isinstance(found, Formulation):
        raise InputError(
            "compare: formulations",
            "an xent.Formulation where package.module:name is given",
            f"{path} of type {type(found).__name__}",
            "Make it with xent.Formulation(name, description, outputs, loss, link).",
        )
    return found


def import_by_path(path: str, subject: str) -> object:
    """Import ``package.module:name``, which the user asked for by name.

    Raises:
        InputError: if the module can't be imported or has no such name.
    """
    module_name, _, attribute = path.partition(":")
    try:
        module = importlib.import_module(module_name)
    except XentError:
        raise  # what is wrong inside the module is already said in one line
    except Exception as error:
        raise InputError(
            subject,
            "package.module:name of something that can be imported",
            f"{path!r} ({type(error).__name__}: {' '.join(str(error).split())})",
            "Check the spelling, and that the module is on PYTHONPATH.",
        ) from error
    if not hasattr(module, attribute):
        raise InputError(
            subject,
            "package.module:name of something that exists",
            f"{path!r} (module {module_name} has no {attribute!r})",
            "Check the spelling after the colon.",
        )
    found: object = getattr(module, attribute)
    return found

"""What a study is asked to do: one frozen, checked description."""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, fields, is_dataclass

import numpy as np

from xent._errors import InputError
from xent._links import LINKS
from xent.study._dataset import Dataset, DataSpec
from xent.study._formulations import Formulation
from xent.study._models import ModelSpec
from xent.study._protocol import match, require_matchable
from xent.study._training import TrainingSpec
from xent.study._try_out import try_out

OPTIMIZERS = ("adam", "adamw", "sgd", "lbfgs")
PROTOCOLS = ("as-written", "matched")
DTYPES = ("float32", "float64")


@dataclass(frozen=True)
class StudySpec:
    """A study: data, formulations, model, training and seeds.

    Args:
        data: which data and how they are split.
        formulations: names by the grammar, or ``Formulation`` objects; empty for the default of
            the number of classes.
        seeds: the seeds themselves.
        model: what is trained.
        training: how.
    """

    data: DataSpec
    formulations: tuple[str | Formulation, ...] = ()
    seeds: tuple[int, ...] = tuple(range(10))
    model: ModelSpec = field(default_factory=ModelSpec)
    training: TrainingSpec = field(default_factory=TrainingSpec)

    @property
    def linear(self) -> bool:
        """Whether the model is the built-in linear one, whose outputs are read as log-odds."""
        return self.model.built_in and self.model.kind == "linear"


def check_spec(spec: StudySpec) -> None:
    """Check what can be checked before the data are read.

    Raises:
        InputError: one line for the first thing that is wrong.
    """
    training = spec.training
    _one_of("--optimizer", training.optimizer, OPTIMIZERS)
    _one_of("--protocol", training.protocol, PROTOCOLS)
    _one_of("--dtype", training.dtype, DTYPES)
    if not spec.seeds:
        raise InputError("--seeds", "at least 1", "0", "Give --seeds 10.")
    if len(set(spec.seeds)) < len(spec.seeds) or not all(map(_is_index, spec.seeds)):
        raise InputError(
            "--seeds", "different whole numbers from 0", str(list(spec.seeds)), "Give --seeds 10."
        )
    _count("--epochs", training.epochs)
    _positive("--learning-rate", training.learning_rate)
    _positive("--gradient-norm", training.gradient_norm)
    if training.batch_size is not None:
        _count("--batch-size", training.batch_size)
    _not_negative("--weight-decay", training.weight_decay)
    if not 0 <= training.momentum < 1:
        raise InputError("--momentum", "in [0, 1)", str(training.momentum), "Try 0.9.")
    _check_model(spec.model)
    _check_combinations(spec)
    _check_device(training.device)


def _check_model(model: ModelSpec) -> None:
    if model.kind == "mlp" and not model.widths:
        raise InputError(
            "--widths", "given with --model mlp", "nothing", "Give --widths 64 or --widths 64,32."
        )
    if model.kind != "mlp" and model.widths:
        raise InputError(
            "--widths", "used with --model mlp", f"--model {model.kind}", "Add --model mlp."
        )
    if not all(_is_index(width) and width > 0 for width in model.widths):
        raise InputError(
            "--widths", "whole numbers of at least 1", str(list(model.widths)), "Try 64,32."
        )
    if model.head is not None and model.built_in:
        raise InputError(
            "--head", "used with a model of your own", f"--model {model.kind}", "Leave it out."
        )
    if model.built_in:
        return
    if model.factory is None and ":" not in model.kind:
        raise InputError(
            "--model",
            "linear, mlp or package.module:factory",
            repr(model.kind),
            "Use --model linear.",
        )
    model.find_factory()


def _check_combinations(spec: StudySpec) -> None:
    training, model = spec.training, spec.model
    if training.converge and not spec.linear:
        raise InputError(
            "--converge", "used with --model linear", f"--model {model.kind}", "Raise --epochs."
        )
    if training.converge and training.protocol == "matched":
        raise InputError(
            "--protocol matched",
            "used with an optimiser that steps",
            "--converge, where all parametrisations meet anyway",
            "Leave one of them out.",
        )
    if training.optimizer == "lbfgs" and training.batch_size is not None:
        raise InputError(
            "--batch-size",
            "left out with --optimizer lbfgs, which needs the full batch",
            str(training.batch_size),
            "Leave it out, or use --optimizer adam.",
        )
    if training.momentum and training.optimizer != "sgd":
        raise InputError(
            "--momentum", "used with --optimizer sgd", training.optimizer, "Add --optimizer sgd."
        )
    if training.protocol == "matched" and not model.pairs_start:
        raise InputError(
            "--protocol matched",
            "used with a model whose head is known",
            f"--model {model.kind} without --head",
            "Name its final nn.Linear with --head.",
        )


def check_formulations(
    spec: StudySpec, formulations: Sequence[Formulation], dataset: Dataset
) -> None:
    """Check what depends on the data: formulations of the user's own, and the matched protocol.

    Raises:
        InputError: if one does not do what it says, or two can't be matched.
    """
    classes = len(dataset.class_names)
    for formulation in formulations:
        try_out(formulation, classes)
    if spec.training.protocol == "matched":
        for formulation in formulations:
            match(formulation, classes, spec.training.optimizer)
        require_matchable(tuple(formulations), classes)


def _check_device(device: str) -> None:
    import torch

    try:
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(
            "--device", "a device that torch can use here", f"{device!r} ({reason})", "Use cpu."
        ) from error


def _one_of(option: str, value: str, allowed: Sequence[str]) -> None:
    if value not in allowed:
        raise InputError(option, f"one of {', '.join(allowed)}", repr(value), f"Try {allowed[0]}.")


def _positive(option: str, value: float) -> None:
    if not (value > 0 and np.isfinite(value)):
        raise InputError(option, "above 0 and finite", f"{value:g}", "Give a larger number.")


def _is_index(value: object) -> bool:
    return isinstance(value, int) and value >= 0


def _count(option: str, value: int) -> None:
    if not (_is_index(value) and value > 0):
        raise InputError(option, "a whole number of at least 1", f"{value!r}", "Try 50.")


def _not_negative(option: str, value: float) -> None:
    if not (value >= 0 and np.isfinite(value)):
        raise InputError(option, "at least 0 and finite", f"{value:g}", "Give 0 or more.")


def canonical(value: object) -> object:
    """A specification as plain JSON values, the same for equal specifications."""
    if isinstance(value, Formulation):
        link = value.resolved_link
        own: list[Callable[..., object] | None] = []
        if not value.built_in:
            own += [value.outputs, value.loss, value.recover]
        if link.name not in LINKS:
            own += [link.log_probabilities, link.contrasts]
        code = [code_of(function) for function in own if function is not None]
        named: dict[str, object] = {"name": value.name, "link": link.name}
        return named | {"code": code} if code else named
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: canonical(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, tuple | list):
        return [canonical(item) for item in value]
    if callable(value):
        return f"{value.__module__}:{getattr(value, '__qualname__', type(value).__name__)}"
    return value


def code_of(function: Callable[..., object]) -> str:
    """What a function of the user's does, as text: its source, or where it has none, its bytecode.

    What it calls in other places is not seen.
    """
    inner = inspect.unwrap(function)
    cells = getattr(inner, "__closure__", None) or ()
    closed = [
        repr(c.cell_contents) for c in cells if isinstance(c.cell_contents, int | float | str)
    ]
    try:
        source = inspect.getsource(inner)
    except (OSError, TypeError):
        code = getattr(inner, "__code__", None)
        plain = [c for c in getattr(code, "co_consts", ()) if isinstance(c, int | float | str)]
        source = repr((type(inner).__qualname__, getattr(code, "co_code", b""), plain))
    return "\n".join([source, repr(getattr(inner, "__defaults__", None)), *closed])


def trial_key(
    spec: StudySpec, formulation: Formulation, seed: int, fingerprint: str, version: str
) -> str:
    """Sixteen hexadecimal digits that name a trial: a hash of all that its numbers depend on."""
    trial = {
        "formulation": canonical(formulation),
        "model": canonical(spec.model),
        "training": asdict(spec.training),
        "seed": seed,
        "stack": list(spec.seeds) if spec.model.built_in else [seed],
        "data": fingerprint,
        "version": version,
    }
    if not spec.model.built_in:
        trial["model_code"] = code_of(spec.model.find_factory())
    text = json.dumps(trial, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]

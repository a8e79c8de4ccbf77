"""What a study is asked to do: one frozen, checked description."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, fields, is_dataclass

import numpy as np

from xent._errors import InputError
from xent._links import LINKS
from xent.study._data._dataset import Dataset, DataSpec
from xent.study._formulations import Formulation
from xent.study._runs._own_code import code_of
from xent.study._statistics import check_level, check_margin
from xent.study._training._models import ModelSpec
from xent.study._training._protocol import match, require_matchable
from xent.study._training._stacks import TrainingSpec
from xent.study._training._try_out import try_out
from xent.study._verdicts._pairs import FITTED, PROCEDURE, QUESTIONS

OPTIMIZERS = ("adam", "adamw", "sgd", "lbfgs")
PROTOCOLS = ("as-written", "matched")
DTYPES = ("float32", "float64")
FIVE_BY_TWO = "5x2"
FIVE_BY_TWO_SPLITS = 10


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
        splits: how many splits of the rows, or ``"5x2"``: five times two halves. Split j has
            the j-th seed; ``data.split_seed + j`` decides it, of halves the j-th two.
        question: ``fitted`` (do these models differ?) or ``procedure`` (do the ways of training
            differ?); None for ``procedure`` with several seeds or splits and ``fitted`` with one.
        margin: the largest difference of log loss, in nats, that does not matter; None takes 2 %
            of the skill on the validation rows.
        level: confidence level of intervals; tests are at 1 - level.
    """

    data: DataSpec
    formulations: tuple[str | Formulation, ...] = ()
    seeds: tuple[int, ...] = tuple(range(10))
    model: ModelSpec = field(default_factory=ModelSpec)
    training: TrainingSpec = field(default_factory=TrainingSpec)
    splits: int | str = 1
    question: str | None = None
    margin: float | None = None
    level: float = 0.95

    @property
    def answered_question(self) -> str:
        """The question that the pairs answer: about procedures where anything is repeated."""
        if self.question is not None:
            return self.question
        return PROCEDURE if len(self.seeds) > 1 else FITTED

    @property
    def n_splits(self) -> int:
        """How many splits of the rows there are."""
        return FIVE_BY_TWO_SPLITS if isinstance(self.splits, str) else self.splits

    def stack_of(self, seed: int) -> tuple[int, ...]:
        """The seeds that train together with this one: all on one split, for built-in models."""
        return self.seeds if self.model.built_in and self.n_splits == 1 else (seed,)

    @property
    def linear(self) -> bool:
        """Whether the model is the built-in linear one, whose outputs are read as log-odds."""
        return self.model.built_in and self.model.kind == "linear"


def default_seeds(splits: int | str) -> tuple[int, ...]:
    """Ten seeds on one split, one for each of several."""
    if splits == FIVE_BY_TWO:
        return tuple(range(FIVE_BY_TWO_SPLITS))
    return tuple(range(splits if isinstance(splits, int) and splits > 1 else 10))


def check_spec(spec: StudySpec) -> None:
    """Check what can be checked before the data are read.

    Raises:
        InputError: one line for the first thing that is wrong.
    """
    training = spec.training
    _one_of("compare: --optimizer", training.optimizer, OPTIMIZERS)
    _one_of("compare: --protocol", training.protocol, PROTOCOLS)
    _one_of("compare: --dtype", training.dtype, DTYPES)
    if not spec.seeds:
        raise InputError("compare: --seeds", "at least 1", "0", "Give --seeds 10.")
    if len(set(spec.seeds)) < len(spec.seeds) or not all(map(_is_index, spec.seeds)):
        raise InputError(
            "compare: --seeds",
            "different whole numbers from 0",
            str(list(spec.seeds)),
            "Give --seeds 10.",
        )
    _count("compare: --epochs", training.epochs)
    _positive("compare: --learning-rate", training.learning_rate)
    _positive("compare: --gradient-norm", training.gradient_norm)
    if training.batch_size is not None:
        _count("compare: --batch-size", training.batch_size)
    _not_negative("compare: --weight-decay", training.weight_decay)
    if not 0 <= training.momentum < 1:
        raise InputError("compare: --momentum", "in [0, 1)", str(training.momentum), "Try 0.9.")
    _check_splits(spec)
    _check_statistics(spec)
    _check_model(spec.model)
    _check_combinations(spec)
    _check_device(training.device)


def _check_splits(spec: StudySpec) -> None:
    splits, test = spec.splits, spec.data.test
    if splits != FIVE_BY_TWO and not (_is_index(splits) and spec.n_splits > 0):
        raise InputError(
            "compare: --splits",
            f"a whole number of at least 1, or {FIVE_BY_TWO}",
            repr(splits),
            "Give --splits 10.",
        )
    if spec.n_splits == 1:
        return
    if spec.data.groups is not None:
        raise InputError(
            "compare: --groups",
            "left out with --splits, whose standard errors are over splits and not over rows",
            f"--groups {spec.data.groups} with --splits {splits}",
            "Leave it out; --group keeps the rows of a group on one side of every split.",
        )
    if len(spec.seeds) != spec.n_splits:
        raise InputError(
            "compare: --seeds",
            f"left out, or {spec.n_splits}, with --splits {splits}: each split has one seed",
            str(len(spec.seeds)),
            "Leave it out.",
        )
    if isinstance(test, str):
        raise InputError(
            "compare: --test",
            "a fraction with --splits, which draws the test rows anew",
            repr(test),
            "Leave --splits out, or give all rows in one file.",
        )
    if splits == FIVE_BY_TWO and test not in (DataSpec.test, 0.5):
        raise InputError(
            "compare: --test",
            f"left out with --splits {FIVE_BY_TWO}, which tests on half of the rows",
            f"{test:g}",
            "Leave it out.",
        )


def _check_statistics(spec: StudySpec) -> None:
    check_margin(spec.margin, "compare: --margin")
    check_level(spec.level, "compare: --level")
    if spec.question is None:
        return
    _one_of("compare: --question", spec.question, QUESTIONS)
    if spec.question == PROCEDURE and len(spec.seeds) < 2:
        raise InputError(
            "compare: --question procedure",
            "asked with several seeds or splits, since one says nothing about the others",
            "1 seed",
            "Give --seeds 10, or ask --question fitted.",
        )
    if spec.question == FITTED and spec.n_splits > 1:
        raise InputError(
            "compare: --question fitted",
            "asked of models that are tested on the same rows",
            f"--splits {spec.splits}, each with test rows of its own",
            "Leave --splits out, or ask --question procedure.",
        )


def _check_model(model: ModelSpec) -> None:
    if model.kind == "mlp" and not model.widths:
        raise InputError(
            "compare: --widths",
            "given with --model mlp",
            "nothing",
            "Give --widths 64 or --widths 64,32.",
        )
    if model.kind != "mlp" and model.widths:
        raise InputError(
            "compare: --widths",
            "used with --model mlp",
            f"--model {model.kind}",
            "Add --model mlp.",
        )
    if not all(_is_index(width) and width > 0 for width in model.widths):
        raise InputError(
            "compare: --widths",
            "whole numbers of at least 1",
            str(list(model.widths)),
            "Try 64,32.",
        )
    if model.head is not None and model.built_in:
        raise InputError(
            "compare: --head",
            "used with a model of your own",
            f"--model {model.kind}",
            "Leave it out.",
        )
    if model.built_in:
        return
    if model.factory is None and ":" not in model.kind:
        raise InputError(
            "compare: --model",
            "linear, mlp or package.module:factory",
            repr(model.kind),
            "Use --model linear.",
        )
    model.find_factory()


def _check_combinations(spec: StudySpec) -> None:
    training, model = spec.training, spec.model
    if training.converge and not spec.linear:
        raise InputError(
            "compare: --converge",
            "used with --model linear",
            f"--model {model.kind}",
            "Raise --epochs.",
        )
    if training.converge and training.protocol == "matched":
        raise InputError(
            "compare: --protocol matched",
            "used with an optimiser that steps",
            "--converge, where all parametrisations meet anyway",
            "Leave one of them out.",
        )
    if training.optimizer == "lbfgs" and training.batch_size is not None:
        raise InputError(
            "compare: --batch-size",
            "left out with --optimizer lbfgs, which needs the full batch",
            str(training.batch_size),
            "Leave it out, or use --optimizer adam.",
        )
    if training.momentum and training.optimizer != "sgd":
        raise InputError(
            "compare: --momentum",
            "used with --optimizer sgd",
            training.optimizer,
            "Add --optimizer sgd.",
        )
    if training.protocol == "matched" and not model.pairs_start:
        raise InputError(
            "compare: --protocol matched",
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
            "compare: --device",
            "a device that torch can use here",
            f"{device!r} ({reason})",
            "Use cpu.",
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


def trial_key(
    spec: StudySpec, formulation: Formulation, seed: int, fingerprint: str, version: str
) -> str:
    """Sixteen hexadecimal digits that name a trial: a hash of all that its numbers depend on."""
    trial = {
        "formulation": canonical(formulation),
        "model": canonical(spec.model),
        "training": asdict(spec.training),
        "seed": seed,
        "stack": list(spec.stack_of(seed)),
        "data": fingerprint,
        "version": version,
    }
    if not spec.model.built_in:
        trial["model_code"] = code_of(spec.model.find_factory())
    text = json.dumps(trial, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]

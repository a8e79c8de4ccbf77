"""``xent.compare``: the study as one Python call."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xent._errors import InputError
from xent.study._comparison import Comparison
from xent.study._data._columns import Table
from xent.study._data._dataset import DataSpec
from xent.study._data._sources import table_of
from xent.study._formulations import Formulation
from xent.study._runs._run import run_study
from xent.study._spec import StudySpec, default_seeds
from xent.study._training._models import Factory, ModelSpec
from xent.study._training._stacks import TrainingSpec

if TYPE_CHECKING:
    import pandas as pd


def compare(
    data: str | PathLike[str] | pd.DataFrame | tuple[Any, Any],
    target: str | None = None,
    *,
    formulations: str | Sequence[str | Formulation] = (),
    seeds: int | Sequence[int] | None = None,
    splits: int | str = 1,
    model: str | Factory = "linear",
    widths: Sequence[int] = (),
    head: str | None = None,
    test: float | str | PathLike[str] = 0.2,
    validation: float = 0.1,
    stratify: bool = True,
    group: str | None = None,
    groups: str | None = None,
    weight: str | None = None,
    positive: str | None = None,
    classes: Sequence[str] = (),
    drop: Sequence[str] = (),
    split_seed: int = 0,
    standardize: bool = True,
    optimizer: str = "adam",
    learning_rate: float = 0.1,
    epochs: int = 50,
    batch_size: int | None = None,
    momentum: float = 0.0,
    weight_decay: float = 0.0,
    converge: bool = False,
    gradient_norm: float = 1e-9,
    protocol: str = "as-written",
    device: str = "cpu",
    dtype: str = "float32",
    question: str | None = None,
    margin: float | None = None,
    level: float = 0.95,
    out: str | PathLike[str] | None = None,
    jobs: int = 1,
    executor: Executor | None = None,
    progress: Callable[[str, float], None] | None = None,
) -> Comparison:
    """Train one model under several loss formulations and score each by its right link.

    Seeds are paired: the formulations share the split, the order of batches and the starting
    point, mapped into each parametrisation. Global random state is left as it was found.

    Args:
        data: a CSV, TSV, Parquet or ``.npz`` file, ``sklearn:NAME``, ``synthetic:KEY=VALUE,...``,
            ``bce-versus-ce``, a pandas DataFrame, or a pair ``(X, y)`` of a matrix or DataFrame
            ``(rows, features)`` and one class a row.
        target: column of classes (files and DataFrames).
        formulations: names such as ``"bce"`` or ``"ce2+smoothing=0.1"``, or ``Formulation``
            objects; by default ``bce, ce1, ce2`` for two classes and ``ce, ovr`` for more.
        seeds: how many (0, 1, ...), or which; 10 by default, with splits one for each.
        splits: how many random splits of the rows, decided by ``split_seed + 0, 1, ...``, or
            ``"5x2"``: five times two halves.
        model: ``"linear"``, ``"mlp"``, ``"package.module:factory"`` or a factory
            ``(n_features, n_outputs) -> nn.Module``.
        widths: hidden widths of an mlp.
        head: name of the final ``nn.Linear`` of a factory's module.
        test: rows to test on: a fraction, or a file with the same columns.
        validation: fraction of the rows for validation curves; 0 for none.
        stratify: keep the classes' shares in every part.
        group: column; rows that share its value stay in one part.
        groups: column; rows that share its value share an error, so that standard errors are of
            these clusters. By default those of ``group``.
        weight: column of sample weights.
        positive: the class of two that becomes class 1.
        classes: keep only rows of these classes.
        drop: columns that are no features.
        split_seed: decides the split.
        standardize: centre and scale numbers by the training part.
        optimizer: ``adam``, ``adamw``, ``sgd`` or ``lbfgs``.
        learning_rate: step size.
        epochs: passes over the training rows.
        batch_size: rows of a step; None for all.
        momentum: of sgd.
        weight_decay: as torch's optimisers take it.
        converge: Newton in float64 to ``gradient_norm`` instead of epochs (linear models).
        gradient_norm: of the mean loss, that counts as converged.
        protocol: ``as-written``, or ``matched``: steps that are equal in log-odds.
        device: where to train.
        dtype: ``float32`` or ``float64``.
        question: what the pairs answer: ``fitted`` (do these models differ?) or ``procedure`` (do
            the ways of training differ?), by default the latter with several seeds or splits.
        margin: the largest difference of log loss, in nats, that does not matter; None takes 2 %
            of the skill on the validation rows.
        level: confidence level of intervals; tests are at 1 - level.
        out: folder to keep results, curves and trials in; None keeps nothing. Trials that are
            finished there are not trained again.
        jobs: processes for tasks (a formulation each, or a seed each for modules).
        executor: any ``concurrent.futures.Executor`` instead of ``jobs``.
        progress: called with what is being done and the fraction that is done.

    Returns:
        A frozen ``Comparison``: ``summary``, ``trials``, ``parameters``, ``curves`` and
        ``timings`` are DataFrames; losses are in nats.

    Raises:
        InputError: anything that can't be used, in one line; nothing is written then.
        Interrupted: a KeyboardInterrupt where there is a folder, which has the results so far.

    >>> result = compare("synthetic:n=400,features=2", seeds=2, epochs=5)
    >>> result.summary[["formulation", "log_loss"]].shape
    (3, 2)
    """
    source, table = _source(data, target)
    spec = StudySpec(
        data=DataSpec(
            source=source,
            target=target,
            test=_test_of(test),
            validation=validation,
            stratify=stratify,
            group=group,
            groups=groups,
            weight=weight,
            positive=positive,
            classes=_names("classes", classes),
            drop=_names("drop", drop),
            split_seed=split_seed,
            standardize=standardize,
        ),
        formulations=_formulations(formulations),
        seeds=_seeds(seeds, splits),
        question=question,
        margin=margin,
        level=level,
        model=_model(model, widths, head),
        training=TrainingSpec(
            optimizer=optimizer,
            learning_rate=learning_rate,
            epochs=epochs,
            batch_size=batch_size,
            momentum=momentum,
            weight_decay=weight_decay,
            protocol=protocol,
            converge=converge,
            gradient_norm=gradient_norm,
            device=device,
            dtype=dtype,
        ),
        splits=splits,
    )
    return run_study(
        spec,
        table=table,
        out=None if out is None else Path(out),
        executor=executor,
        jobs=jobs,
        progress=progress,
    )


def _source(data: object, target: str | None) -> tuple[str, Table | None]:
    """What the specification calls the data, and the data themselves where they are in memory."""
    if isinstance(data, str | PathLike):
        return fspath(data), None
    table = table_of(data)
    if target is not None and table.target is not None:
        raise InputError(
            "compare: target", "left out for a pair (X, y)", repr(target), "Its target is y."
        )
    return table.name, table


def _formulations(given: str | Sequence[str | Formulation]) -> tuple[str | Formulation, ...]:
    """Names may also come in one string, as on the command line."""
    if isinstance(given, str):
        return tuple(name.strip() for name in given.split(",") if name.strip())
    return (given,) if isinstance(given, Formulation) else tuple(given)


def _seeds(given: int | Sequence[int] | None, splits: int | str) -> tuple[int, ...]:
    if given is None:
        return default_seeds(splits)
    return _whole_numbers("seeds", range(given) if isinstance(given, int) else given)


def _model(model: str | Factory, widths: Sequence[int], head: str | None) -> ModelSpec:
    hidden = _whole_numbers("widths", widths)
    if isinstance(model, str):
        return ModelSpec(model, hidden, head)
    name = getattr(model, "__qualname__", type(model).__name__)
    return ModelSpec(f"{getattr(model, '__module__', '')}:{name}", hidden, head, model)


def _names(option: str, given: Sequence[str]) -> tuple[str, ...]:
    if isinstance(given, str):
        raise InputError(f"compare: {option}", "a list of names", repr(given), f"Try [{given!r}].")
    return tuple(map(str, given))


def _whole_numbers(option: str, given: Iterable[int]) -> tuple[int, ...]:
    try:
        return tuple(operator.index(number) for number in given)
    except TypeError:
        raise InputError(
            f"compare: {option}", "a list of whole numbers", repr(given), "Try [0, 1, 2]."
        ) from None


def _test_of(test: object) -> float | str:
    if isinstance(test, PathLike):
        return str(fspath(test))
    if isinstance(test, str):
        return test
    if isinstance(test, int | float) and not isinstance(test, bool):
        return float(test)
    raise InputError(
        "compare: test",
        "a fraction of the rows, or the path of a file",
        type(test).__name__,
        "Write the rows to a file, or put them below the others and use group or a fraction.",
    )

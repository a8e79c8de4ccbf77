"""``xent.compare``: the study as one Python call."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from os import PathLike
from pathlib import Path

from xent.study._comparison import Comparison
from xent.study._dataset import DataSpec
from xent.study._formulations import Formulation
from xent.study._models import Factory, ModelSpec
from xent.study._run import run_study
from xent.study._spec import StudySpec
from xent.study._training import TrainingSpec


def compare(
    data: str | PathLike[str] | DataSpec,
    target: str | None = None,
    *,
    formulations: Sequence[str | Formulation] = (),
    seeds: int | Sequence[int] = 10,
    model: str | Factory = "linear",
    widths: Sequence[int] = (),
    head: str | None = None,
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
            ``bce-versus-ce``, or a ``DataSpec`` with parts, weights and groups.
        target: column of classes (CSV and Parquet).
        formulations: names such as ``"bce"`` or ``"ce2+smoothing=0.1"``, or ``Formulation``
            objects; by default ``bce, ce1, ce2`` for two classes and ``ce, ovr`` for more.
        seeds: how many (0, 1, ...), or which.
        model: ``"linear"``, ``"mlp"``, ``"package.module:factory"`` or a factory
            ``(n_features, n_outputs) -> nn.Module``.
        widths: hidden widths of an mlp.
        head: name of the final ``nn.Linear`` of a factory's module.
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
        out: folder to keep results, curves and trials in; None keeps nothing.
        jobs: processes for tasks (a formulation each, or a seed each for modules).
        executor: any ``concurrent.futures.Executor`` instead of ``jobs``.
        progress: called with what is being done and the fraction that is done.

    Returns:
        A frozen ``Comparison``: ``summary``, ``trials``, ``parameters``, ``curves`` and
        ``timings`` are DataFrames; losses are in nats.

    Raises:
        InputError: anything that can't be used, in one line; nothing is written then.

    >>> result = compare("synthetic:n=400,features=2", seeds=2, epochs=5)
    >>> result.summary[["formulation", "log_loss"]].shape
    (3, 2)
    """
    kind, factory = (model, None) if isinstance(model, str) else ("factory", model)
    spec = StudySpec(
        data=data if isinstance(data, DataSpec) else DataSpec(str(data), target),
        formulations=tuple(formulations),
        seeds=tuple(range(seeds)) if isinstance(seeds, int) else tuple(seeds),
        model=ModelSpec(kind, tuple(widths), head, factory),
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
    )
    return run_study(
        spec,
        out=None if out is None else Path(out),
        executor=executor,
        jobs=jobs,
        progress=progress,
    )

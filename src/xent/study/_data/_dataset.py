"""The data of one comparison: read, checked, split, encoded on the training part, fingerprinted.

``load_dataset`` is the whole of it; ``_sources``, ``_roles``, ``_target``, ``_parts`` and
``_encoding`` do one step each, in this order.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from xent._errors import InputError
from xent._links import Array
from xent.study._data._columns import (
    Column,
    Table,
    UnusableColumn,
    as_categories,
    counted,
    listed,
    quoted,
    separated,
)
from xent.study._data._encoding import Encoding, Selection, encode, fit_encoding, mean_and_deviation
from xent.study._data._giveaways import LeakWarning, find_giveaways
from xent.study._data._parts import (
    PartRows,
    check_fractions,
    count_repeated_rows,
    exchange_halves,
    split_rows,
)
from xent.study._data._roles import Roles, assign_roles, check_groups_apart, groups_of, weights_of
from xent.study._data._sources import read_table
from xent.study._data._synthetic import (
    BCE_VERSUS_CE,
    SyntheticData,
    draw_synthetic,
    is_synthetic,
    parse_synthetic,
)
from xent.study._data._target import Target, encode_target, encode_test_target

STUDY = "bce-versus-ce"


@dataclass(frozen=True)
class DataSpec:
    """Which data, and how to use them.

    Args:
        source: the path of a CSV, TSV, Parquet or ``.npz`` file, ``sklearn:NAME``,
            ``synthetic:n=1000,features=4,classes=2,noise=0,seed=0``, or ``bce-versus-ce``: the
            100,000 rows of the BCE-versus-CE study, whose halves train and test.
        target: the column of classes; needed for CSV and Parquet files.
        test: fraction of the rows to test on, or a file with the same columns.
        validation: fraction of the rows for validation; 0 for none.
        stratify: whether each part has the classes in proportion.
        group: a column; rows that share its value stay in one part, and a test file must have
            other values.
        groups: a column; rows that share its value share an error, so that standard errors are of
            these clusters. By default those of ``group``.
        weight: a column of sample weights, at least 0, not all 0 in any class; their unit does
            not matter.
        positive: the class of two that becomes class 1; default the last of the sorted classes.
        classes: keep only rows of these classes; empty keeps all. Here and in ``drop`` a text with
            commas that is no name itself is several names.
        drop: columns that are no features.
        split_seed: decides the split, alone.
        standardize: whether numbers are centred and scaled by the training part.
    """

    source: str
    target: str | None = None
    test: float | str = 0.2
    validation: float = 0.1
    stratify: bool = True
    group: str | None = None
    groups: str | None = None
    weight: str | None = None
    positive: str | None = None
    classes: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()
    split_seed: int = 0
    standardize: bool = True


@dataclass(frozen=True)
class Part:
    """Rows to train on, to validate on or to test on, in the order of their source.

    Args:
        features: ``(rows, features)`` float64, C-contiguous, standardised if the spec says so.
        target: ``(rows,)`` int64 classes from 0 to K - 1.
        weight: ``(rows,)`` float64 sample weights, or None. They are relative: scaled, in each
            part, to sum to Kish's effective number of rows, ``(sum w)**2 / sum w**2``, which
            standard errors are based on.
        row_ids: ``(rows,)`` int64 row numbers in the source, from 0; those of a test file count
            from 0 in that file.
        groups: ``(rows,)`` int64 clusters of rows that share an error, from 0 without gaps; None
            where every row has its own.
    """

    features: Array
    target: NDArray[np.int64]
    weight: Array | None
    row_ids: NDArray[np.int64]
    groups: NDArray[np.int64] | None = None


@dataclass(frozen=True)
class Truth:
    """What synthetic data were drawn from.

    Args:
        coefficients: ``(K - 1, features + 1)`` float64 log-odds against class 0, for features in
            their original units; the intercept is the last column.
        log_probabilities: part name (``train``, ``validation``, ``test``) to ``(rows, K)``
            float64, in nats: those the labels were drawn from, noise included.
    """

    coefficients: Array
    log_probabilities: Mapping[str, Array]

    def entropies(self, part: str) -> Array:
        """Return each row's entropy ``(rows,)``, in nats: the least expected log loss there is."""
        log_p = self.log_probabilities[part]
        with np.errstate(invalid="ignore"):
            terms = np.exp(log_p) * log_p
        return np.asarray(-np.where(np.isneginf(log_p), 0.0, terms).sum(axis=1))


@dataclass(frozen=True)
class Dataset:
    """Everything a comparison reads.

    Args:
        name: how reports call the data.
        spec: what was asked for.
        train: the training part.
        validation: the validation part, or None.
        test: the test part.
        feature_names: one for each column of the features, all different.
        class_names: one for each class, in the order of the class numbers.
        center: ``(features,)`` float64; standardised = (original - center) / scale.
        scale: ``(features,)`` float64; 1, with center 0, where a feature is not standardised.
        truth: of synthetic data; None otherwise.
        notes: what was done to the data, in sentences.
        warnings: features that may give the target away.
        constant: columns with one value on every training row, which are no features.
        repeated: how many rows of a test file also stand in the training data, where they are more
            than half of it; 0 otherwise.
        fingerprint: SHA-256 in hexadecimal of the encoded parts and the names.
    """

    name: str
    spec: DataSpec
    train: Part
    validation: Part | None
    test: Part
    feature_names: tuple[str, ...]
    class_names: tuple[str, ...]
    center: Array
    scale: Array
    truth: Truth | None
    notes: tuple[str, ...]
    warnings: tuple[LeakWarning, ...]
    constant: tuple[str, ...] = ()
    repeated: int = 0
    fingerprint: str = ""

    @property
    def parts(self) -> dict[str, Part]:
        """The parts there are, by name: ``train``, ``validation``, ``test``."""
        parts = {"train": self.train, "validation": self.validation, "test": self.test}
        return {name: part for name, part in parts.items() if part is not None}


def load_dataset(spec: DataSpec, table: Table | None = None, *, exchanged: bool = False) -> Dataset:
    """Read the data and make them ready: classes numbered, rows split, features encoded.

    The result depends on the spec and the data alone, not on NumPy's global state.

    Args:
        spec: which data, and how to use them.
        table: the data where they are in memory (:func:`table_of`); ``spec.source`` is not read.
        exchanged: test on the rows that would train and the other way round, for two halves.

    Raises:
        InputError: the source, a column or an option can't be used; the message says which.
        MissingExtraError: Parquet without pyarrow.

    >>> data = load_dataset(DataSpec("synthetic:n=100,features=2"))
    >>> {name: part.features.shape for name, part in data.parts.items()}
    {'train': (70, 2), 'validation': (10, 2), 'test': (20, 2)}
    """
    if table is not None:
        dataset = _load_table(spec, table, exchanged)
    elif spec.source == STUDY:
        dataset = _load_study(spec)
    elif is_synthetic(spec.source):
        dataset = _load_synthetic(spec, exchanged)
    else:
        dataset = _load_table(spec, None, exchanged)
    return replace(dataset, fingerprint=_fingerprint(dataset))


def _load_study(spec: DataSpec) -> Dataset:
    _refuse_columns(spec)
    data = draw_synthetic(BCE_VERSUS_CE)
    half = data.target.size // 2
    rows = PartRows(np.arange(half), np.arange(0), np.arange(half, 2 * half))
    note = f"the first {half:,} rows train and the last {half:,} test, as in the study"
    return _assemble_synthetic(STUDY, spec, data, rows, standardize=False, notes=(note,))


def _load_synthetic(spec: DataSpec, exchanged: bool) -> Dataset:
    _refuse_columns(spec)
    synthetic = parse_synthetic(spec.source)
    if isinstance(spec.test, str):
        raise InputError(
            "compare: --test",
            "a fraction for synthetic data",
            quoted(spec.test),
            "Give --test 0.2.",
        )
    _check_test_fraction(spec.test)
    check_fractions(spec.validation, spec.test, spec.split_seed)
    data = draw_synthetic(synthetic)
    seen = np.bincount(data.target, minlength=synthetic.classes)
    if (seen == 0).any():
        raise InputError(
            f"compare: {quoted(spec.source, 60)}",
            "rows enough that every class is drawn",
            f"no row of class {int(np.argmin(seen))} among {counted(synthetic.n, 'row')}",
            "Give a larger n, fewer classes or another seed.",
        )
    rows = _split(spec, data.target, None, exchanged)
    notes: tuple[str, ...] = ()
    if synthetic.noise > 0:
        notes = (
            f"noise {synthetic.noise:g} on the log-odds: the true probabilities are those the "
            "labels were drawn from, noise included, which no model of the features can reach",
        )
    return _assemble_synthetic(
        "synthetic", spec, data, rows, standardize=spec.standardize, notes=notes
    )


def _split(
    spec: DataSpec,
    classes: NDArray[np.int64],
    groups: NDArray[np.int64] | None,
    exchanged: bool,
) -> PartRows:
    strata = classes if spec.stratify else np.zeros_like(classes)
    parts = split_rows(
        strata,
        validation=spec.validation,
        test=0.0 if isinstance(spec.test, str) else spec.test,
        seed=spec.split_seed,
        groups=groups,
    )
    if not exchanged:
        return parts
    return exchange_halves(
        parts, strata, validation=spec.validation, seed=spec.split_seed, groups=groups
    )


def _refuse_columns(spec: DataSpec) -> None:
    for option in ("target", "group", "groups", "weight", "positive", "classes", "drop"):
        value = getattr(spec, option)
        if value:
            raise InputError(
                f"compare: --{option}",
                "left out for synthetic data",
                listed([value] if isinstance(value, str) else value),
                "Synthetic data have no columns or classes to name.",
            )


def _check_test_fraction(test: float) -> None:
    if test == 0:
        raise InputError(
            "compare: --test", "a fraction above 0 and below 1, or a file", "0", "Give --test 0.2."
        )


def _assemble_synthetic(
    name: str,
    spec: DataSpec,
    data: SyntheticData,
    rows: PartRows,
    *,
    standardize: bool,
    notes: tuple[str, ...],
) -> Dataset:
    width = data.features.shape[1]
    classes = data.log_probabilities.shape[1]
    names = tuple(f"x{position}" for position in range(1, width + 1))
    train = data.features[rows.train]
    center, scale = np.zeros(width), np.ones(width)
    if standardize:
        for feature in range(width):
            center[feature], scale[feature] = mean_and_deviation(train[:, feature], names[feature])
    parts, log_probabilities = {}, {}
    for part, selected in (
        ("train", rows.train),
        ("validation", rows.validation),
        ("test", rows.test),
    ):
        features = train if part == "train" else data.features[selected]
        features -= center
        features /= scale
        parts[part] = Part(features, data.target[selected], None, selected)
        log_probabilities[part] = data.log_probabilities[selected]
    validation: Part | None = parts["validation"]
    if rows.validation.size == 0:
        validation = None
        del log_probabilities["validation"]
    class_names = tuple(str(number) for number in range(classes))
    _check_training_classes(parts["train"].target, class_names)
    return Dataset(
        name=name,
        spec=spec,
        train=parts["train"],
        validation=validation,
        test=parts["test"],
        feature_names=names,
        class_names=class_names,
        center=center,
        scale=scale,
        truth=Truth(data.coefficients, log_probabilities),
        notes=(*notes, *_note_absent_classes(validation, parts["test"], class_names)),
        warnings=(),
    )


def _load_table(spec: DataSpec, table: Table | None, exchanged: bool) -> Dataset:
    if not isinstance(spec.test, str):
        _check_test_fraction(spec.test)
    fraction = 0.0 if isinstance(spec.test, str) else spec.test
    check_fractions(spec.validation, fraction, spec.split_seed)
    table = read_table(spec.source) if table is None else table
    spec = replace(spec, drop=separated(spec.drop, table.columns))
    roles = assign_roles(
        table,
        target=spec.target,
        weight=spec.weight,
        group=spec.group,
        groups=spec.groups,
        drop=spec.drop,
    )
    spec = replace(spec, classes=_separated_classes(spec, table.columns[roles.target]))
    target = encode_target(
        table.columns[roles.target], roles.target, classes=spec.classes, positive=spec.positive
    )
    groups = groups_of(table, roles.group, target.rows) if roles.group else None
    parts = _split(spec, target.codes, groups, exchanged)
    selections = [
        _Selection(table, target, parts.train, "training"),
        _Selection(table, target, parts.validation, "validation"),
        _Selection(table, target, parts.test, "test")
        if not isinstance(spec.test, str)
        else _select_test_file(spec.test, roles, (table, target), spec),
    ]
    return _assemble_table(spec, roles, selections)


def _separated_classes(spec: DataSpec, target: Column) -> tuple[str, ...]:
    known = () if isinstance(target, UnusableColumn) else as_categories(target).levels
    return separated(spec.classes, known)


@dataclass(frozen=True)
class _Selection:
    """The rows of one part: ``chosen`` are positions among the target's rows."""

    table: Table
    target: Target
    chosen: NDArray[np.int64]
    part: str
    option: str = "compare: DATA"

    @property
    def rows(self) -> NDArray[np.int64]:
        return self.target.rows[self.chosen]

    @property
    def classes(self) -> NDArray[np.int64]:
        return self.target.codes[self.chosen]

    @property
    def selected(self) -> Selection:
        return Selection(self.table.columns, self.rows, self.part, self.option)


def _select_test_file(
    path: str, roles: Roles, training: tuple[Table, Target], spec: DataSpec
) -> _Selection:
    option = "compare: --test"
    training_table, target = training
    table = read_table(path, option)
    others = [name for name in (roles.weight, roles.group, roles.groups) if name is not None]
    wanted = dict.fromkeys([*roles.features, roles.target, *others])
    lacking = [name for name in wanted if name not in table.columns]
    if lacking:
        raise InputError(
            option,
            "a file with the columns of the training data",
            f"{table.name} without {listed(lacking)}",
            "Add those columns to it.",
        )
    found = encode_test_target(
        table.columns[roles.target],
        roles.target,
        target.class_names,
        only_these=bool(spec.classes),
    )
    if found.rows.size == 0:
        raise InputError(
            option,
            f"a file with rows of the classes {listed(target.class_names)}",
            f"{table.name} without any",
            "Give another test file.",
        )
    if roles.group:
        check_groups_apart((training_table, target.rows), (table, found.rows), roles.group)
    return _Selection(table, found, np.arange(found.rows.size), "test", option)


def _assemble_table(spec: DataSpec, roles: Roles, selections: list[_Selection]) -> Dataset:
    training = selections[0]
    table, target = training.table, training.target
    weights = [_weights(selection, roles) for selection in selections]
    _check_training_classes(training.classes, target.class_names, weights[0])
    columns = {name: table.columns[name] for name in roles.features}
    encoding = fit_encoding(columns, training.rows, standardize=spec.standardize)
    notes = [*table.notes, *roles.notes, *target.notes, *encoding.notes]
    parts: list[Part | None] = []
    for selection, weight in zip(selections, weights, strict=True):
        if selection.chosen.size == 0:
            parts.append(None)
            continue
        matrix, said = encode(encoding, selection.selected)
        notes.extend(said)
        clusters = _clusters(selection, roles)
        parts.append(Part(matrix, selection.classes, weight, selection.rows, clusters))
    train, validation, test = parts
    assert train is not None
    assert test is not None
    repeated = 0
    if isinstance(spec.test, str) and not roles.group:
        repeated = _repeated_rows([train, validation], test)
    return Dataset(
        name=table.name,
        spec=spec,
        train=train,
        validation=validation,
        test=test,
        feature_names=encoding.feature_names,
        class_names=target.class_names,
        center=encoding.center,
        scale=encoding.scale,
        truth=None,
        notes=(*notes, *_note_absent_classes(validation, test, target.class_names)),
        warnings=find_giveaways(columns, training.rows, training.classes, len(target.class_names)),
        constant=_constant_columns(columns, encoding, training.rows),
        repeated=repeated,
    )


def _weights(selection: _Selection, roles: Roles) -> Array | None:
    if roles.weight is None or selection.chosen.size == 0:
        return None
    return weights_of(
        selection.table,
        roles.weight,
        selection.rows,
        selection.part,
        kept=selection.target.rows,
    )


def _clusters(selection: _Selection, roles: Roles) -> NDArray[np.int64] | None:
    if roles.groups is None:
        return None
    option = "compare: --group" if roles.groups == roles.group else "compare: --groups"
    return groups_of(selection.table, roles.groups, selection.rows, option)


def _repeated_rows(known: list[Part | None], test: Part) -> int:
    """How many rows of a test file were there to train on, where most of them were."""
    pairs = [(part.features, part.target) for part in known if part is not None]
    repeated = count_repeated_rows(pairs, (test.features, test.target))
    return repeated if repeated > test.target.size / 2 else 0


def _constant_columns(
    columns: Mapping[str, Column], encoding: Encoding, rows: NDArray[np.int64]
) -> tuple[str, ...]:
    """The columns that the encoding left out because nothing varies in them."""
    encoded = {block.column for block in encoding.blocks}
    return tuple(
        name
        for name, column in columns.items()
        if name not in encoded
        and not isinstance(column, UnusableColumn)
        and np.unique(as_categories(column).codes[rows]).size == 1
    )


def _check_training_classes(
    codes: NDArray[np.int64], class_names: tuple[str, ...], weight: Array | None = None
) -> None:
    absent = np.flatnonzero(np.bincount(codes, minlength=len(class_names)) == 0)
    if absent.size:
        raise InputError(
            "compare: the training part",
            "rows of every class",
            f"none of {listed([class_names[number] for number in absent])}",
            "Try another --split-seed, stratify, use finer groups, or leave those classes out.",
        )
    if weight is None:
        return
    weightless = np.flatnonzero(np.bincount(codes, weight, minlength=len(class_names)) == 0)
    if weightless.size:
        names = listed([class_names[number] for number in weightless])
        raise InputError(
            "compare: the training part",
            "rows of every class with a weight above 0",
            f"only weights of 0 for {names}",
            "Correct the weights, or leave those classes out.",
        )


def _note_absent_classes(
    validation: Part | None, test: Part, class_names: tuple[str, ...]
) -> list[str]:
    notes = []
    for name, part in (("validation", validation), ("test", test)):
        if part is None:
            continue
        absent = np.flatnonzero(np.bincount(part.target, minlength=len(class_names)) == 0)
        if absent.size:
            names = listed([class_names[number] for number in absent])
            notes.append(f"the {name} part has no row of {names}")
    return notes


def _fingerprint(dataset: Dataset) -> str:
    digest = hashlib.sha256()
    names = (dataset.name, dataset.feature_names, dataset.class_names)
    digest.update(repr(names).encode("utf-8", "backslashreplace"))
    for name, part in dataset.parts.items():
        digest.update(name.encode())
        for array in (part.features, part.target, part.weight, part.row_ids):
            if array is not None:
                digest.update(f"{array.dtype.str}{array.shape}".encode())
                digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()

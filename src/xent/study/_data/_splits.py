"""Resampled splits: the same rows dealt anew, each split with a seed of its own.

Split j is decided by the split seed + j and trains from the j-th seed, so that the rows, the
starting points and the order of batches vary together, and all formulations share them. ``5x2``
halves the rows five times; of each two halves the first trains and the second tests, then the
other way round.
"""

from __future__ import annotations

from dataclasses import replace

from xent._errors import InputError
from xent.study._data._columns import Table
from xent.study._data._dataset import STUDY, Dataset, load_dataset
from xent.study._data._sources import read_table
from xent.study._data._synthetic import is_synthetic
from xent.study._spec import FIVE_BY_TWO, StudySpec


def with_halves(spec: StudySpec) -> StudySpec:
    """The study with the test fraction that its splits have: one half for ``5x2``."""
    if spec.splits != FIVE_BY_TWO:
        return spec
    return replace(spec, data=replace(spec.data, test=0.5))


def load_splits(spec: StudySpec, table: Table | None = None) -> tuple[Dataset, ...]:
    """Every split of the data, each with features fitted on its own training part.

    All are in memory at once, so that what is wrong with any of them is known before training.

    Args:
        spec: the study.
        table: the data where they are in memory; ``spec.data.source`` is not read then.

    Raises:
        InputError: the data can't be used, or have a split of their own.

    >>> from xent.study._data._dataset import DataSpec
    >>> spec = StudySpec(DataSpec("synthetic:n=100,features=2"), splits=3, seeds=(0, 1, 2))
    >>> len({tuple(split.test.row_ids) for split in load_splits(spec)})
    3
    """
    data = spec.data
    if spec.n_splits == 1:
        return (load_dataset(data, table),)
    if table is None and data.source == STUDY:
        raise InputError(
            "compare: --splits",
            f"left out with {STUDY}, whose halves train and test",
            str(spec.splits),
            "Leave it out, or draw the data with synthetic:n=100000,features=4.",
        )
    if table is None and not is_synthetic(data.source):
        table = read_table(data.source)
    if spec.splits != FIVE_BY_TWO:
        return tuple(
            load_dataset(replace(data, split_seed=data.split_seed + split), table)
            for split in range(spec.n_splits)
        )
    halves = [replace(data, split_seed=data.split_seed + number) for number in range(5)]
    return tuple(
        load_dataset(half, table, exchanged=exchanged)
        for half in halves
        for exchanged in (False, True)
    )

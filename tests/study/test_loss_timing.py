"""The losses timed apart: how often, on what, in which order. Never how long."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from xent.study._data._dataset import DataSpec, load_dataset
from xent.study._formulations import BUILT_IN
from xent.study._training import _loss_timing
from xent.study._training._loss_timing import REPEATS, WARM_UP, time_losses
from xent.study._training._objectives import Objective
from xent.study._training._stacks import TrainingSpec


@pytest.fixture(scope="module")
def dataset():
    return load_dataset(DataSpec("synthetic:n=400,features=2,classes=2,seed=1"))


@pytest.fixture
def calls(monkeypatch):
    """Every mean loss that is taken: formulation, shape and dtype of its outputs."""
    seen = []
    plain = Objective.mean_loss

    def mean_loss(self, outputs, target, sample_weight=None):
        assert outputs.requires_grad
        assert len(outputs) == len(target)
        seen.append((self.formulation.name, tuple(outputs.shape), outputs.dtype))
        return plain(self, outputs, target, sample_weight)

    monkeypatch.setattr(Objective, "mean_loss", mean_loss)
    return seen


def objectives():
    return [Objective.bind(BUILT_IN[name], np.ones(2)) for name in ("bce", "ce1", "ce2")]


def test_every_loss_is_timed_in_turn_in_both_orders(dataset, calls):
    seconds = time_losses(objectives(), dataset, TrainingSpec())
    assert [len(each) for each in seconds] == [REPEATS] * 3
    assert all(second > 0 for each in seconds for second in each)
    names = [name for name, _, _ in calls]
    assert len(names) == 3 * (WARM_UP + REPEATS)
    turns = [names[i : i + 3] for i in range(0, len(names), 3)]
    assert turns[0] == ["ce2", "ce1", "bce"]
    assert turns[1] == ["bce", "ce1", "ce2"]
    assert turns[:-1:2] == [turns[0]] * (len(turns) // 2)


@pytest.mark.parametrize(
    ("batch_size", "most", "rows"),
    [(None, 100_000, None), (50, 100_000, 50), (10_000, 100_000, None), (None, 70, 70)],
)
def test_the_size_is_that_of_a_step(dataset, calls, monkeypatch, batch_size, most, rows):
    monkeypatch.setattr(_loss_timing, "MOST_ROWS", most)
    time_losses(objectives(), dataset, TrainingSpec(batch_size=batch_size, dtype="float64"))
    rows = len(dataset.train.target) if rows is None else rows
    assert {shape for _, shape, _ in calls} == {(rows, 1), (rows, 2)}
    assert {dtype for _, _, dtype in calls} == {torch.float64}


def test_global_states_are_left_as_found(dataset):
    before = torch.get_rng_state(), np.random.get_state()[1].copy()
    time_losses(objectives(), dataset, TrainingSpec())
    assert torch.equal(torch.get_rng_state(), before[0])
    np.testing.assert_array_equal(np.random.get_state()[1], before[1])

"""Data sets that several tests of the training core share."""

from __future__ import annotations

import pytest
import torch
from sklearn.datasets import load_breast_cancer, load_iris

from xent.study._data._dataset import DataSpec, load_dataset


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    """Small tensors gain nothing from threads, and lose much where other work shares the cores."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def standardise(features):
    return (features - features.mean(axis=0)) / features.std(axis=0)


def _study():
    train = load_dataset(DataSpec("bce-versus-ce")).train
    return train.features, train.target


def _breast_cancer():
    features, target = load_breast_cancer(return_X_y=True)
    return standardise(features), target


def _iris():
    features, target = load_iris(return_X_y=True)
    return standardise(features[50:]), target[50:] - 1


MAKERS = {"bce-versus-ce": _study, "breast cancer": _breast_cancer, "iris": _iris}


@pytest.fixture(scope="session", params=MAKERS)
def binary_data(request):
    """Features and target of the BCE-versus-CE study, of breast cancer, of two irises."""
    return MAKERS[request.param]()


@pytest.fixture(scope="session")
def study_data():
    """The 50,000 training rows of the BCE-versus-CE study."""
    return _study()


@pytest.fixture(scope="session")
def iris():
    """Versicolor against virginica: 100 rows, a maximum of the likelihood exists."""
    return _iris()

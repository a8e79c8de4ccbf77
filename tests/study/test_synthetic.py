"""Synthetic data: the study's own rows exactly, and labels that follow the stored truth."""

import subprocess
import sys

import numpy as np
import pytest
from scipy.special import expit, log_softmax

from xent._errors import InputError
from xent.study._data._synthetic import (
    BCE_VERSUS_CE,
    SyntheticSpec,
    draw_synthetic,
    is_synthetic,
    parse_synthetic,
)


def test_study_rows_are_the_study_s_recipe():
    n, m = 100000, 4
    random = np.random.default_rng(seed=0)
    w = random.normal(size=(m, 1))
    b = random.normal(size=1)
    X = random.normal(size=(n, m))
    y_logit = b + X @ w + random.normal(scale=0.0, size=(n, 1))
    y = random.binomial(n=1, p=expit(y_logit)).flatten()
    data = draw_synthetic(BCE_VERSUS_CE)
    np.testing.assert_array_equal(data.features, X)
    np.testing.assert_array_equal(data.target, y)
    np.testing.assert_array_equal(data.coefficients, [[*w[:, 0], b[0]]])
    np.testing.assert_allclose(
        np.exp(data.log_probabilities[:, 1]), expit(y_logit[:, 0]), rtol=1e-14
    )


def test_coefficients_give_the_log_probabilities_without_noise():
    data = draw_synthetic(SyntheticSpec(n=50, features=3, classes=4, seed=5))
    log_odds = data.features @ data.coefficients[:, :-1].T + data.coefficients[:, -1]
    expected = log_softmax(np.column_stack([np.zeros(50), log_odds]), axis=1)
    np.testing.assert_allclose(data.log_probabilities, expected, atol=1e-13)


# Two and more classes draw their labels differently; noise must be in the stored truth.
@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("noise", [0.0, 1.5])
def test_labels_follow_the_stored_probabilities(classes, noise):
    data = draw_synthetic(SyntheticSpec(n=40_000, classes=classes, noise=noise, seed=3))
    probabilities = np.exp(data.log_probabilities)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0, rtol=1e-12)
    labels = np.eye(classes)[data.target]
    deviation = np.sqrt((probabilities * (1 - probabilities)).sum(axis=0))
    assert (np.abs((labels - probabilities).sum(axis=0)) < 4 * deviation).all()
    # The score against the logits themselves: a truth without the noise fails here.
    centred = data.log_probabilities - data.log_probabilities.mean(axis=1, keepdims=True)
    score = ((labels - probabilities) * centred).sum(axis=1)
    assert abs(score.sum()) < 4 * score.std() * np.sqrt(score.size)


def test_noise_has_its_standard_deviation():
    data = draw_synthetic(SyntheticSpec(n=20_000, noise=1.5, seed=3))
    log_odds = data.log_probabilities[:, 1] - data.log_probabilities[:, 0]
    noise = log_odds - data.features @ data.coefficients[0, :-1] - data.coefficients[0, -1]
    assert noise.std() == pytest.approx(1.5, rel=0.03)


def test_extreme_log_odds_raise_no_warning():
    data = draw_synthetic(SyntheticSpec(n=100, noise=1e6))
    assert set(data.target) <= {0, 1}
    assert not np.isnan(data.log_probabilities).any()


def test_keys_and_defaults():
    assert parse_synthetic("synthetic") == parse_synthetic("synthetic:") == SyntheticSpec()
    assert parse_synthetic("synthetic:n=7, features=2,classes=3,noise=0.5,seed=9") == (
        SyntheticSpec(7, 2, 3, 0.5, 9)
    )
    assert is_synthetic("synthetic:n=1")
    assert not is_synthetic("synthetic.csv")


KEYS = "must be the keys n, features, classes, noise and seed, each at most once; got "
EXAMPLE = ". Write synthetic:n=1000,features=4,classes=2,noise=0,seed=0."
MALFORMED = {
    "rows=5": KEYS + "'rows=5'",
    "n=5,n=6": KEYS + "'n=6'",
    "n": "must be one where n is a whole number of at least 1; got 'n='",
    "n=1.5": "must be one where n is a whole number of at least 1; got 'n=1.5'",
    "features=0": "must be one where features is a whole number of at least 1; got 'features=0'",
    "classes=1": "must be one where classes is a whole number of at least 2; got 'classes=1'",
    "noise=nan": "must be one where noise is a number of at least 0; got 'noise=nan'",
    "noise=inf": "must be one where noise is a number of at least 0; got 'noise=inf'",
    "seed=-1": "must be one where seed is a whole number of at least 0; got 'seed=-1'",
    "n=999999999,features=9": (
        "must be synthetic data of at most 1,000,000,000 numbers; got n=999999999, features=9, "
        "classes=2"
    ),
}


@pytest.mark.parametrize("keys", MALFORMED)
def test_malformed_keys(keys):
    with pytest.raises(InputError) as caught:
        parse_synthetic(f"synthetic:{keys}")
    assert str(caught.value) == f"compare: 'synthetic:{keys}' {MALFORMED[keys]}{EXAMPLE}"


def test_loading_imports_neither_pandas_nor_scikit_learn():
    code = (
        "import sys; from xent.study._data._dataset import DataSpec, load_dataset; "
        "load_dataset(DataSpec('bce-versus-ce')); load_dataset(DataSpec('synthetic:n=100')); "
        "print(sorted({'pandas', 'sklearn'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"

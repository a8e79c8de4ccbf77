"""The maximum-likelihood reference against statsmodels and scikit-learn, and its refusals."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, load_wine
from sklearn.linear_model import LogisticRegression

from xent import _errors
from xent.study._optimum._likelihood import log_likelihood_terms, standard_errors
from xent.study._optimum._maximum_likelihood import (
    fit_maximum_likelihood,
    fit_one_vs_rest,
)


def standardised(features):
    features = features[:, features.std(axis=0) > 0]
    return (features - features.mean(axis=0)) / features.std(axis=0)


def synthetic(classes, count=800, width=4):
    random = np.random.default_rng(classes)
    x = random.normal(size=(count, width))
    theta = random.normal(size=(classes - 1, width + 1))
    logits = np.c_[np.zeros(count), x @ theta[:, :-1].T + theta[:, -1]]
    return x, np.argmax(logits + random.gumbel(size=logits.shape), axis=1), classes


def versicolor_against_virginica():
    x, target = load_iris(return_X_y=True)
    return standardised(x[50:]), target[50:] - 1, 2


MAXIMA = {
    "binary": synthetic(2),
    "three classes": synthetic(3),
    "five classes": synthetic(5),
    "iris": versicolor_against_virginica(),
}


@pytest.mark.parametrize("name", MAXIMA)
def test_against_statsmodels(name):
    from statsmodels.discrete.discrete_model import Logit, MNLogit

    x, target, classes = MAXIMA[name]
    model = (Logit if classes == 2 else MNLogit)(target, np.c_[x, np.ones(len(x))])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit = model.fit(disp=False, method="newton", maxiter=100, tol=1e-14)
    shape = (classes - 1, x.shape[1] + 1)
    found = fit_maximum_likelihood(x, target, classes)
    assert found.status == "maximum"
    assert found.message == "The likelihood has a maximum, and it was reached."
    assert found.collinear == ()
    np.testing.assert_allclose(found.coefficients, fit.params.T.reshape(shape), rtol=1e-6)
    np.testing.assert_allclose(found.standard_errors, fit.bse.T.reshape(shape), rtol=1e-6)
    np.testing.assert_allclose(found.covariance, fit.cov_params(), rtol=1e-5, atol=1e-9)
    assert found.log_loss == pytest.approx(-fit.llf / len(x), rel=1e-10)


@pytest.mark.parametrize("name", MAXIMA)
def test_against_scikit_learn(name):
    x, target, classes = MAXIMA[name]
    fit = LogisticRegression(C=np.inf, tol=1e-12, max_iter=1000, solver="newton-cg").fit(x, target)
    theirs = np.c_[fit.coef_, fit.intercept_]
    if classes > 2:
        theirs = theirs[1:] - theirs[0]
    found = fit_maximum_likelihood(x, target, classes)
    np.testing.assert_allclose(found.coefficients, theirs, rtol=1e-6, atol=1e-6)


def test_one_vs_rest_against_scikit_learn():
    x, target, classes = MAXIMA["three classes"]
    found = fit_one_vs_rest(x, target, classes)
    assert found.status == "maximum"
    total = 0.0
    for label in range(classes):
        own = (target == label).astype(int)
        fit = LogisticRegression(C=np.inf, tol=1e-12, solver="newton-cg").fit(x, own)
        theirs = np.r_[fit.coef_[0], fit.intercept_]
        np.testing.assert_allclose(found.coefficients[label], theirs, rtol=1e-6, atol=1e-6)
        total -= fit.predict_log_proba(x)[np.arange(len(x)), own].mean()
    assert found.log_loss == pytest.approx(total, rel=1e-10)
    assert found.standard_errors.shape == (3, 5)
    errors = standard_errors(found.coefficients, x, 3, log_odds_of="rest")
    np.testing.assert_allclose(found.standard_errors, errors, rtol=1e-9)
    np.testing.assert_allclose(
        np.sqrt(np.diag(found.covariance)).reshape(3, 5), found.standard_errors, rtol=1e-12
    )


@pytest.mark.parametrize("classes", [2, 3])
def test_weights_are_repeats(classes):
    x, target, _ = MAXIMA["binary" if classes == 2 else "three classes"]
    weight = np.random.default_rng(3).integers(0, 4, size=len(x))
    repeated = fit_maximum_likelihood(
        np.repeat(x, weight, axis=0), np.repeat(target, weight), classes
    )
    found = fit_maximum_likelihood(x, target, classes, weight.astype(float))
    np.testing.assert_allclose(found.coefficients, repeated.coefficients, rtol=1e-8)
    np.testing.assert_allclose(found.standard_errors, repeated.standard_errors, rtol=1e-8)
    assert found.log_loss == pytest.approx(repeated.log_loss, rel=1e-12)
    fit = LogisticRegression(C=np.inf, tol=1e-12, max_iter=1000, solver="newton-cg")
    fit.fit(x, target, sample_weight=weight.astype(float))
    theirs = np.c_[fit.coef_, fit.intercept_]
    theirs = theirs if classes == 2 else theirs[1:] - theirs[0]
    np.testing.assert_allclose(found.coefficients, theirs, rtol=1e-6, atol=1e-6)


def test_rows_that_count_for_nothing_leave_no_trace():
    x = np.array([[-3.0], [-2.0], [-1.0], [1.0], [2.0], [3.0], [4.0]])
    target = np.array([0, 0, 0, 1, 1, 1, 0])
    weight = np.array([1.0] * 6 + [0.0])
    assert fit_maximum_likelihood(x, target, 2).status == "maximum"
    assert fit_maximum_likelihood(x, target, 2, weight).status == "separable"


def test_gradient_vanishes_at_the_maximum():
    x, target, classes = MAXIMA["five classes"]
    found = fit_maximum_likelihood(x, target, classes)
    value, gradient, _ = log_likelihood_terms(found.coefficients, x, target, classes)
    assert np.abs(gradient).max() < 1e-9
    assert value == pytest.approx(found.log_loss, rel=1e-14)


def sklearn_data(load):
    x, target = load(return_X_y=True)
    return standardised(x), target, int(target.max()) + 1


def part(load, seed):
    x, target = load(return_X_y=True)
    chosen = np.random.default_rng(seed).permutation(len(x))[: int(0.8 * len(x))]
    return standardised(x[chosen]), target[chosen], int(target.max()) + 1


COMPLETE = (
    "The classes are separated completely, so larger coefficients always fit better:"
    " the likelihood has no maximum and the log loss falls to 0."
)
IN_PART = (
    "The classes are separated in part: some rows always fit better with larger coefficients"
    " and no row worse, so the likelihood has no maximum."
)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (sklearn_data(load_breast_cancer), COMPLETE),
        (part(load_breast_cancer, 0), COMPLETE),
        (part(load_breast_cancer, 1), COMPLETE),
        (sklearn_data(load_wine), COMPLETE),
        (sklearn_data(load_digits), COMPLETE),
        (sklearn_data(load_iris), IN_PART),
        (part(load_iris, 0), IN_PART),
    ],
    ids=["cancer", "cancer 80 %", "cancer other 80 %", "wine", "digits", "iris", "iris 80 %"],
)
def test_known_data_without_a_maximum(data, message):
    found = fit_maximum_likelihood(*data)
    assert found.status == "separable"
    assert found.message == message
    assert found.standard_errors is None
    assert found.covariance is None
    assert found.coefficients.shape == (data[2] - 1, data[0].shape[1] + 1)
    assert np.isfinite(found.coefficients).all()
    assert (found.log_loss == 0.0) is (message == COMPLETE)


def test_partial_separation_reports_the_limit_of_the_log_loss():
    """Setosa apart costs nothing in the limit: what is left is versicolor against virginica."""
    x, target, classes = sklearn_data(load_iris)
    found = fit_maximum_likelihood(x, target, classes)
    rest = fit_maximum_likelihood(x[50:], target[50:] - 1, 2)
    assert found.log_loss == pytest.approx(rest.log_loss * 100 / 150, rel=1e-8)


def test_one_vs_rest_names_the_class():
    found = fit_one_vs_rest(*sklearn_data(load_iris))
    assert found.status == "separable"
    assert found.message == ("Against the rest, by class: 0 separable, 1 maximum, 2 maximum.")
    assert [problem.status for problem in found.problems] == ["separable", "maximum", "maximum"]
    assert found.standard_errors is None
    assert found.problems[1].standard_errors is not None


def test_collinear_columns_keep_the_log_loss():
    x, target, classes = MAXIMA["three classes"]
    more = np.c_[x, x[:, 1] - x[:, 2]]
    found = fit_maximum_likelihood(more, target, classes)
    alone = fit_maximum_likelihood(x, target, classes)
    assert found.status == "collinear"
    assert found.collinear == ((1, 2, 4),)
    assert found.message == (
        "Features are linearly dependent, so the coefficients are not unique: 1, 2, 4."
    )
    assert found.standard_errors is None
    assert found.log_loss == pytest.approx(alone.log_loss, rel=1e-12)
    value = log_likelihood_terms(found.coefficients, more, target, classes)[0]
    assert value == pytest.approx(alone.log_loss, rel=1e-12)


def test_separable_and_collinear():
    x = np.array([[-3.0], [-2.0], [-1.0], [1.0], [2.0], [3.0]])
    found = fit_maximum_likelihood(np.c_[x, 2 * x, np.ones(6)], np.array([0, 0, 0, 1, 1, 1]), 2)
    assert found.status == "separable and collinear"
    assert found.collinear == ((0, 1), (2,))
    assert found.message == (
        COMPLETE
        + " Features are linearly dependent, so the coefficients are not unique:"
        + " 0, 1; 2 (constant)."
    )


def test_more_columns_than_rows():
    random = np.random.default_rng(9)
    found = fit_maximum_likelihood(random.normal(size=(10, 20)), np.arange(10) % 2, 2)
    assert found.status == "separable and collinear"


@pytest.mark.parametrize("gap", 10.0 ** -np.arange(0, 10))
def test_small_overlaps_have_a_maximum(gap):
    x = np.array([-3.0, -2.0, -1.0, gap / 2, -gap / 2, 1.0, 2.0, 3.0])[:, None]
    found = fit_maximum_likelihood(x, np.repeat([0, 1], 4), 2)
    assert found.status == "maximum"
    assert found.log_loss > np.log(2.0) / 4


def test_rare_class_has_a_maximum():
    """Ten rows in 50,000: the information is small, but not singular."""
    random = np.random.default_rng(10)
    x = random.normal(size=(50_000, 2))
    target = np.zeros(50_000, int)
    target[:10] = 1
    assert fit_maximum_likelihood(x, target, 2).status == "maximum"


def nearly_separable():
    """A dummy of class 1 but for one row, which hardly counts."""
    random = np.random.default_rng(11)
    x = np.c_[random.normal(size=60), np.arange(60) < 10].astype(float)
    target = np.where(x[:, 1] == 1, 1, random.random(60) < 0.5).astype(int)
    target[3] = 0
    weight = np.ones(60)
    weight[3] = 1e-15
    return x, target, weight


def test_nearly_separable():
    x, target, weight = nearly_separable()
    assert fit_maximum_likelihood(x, target, 2).status == "maximum"
    found = fit_maximum_likelihood(x, target, 2, weight)
    assert found.status == "nearly separable"
    assert found.message == (
        "The classes overlap, but by so little that float64 can't invert the information:"
        " a maximum, if any, is so far out that standard errors mean nothing."
    )
    assert found.standard_errors is None
    assert np.isfinite(found.log_loss)


def test_undecided_is_said(monkeypatch):
    """Without the linear program and the certificate nothing is claimed."""
    from xent.study._optimum import _maximum_likelihood, _separation

    monkeypatch.setattr(
        _maximum_likelihood, "find_separation", lambda *_, **__: _separation.Separation(None)
    )
    found = fit_maximum_likelihood(*sklearn_data(load_iris))
    assert found.status == "nearly separable"
    assert found.message == (
        "Neither a maximum nor a separation of the classes could be proved in float64:"
        " a maximum, if any, is so far out that standard errors mean nothing."
    )


def test_badly_scaled_features_have_the_same_fit():
    x, target, classes = MAXIMA["binary"]
    scale = 10.0 ** np.array([-6, 6, 0, 3])
    plain = fit_maximum_likelihood(x, target, classes)
    found = fit_maximum_likelihood(x * scale, target, classes)
    assert found.status == "maximum"
    np.testing.assert_allclose(
        found.coefficients[:, :-1] * scale, plain.coefficients[:, :-1], rtol=1e-8
    )
    np.testing.assert_allclose(
        found.standard_errors[:, :-1] * scale, plain.standard_errors[:, :-1], rtol=1e-8
    )


def test_intercept_only():
    found = fit_maximum_likelihood(np.zeros((10, 0)), np.array([1] * 3 + [0] * 7), 2)
    assert found.status == "maximum"
    assert found.coefficients[0, 0] == pytest.approx(np.log(3 / 7))
    assert found.standard_errors[0, 0] == pytest.approx(np.sqrt(1 / 3 + 1 / 7))


@pytest.mark.parametrize(
    ("x", "target", "weight", "message"),
    [
        (
            [[np.nan], [1.0]],
            [0, 1],
            None,
            "fit: features must be finite; got 1 values that are not. Drop or fill them.",
        ),
        (
            [[0.0], [1.0]],
            [1, 2],
            None,
            "fit: target must be class indices 0 to 1; got 1 to 2. Number the classes from 0.",
        ),
        (
            [[0.0], [1.0]],
            [0, 1],
            [-1.0, 1.0],
            "fit: weight must be finite, not negative and not all zero; got -1 to 1."
            " Check the weights.",
        ),
    ],
)
def test_bad_input(x, target, weight, message):
    counts = None if weight is None else np.array(weight)
    with pytest.raises(_errors.InputError) as caught:
        fit_maximum_likelihood(np.array(x), np.array(target), 2, counts)
    assert str(caught.value) == message


def test_a_model_that_is_too_large_is_not_fitted():
    random = np.random.default_rng(0)
    features, target = random.normal(size=(60, 41)), np.arange(60) % 30
    fit = fit_maximum_likelihood(features, target, 30)
    assert (fit.status, fit.covariance, fit.iterations) == ("not computed", None, 0)
    assert fit.message == (
        "The estimate has 1,218 coefficients, more than the 1,200 that it is computed for."
    )
    assert fit_maximum_likelihood(features[:, :40], target, 30).status != "not computed"
    wide = random.normal(size=(40, 1200))
    assert fit_one_vs_rest(wide, np.arange(40) % 2, 2).status == "not computed"

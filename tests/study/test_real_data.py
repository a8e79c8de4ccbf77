"""Studies at convergence against statsmodels and scikit-learn, on designs built by hand."""

import numpy as np
import pandas
import pytest
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from statsmodels.discrete.discrete_model import Logit, MNLogit
from statsmodels.genmod.families import Binomial
from statsmodels.genmod.generalized_linear_model import GLM

from xent.study import compare

RELATIVE = 1e-5


def table(result, column):
    """A column of the parameters as the array ``(log-odds, features + 1)``."""
    frame = [vars(parameter) for parameter in result.parameters]
    rows = list(dict.fromkeys(parameter["log_odds"] for parameter in frame))
    return np.array([p[column] for p in frame], dtype=float).reshape(len(rows), -1)


def with_constant(features):
    return np.column_stack([features, np.ones(len(features))])


def assert_like_statsmodels(result, fitted, design, target):
    """Coefficients, standard errors and losses of one formulation, in the original units."""
    coefficients = np.atleast_2d(np.asarray(fitted.params).T)
    errors = np.atleast_2d(np.asarray(fitted.bse).T)
    np.testing.assert_allclose(table(result, "mean"), coefficients, rtol=RELATIVE)
    np.testing.assert_allclose(table(result, "estimate"), coefficients, rtol=RELATIVE)
    np.testing.assert_allclose(table(result, "standard_error"), errors, rtol=RELATIVE)
    np.testing.assert_allclose(table(result, "estimate_se"), errors, rtol=RELATIVE)
    q = np.asarray(fitted.predict(design))
    q = np.column_stack([1 - q, q]) if q.ndim == 1 else q
    for trial in result.trials:
        assert trial.train_log_loss == pytest.approx(-fitted.llf / fitted.nobs, rel=RELATIVE)
        assert trial.test.log_loss == pytest.approx(log_loss(target, q), rel=RELATIVE)
        assert trial.distance < 1e-4


def assert_like_scikit_learn(result, classifier, design, target):
    intercept, slopes = classifier.intercept_, classifier.coef_
    if len(slopes) > 1:
        intercept, slopes = intercept[1:] - intercept[0], slopes[1:] - slopes[0]
    expected = np.column_stack([slopes, intercept])
    np.testing.assert_allclose(table(result, "mean"), expected, rtol=RELATIVE)
    assert result.mean("log_loss") == pytest.approx(
        log_loss(target, classifier.predict_proba(design)), rel=RELATIVE
    )
    assert result.mean("accuracy") == pytest.approx(classifier.score(design, target))


def unpenalised(features, target, weight=None):
    classifier = LogisticRegression(C=np.inf, solver="newton-cholesky", tol=1e-12, max_iter=1000)
    return classifier.fit(features, target, weight)


@pytest.fixture(scope="module")
def two_irises():
    return compare(
        "sklearn:iris", classes=["versicolor", "virginica"], converge=True, seeds=2, test=0.3
    )


def test_two_irises(two_irises):
    features, species = load_iris(return_X_y=True)
    features, target = features[50:], species[50:] - 1
    rows = {name: part.row_ids - 50 for name, part in two_irises.dataset.parts.items()}
    train, test = rows["train"], rows["test"]
    fitted = Logit(target[train], with_constant(features[train])).fit(disp=0, tol=1e-12, maxiter=99)
    classifier = unpenalised(features[train], target[train])
    assert two_irises.likelihood.status == "maximum"
    for result in two_irises.formulations:
        assert_like_statsmodels(result, fitted, with_constant(features[test]), target[test])
        assert_like_scikit_learn(result, classifier, features[test], target[test])


@pytest.fixture(scope="module")
def three_classes():
    return compare(
        "synthetic:n=900,features=3,classes=3,seed=4",
        formulations=["ce", "ovr"],
        converge=True,
        seeds=2,
    )


def original(dataset, part):
    return part.features * dataset.scale + dataset.center


def test_three_classes(three_classes):
    dataset = three_classes.dataset
    train, test = (original(dataset, part) for part in (dataset.train, dataset.test))
    fitted = MNLogit(dataset.train.target, with_constant(train)).fit(
        disp=0, method="newton", tol=1e-12, maxiter=99
    )
    ce = three_classes["ce"]
    assert_like_statsmodels(ce, fitted, with_constant(test), dataset.test.target)
    classifier = unpenalised(train, dataset.train.target)
    assert_like_scikit_learn(ce, classifier, test, dataset.test.target)
    errors = table(ce, "standard_error")
    assert (np.abs(table(ce, "mean") - table(ce, "truth")) < 5 * errors).all()


def test_one_against_the_rest_is_three_regressions(three_classes):
    dataset, result = three_classes.dataset, three_classes["ovr"]
    train = with_constant(original(dataset, dataset.train))
    for label in range(3):
        fitted = Logit(dataset.train.target == label, train).fit(disp=0, tol=1e-12)
        np.testing.assert_allclose(table(result, "mean")[label], fitted.params, rtol=RELATIVE)
        np.testing.assert_allclose(
            table(result, "standard_error")[label], fitted.bse, rtol=RELATIVE
        )
    assert {p.against for p in result.parameters} == {"the rest"}


@pytest.fixture(scope="module")
def clinic(tmp_path_factory):
    """String labels, missing numbers, a category with missing cells, a sample weight."""
    random = np.random.default_rng(7)
    rows = 500
    frame = pandas.DataFrame(
        {
            "age": random.normal(50, 12, rows).round(1),
            "pressure": random.normal(120, 15, rows).round(),
            "ward": random.choice(["north", "south", "west"], rows, p=[0.5, 0.3, 0.2]),
            "times": random.integers(1, 4, rows),
        }
    )
    score = 0.04 * (frame["age"] - 50) + (frame["ward"] == "south") - 0.02 * frame["pressure"] + 2
    frame["outcome"] = np.where(random.random(rows) < 1 / (1 + np.exp(-score)), "sick", "healthy")
    frame.loc[random.random(rows) < 0.1, "pressure"] = np.nan
    frame.loc[random.random(rows) < 0.05, "ward"] = None
    path = tmp_path_factory.mktemp("clinic") / "clinic.csv"
    frame.to_csv(path, index=False)
    return path, frame


def clinic_design(frame, train):
    """The design matrix as a statistician would write it: medians and levels of training rows."""
    pressure = frame["pressure"]
    return np.column_stack(
        [
            frame["age"],
            pressure.fillna(pressure[train].median()),
            pressure.isna(),
            frame["ward"] == "south",
            frame["ward"] == "west",
            frame["ward"].isna(),
        ]
    ).astype(float)


def test_csv_with_strings_missing_values_and_categories(clinic):
    path, frame = clinic
    comparison = compare(path, "outcome", drop=["times"], converge=True, seeds=2)
    dataset = comparison.dataset
    assert dataset.class_names == ("healthy", "sick")
    assert dataset.feature_names == (
        "age", "pressure", "pressure is missing", "ward=south", "ward=west", "ward is missing",
    )  # fmt: skip
    target = (frame["outcome"] == "sick").to_numpy().astype(int)
    train, test = dataset.train.row_ids, dataset.test.row_ids
    design = clinic_design(frame, train)
    fitted = Logit(target[train], with_constant(design[train])).fit(disp=0, tol=1e-12)
    classifier = unpenalised(design[train], target[train])
    for result in comparison.formulations:
        assert_like_statsmodels(result, fitted, with_constant(design[test]), target[test])
        assert_like_scikit_learn(result, classifier, design[test], target[test])


def test_sample_weights_act_as_repeated_rows_of_the_effective_number(clinic):
    path, frame = clinic
    comparison = compare(
        path, "outcome", weight="times", converge=True, seeds=1, formulations="bce,ce2"
    )
    train, test = comparison.dataset.train.row_ids, comparison.dataset.test.row_ids
    design, target = clinic_design(frame, train), (frame["outcome"] == "sick").to_numpy()
    times = frame["times"][train].to_numpy()
    fitted = GLM(
        target[train],
        with_constant(design[train]),
        family=Binomial(),
        freq_weights=times * (times.sum() / (times**2).sum()),
    ).fit(tol=1e-12)
    tested = np.repeat(test, frame["times"][test])
    for result in comparison.formulations:
        np.testing.assert_allclose(table(result, "mean")[0], fitted.params, rtol=RELATIVE)
        np.testing.assert_allclose(table(result, "standard_error")[0], fitted.bse, rtol=RELATIVE)
        q = fitted.predict(with_constant(design[tested]))
        assert result.mean("log_loss") == pytest.approx(log_loss(target[tested], q), rel=RELATIVE)


@pytest.mark.parametrize(
    ("source", "formulations"),
    [
        ("sklearn:breast_cancer", "bce,ce1,ce2"),
        ("sklearn:digits", "ce,ovr"),
        ("sklearn:wine", "ce,ovr"),
        ("sklearn:iris", "ce,ovr"),
    ],
)
def test_separable_data_are_named_and_have_no_standard_errors(source, formulations):
    comparison = compare(source, formulations=formulations, seeds=2, epochs=10)
    assert comparison.likelihood.status == "separable"
    found = {found.name: found for found in comparison.findings}
    assert "the likelihood has no maximum" in found["no-maximum-likelihood"].message
    for result in comparison.formulations:
        assert result.parameters_note.startswith("no standard errors: ")
        for parameter in result.parameters:
            assert parameter.standard_error is None
            assert parameter.estimate is None
            assert parameter.estimate_se is None
        assert result.distance is None
    assert comparison.baselines.likelihood_log_loss is None
    assert comparison.ok


def test_digits_name_their_collinear_columns():
    comparison = compare("sklearn:digits", formulations=["ce"], seeds=1, epochs=1)
    (found,) = (found for found in comparison.findings if found.name == "collinear-columns")
    assert found.message == (
        "One value on every training row, so dropped: 'pixel_0_0', 'pixel_4_0', 'pixel_4_7'."
    )


def test_collinear_columns_are_named(clinic):
    _, frame = clinic
    frame = frame[["age", "times", "outcome"]].assign(months=12 * frame["age"] + frame["times"])
    comparison = compare(frame, "outcome", converge=True, seeds=1)
    assert comparison.likelihood.status == "collinear"
    (found,) = comparison.findings
    assert found.name == "collinear-columns"
    assert found.message == "Linearly dependent: 'age', 'times', 'months'."
    for result in comparison.formulations:
        assert all(parameter.standard_error is None for parameter in result.parameters)
        # The fit is unique where the coefficients are not.
        assert result.trials[0].train_log_loss == pytest.approx(comparison.likelihood.log_loss)


def test_converging_separable_data_ends():
    comparison = compare("sklearn:iris", converge=True, seeds=1, formulations=["ce"])
    (trial,) = comparison["ce"].trials
    assert trial.status == "finished"
    assert trial.gradient_norm <= 1e-9
    assert comparison["ce"].mean("accuracy") >= 0.9

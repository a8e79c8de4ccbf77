"""``results.json``: valid by the published schema, the same for the same study, free of NaN."""

import json
import math

import pytest
from jsonschema import Draft202012Validator, ValidationError

from xent.study import compare, schema

DATA = "synthetic:n=300,features=3,seed=5"
TIMES = ("date", "seconds", "fit_seconds", "timings")


def strict(text):
    """JSON by its standard, which has no NaN and no Infinity."""

    def refuse(constant):
        raise AssertionError(f"{constant} is no JSON")

    return json.loads(text, parse_constant=refuse)


def without_times(value):
    if isinstance(value, dict):
        return {key: without_times(item) for key, item in value.items() if key not in TIMES}
    return [without_times(item) for item in value] if isinstance(value, list) else value


@pytest.fixture(scope="module")
def validator():
    Draft202012Validator.check_schema(schema())
    return Draft202012Validator(schema())


# One study for each branch of the document: plain, recovered, multiclass, separable, diverged,
# converged, an mlp, weights and a validation part left out.
STUDIES = {
    "plain": {"data": DATA},
    "one seed": {"data": DATA, "seeds": 1},
    "recovered": {"data": DATA, "formulations": "bce,bce+smoothing=0.1,ce2+focal=2"},
    "three classes": {"data": "sklearn:iris"},
    "separable": {"data": "sklearn:wine", "epochs": 20},
    "diverged": {"data": DATA, "optimizer": "sgd", "learning_rate": 1e38},
    "exploded": {"data": DATA, "optimizer": "sgd", "learning_rate": 1e30},
    "converged": {"data": DATA, "converge": True, "validation": 0.0},
    "mlp": {"data": DATA, "model": "mlp", "widths": [4], "batch_size": 64},
    "lbfgs": {"data": DATA, "optimizer": "lbfgs", "epochs": 3, "learning_rate": 1.0},
}


@pytest.mark.parametrize("options", STUDIES.values(), ids=STUDIES)
def test_valid_by_the_schema(validator, options):
    comparison = compare(**({"seeds": 2, "epochs": 4} | options))
    document = strict(json.dumps(comparison.to_dict(), allow_nan=False))
    validator.validate(document)
    for result in document["formulations"].values():
        assert {"status", "fit_seconds", "log_loss", "accuracy"} <= set(result)
        assert result["fit_seconds"] > 0
        assert result["log_loss"] is not None or result["status"] == "diverged"


def test_schema_would_see_a_slip(validator):
    document = compare(DATA, seeds=1, epochs=1).to_dict()
    for change in ({"schema_version": "2.0"}, {"status": "fine"}, {"extra": 1}):
        with pytest.raises(ValidationError):
            validator.validate(document | change)
    del document["formulations"]["bce"]["accuracy"]
    with pytest.raises(ValidationError, match="'accuracy' is a required property"):
        validator.validate(document)


def test_status():
    good = compare(DATA, seeds=1, epochs=1).to_dict()
    assert good["status"] == "finished"
    bad = compare(DATA, seeds=2, epochs=4, optimizer="adam", learning_rate=3e38).to_dict()
    assert bad["status"] == "failed"
    assert {result["status"] for result in bad["formulations"].values()} == {"diverged"}
    for result in bad["formulations"].values():
        assert result["log_loss"] is None
        for trial in result["trials"]:
            assert trial["status"] == "diverged"
            assert trial["test"] is None
            assert None in [*trial["train_curve"], trial["objective"]]


# Every way of drawing random numbers: full batch, batches, an mlp.
@pytest.mark.parametrize(
    "options",
    [{}, {"batch_size": 50}, {"model": "mlp", "widths": [5], "batch_size": 50}],
    ids=["full batch", "batches", "mlp"],
)
def test_a_rerun_gives_the_same_bits(options):
    first, second = (
        compare(DATA, seeds=2, epochs=4, formulations="bce,ce2+focal=1", **options).to_dict()
        for _ in range(2)
    )
    assert without_times(first) == without_times(second)
    assert first["seconds"] != second["seconds"]


def test_raw_and_recovered_stand_side_by_side():
    result = compare(DATA, seeds=2, epochs=30, formulations="bce,bce+weights=1:4").to_dict()
    plain, weighted = result["formulations"].values()
    assert plain["recovered"] is None
    assert weighted["recovered"]["log_loss"]["mean"] < weighted["log_loss"] - 0.01
    assert all(trial["recovered"] is not None for trial in weighted["trials"])


def test_numbers_are_those_of_the_comparison():
    comparison = compare(DATA, seeds=3, epochs=4)
    document = comparison.to_dict()
    for result in comparison.formulations:
        own = document["formulations"][result.name]
        assert own["log_loss"] == result.mean("log_loss")
        losses = [trial["test"]["log_loss"] for trial in own["trials"]]
        assert own["log_loss"] == pytest.approx(sum(losses) / 3)
        mean = sum(losses) / 3
        variance = sum((loss - mean) ** 2 for loss in losses) / 2
        assert own["log_loss_se"] == pytest.approx(math.sqrt(variance / 3))
    assert document["data"]["fingerprint"] == comparison.dataset.fingerprint
    assert document["spec"]["seeds"] == [0, 1, 2]
    assert document["data"]["rows"] == {"train": 210, "validation": 30, "test": 60}

"""The numbers that are shown, and where they come from."""

import re

import numpy as np
import pytest
from report_runs import ROWS, make_results, pair_of, predictions_of
from scipy import stats
from taken_apart import page_of, whole

from xent.report._forest import _intervals, _quantile
from xent.report._reliability import consistency_band
from xent.scoring import score_rows


@pytest.fixture(scope="module")
def whole_page():
    return whole()


def rows_of(page, section, table=0):
    return page.tables[section][table]


def test_the_question_the_verdicts_and_the_margin(whole_page):
    assert "Do the training procedures differ?" in whole_page.text
    assert "All 3 pairs are equivalent within ±0.01 nats." in whole_page.text
    assert "ce2 and bce are equivalent." in whole_page.text
    assert "Differences below 0.01 nats do not matter." in whole_page.text


def test_conditions_and_checks_stand_beside_the_verdicts():
    results = make_results(("bce", "ce2"))
    results["conditions"] = ["As written, a step of ce2 is twice as long."]
    check = {"name": "brier", "value": 0.001, "low": -0.002, "high": 0.004, "p_value": 0.5,
             "words": "Brier score, by the same test"}  # fmt: skip
    mcnemar = check | {"name": "exact McNemar", "value": 0.0, "low": None, "high": None}
    results["pairs"][0]["checks"] = [check, mcnemar]
    page = page_of(results)
    assert "As written, a step of ce2 is twice as long." in page.inside("verdict")
    assert rows_of(page, "verdict")[1:] == [
        ["ce2 − bce", "Brier score", "+0.001", "−0.002 to +0.004", "0.5", check["words"]],
        ["exact McNemar", "0", "–", "0.5", check["words"]],
    ]


def test_every_section_is_in_the_contents(whole_page):
    links = [own["href"] for tag, own in whole_page.elements if tag == "a"]
    sections = [own["id"] for tag, own in whole_page.elements if tag == "section"]
    assert links == [f"#{each}" for each in sections]


def test_differences(whole_page):
    heading, *rows = rows_of(whole_page, "differences")
    assert heading[:4] == ["first", "second", "difference", "SE"]
    by_name = {(row[0], row[1]): row for row in rows}
    assert by_name["ce2", "bce"] == [
        "ce2", "bce", "+0.002", "0.002", "12.5", "−0.002", "+0.006", "0.31", "0.62", "0.0004",
        "equivalent",
    ]  # fmt: skip


def test_the_thick_interval_is_the_one_that_decides_equivalence():
    """TOST at 5 % is significant just where the 90 % interval lies within the margin."""
    pair = pair_of("b", "a", 0.001)
    (low, high), (inner_low, inner_high) = _intervals(pair)
    assert (low, high) == (pytest.approx(-0.003), pytest.approx(0.005))
    expected = stats.t.interval(0.90, 12.5, 0.001, 0.002)
    assert (inner_low, inner_high) == pytest.approx(expected)
    pair["margin"] = inner_high
    decided = stats.t.sf((pair["margin"] - 0.001) / 0.002, 12.5)
    assert decided == pytest.approx(0.05)


def test_quantiles():
    assert _quantile(0.95, None) == pytest.approx(stats.norm.ppf(0.95))
    assert _quantile(0.975, 7.0) == pytest.approx(stats.t.ppf(0.975, 7))


def marks_at(page, section):
    return page.inside(section).count("<use ")


def test_every_seed_is_a_dot(whole_page):
    heading, *rows = rows_of(whole_page, "seeds")
    assert heading == ["seed", "bce", "ce1", "ce2"]
    assert rows[1] == ["1", "0.602000", "0.612000", "0.622000"]
    assert marks_at(whole_page, "seeds") == 9


def test_curves_are_quartiles_over_seeds(whole_page):
    results = make_results()
    heading, *rows = rows_of(whole_page, "curves")
    assert heading[2:] == ["epoch", "lower quartile", "median", "upper quartile"]
    trials = results["formulations"]["ce1"]["trials"]
    curves = np.array([trial["validation_curve"] for trial in trials])
    lower, median, upper = np.quantile(curves[:, -1], [0.25, 0.5, 0.75])
    wanted = ["followed", "30", f"{lower:.5f}", f"{median:.5f}", f"{upper:.5f}"]
    assert wanted in [row[-5:] for row in rows]


def test_scores(whole_page):
    heading, *rows = rows_of(whole_page, "scores")
    assert heading[:4] == ["formulation", "log loss", "Brier", "ECE (noise floor)"]
    assert rows[0] == [
        "bce", "0.60200 ±0.00100", "0.20000 ±0.00100", "0.0300 (0.0400)", "0.7000 ±0.0010",
        "0.7500 ±0.0010", "1.020 ±0.100", "250 ms", "4",
    ]  # fmt: skip
    assert [row[0] for row in rows[3:]] == [
        "class prior", "maximum likelihood", "true model", "entropy of the truth",
    ]  # fmt: skip
    assert rows_of(whole_page, "scores", 1)[1] == [
        "bce", "log loss", "0.60200", "0.58200", "0.62200", "t over rows",
    ]  # fmt: skip


def test_the_lowest_is_bold_only_where_it_is_different_from_all():
    results = make_results()
    assert "The lowest log loss is that of bce; it is not in bold" in page_of(results).text
    results["pairs"] = [
        pair_of("ce1", "bce", 0.05, "different"), pair_of("ce2", "bce", 0.06, "different"),
        pair_of("ce2", "ce1", 0.01, "inconclusive"),
    ]  # fmt: skip
    page = page_of(results)
    assert "In bold: the log loss of bce, shown to be lower than every other" in page.text
    assert page.inside("scores").count('class="best"') == 1
    results["pairs"][1]["verdict"] = "different but negligible"
    assert 'class="best"' not in page_of(results).inside("scores")


def test_reliability_is_that_of_the_scores(whole_page):
    """The groups are those that the expected calibration error is read from."""
    arrays = predictions_of("any")
    groups = score_rows(arrays["log_probabilities"], arrays["target"]).calibration
    heading, *rows = rows_of(whole_page, "reliability")
    assert heading[0] == "formulation"
    assert len(rows) == 3 * len(groups.observed)
    own = [[float(cell) for cell in row[-5:]] for row in rows[: len(groups.observed)]]
    np.testing.assert_allclose([row[0] for row in own], groups.probability, atol=5e-5)
    np.testing.assert_allclose([row[1] for row in own], groups.observed, atol=5e-5)
    assert sum(row[4] for row in own) == pytest.approx(1.0, abs=1e-3)


def test_seeds_share_their_test_rows_so_more_seeds_make_no_narrower_band():
    def band(seeds):
        return [
            row[-3:-1] for row in rows_of(page_of(make_results(("bce",), seeds)), "reliability")
        ]

    assert band(1) == band(12)


@pytest.mark.parametrize("p", [0.0, 0.003, 0.2, 0.5, 0.97, 1.0])
@pytest.mark.parametrize("rows", [1.0, 8.0, 133.0, 3333.0])
def test_the_consistency_band_is_of_binomial_quantiles(p, rows):
    low, high = consistency_band(np.array([p]), np.array([rows]))
    expected = stats.binom.ppf([0.025, 0.975], rows, p) / rows
    assert float(low[0]) == pytest.approx(min(expected[0], p) if 0 < p < 1 else p)
    assert float(high[0]) == pytest.approx(max(expected[1], p) if 0 < p < 1 else p)


def test_the_band_covers_calibrated_groups():
    random = np.random.default_rng(3)
    p = np.full(4000, 0.13)
    shares = random.binomial(60, p) / 60
    low, high = consistency_band(p, np.full(4000, 60.0))
    assert ((shares >= low) & (shares <= high)).mean() >= 0.95


def test_coefficients_per_unit_in_the_table_per_deviation_in_the_order(whole_page):
    heading, *rows = rows_of(whole_page, "coefficients")
    assert heading == ["log-odds of", "feature", "truth", "MLE", "bce", "ce1", "ce2"]
    assert [row[1] for row in rows] == ["height", "age", "(intercept)"]
    assert rows[1] == ["yes", "age", "0.55", "0.52 ±0.11", "0.5 ±0.1", "0.5 ±0.1", "0.5 ±0.1"]
    assert "log-odds per standard deviation of the feature" in whole_page.inside("coefficients")


def test_the_thirty_that_matter_most():
    results = make_results(("bce", "ce2"))
    for own in results["formulations"].values():
        first = own["parameters"][0]
        own["parameters"] = [{**first, "feature": f"f{i}", "mean": i / 10, "estimate": None}
                             for i in range(50)]  # fmt: skip
    results["data"] |= {"features": [f"f{i}" for i in range(50)], "standard_deviations": [1.5] * 50}
    page = page_of(results)
    assert "Shown are the 30 largest of 50" in page.text
    assert [row[1] for row in rows_of(page, "coefficients")[1:]] == [
        f"f{i}" for i in range(49, 19, -1)
    ]


def test_one_figure_for_each_kind_of_log_odds():
    results = make_results(("ce", "ovr"))
    for parameter in results["formulations"]["ovr"]["parameters"]:
        parameter["against"] = "the rest"
    page = page_of(results)
    assert rows_of(page, "coefficients")[0][-1] == "ce"
    assert rows_of(page, "coefficients-2")[0][-1] == "ovr"


def test_time(whole_page):
    heading, *rows = rows_of(whole_page, "time")
    assert heading == [
        "formulation", "a step", "gathering a batch", "evaluating curves", "the loss alone",
        "fit, all seeds",
    ]  # fmt: skip
    assert rows[0] == ["bce", "2 ms (1.5 ms to 3 ms)", "–", "2 ms (1.5 ms to 3 ms)",
                       "2 ms (1.5 ms to 3 ms)", "250 ms"]  # fmt: skip


def test_the_command_that_runs_it_again(whole_page):
    command = re.search(r"<code>(.*?)</code>", whole_page.html)[1]
    assert command == (
        "xent compare people.csv --formulations bce,ce1,ce2 --seeds 3 --target y --drop id "
        "--learning-rate 0.05 --epochs 30 --margin 0.01"
    )


def test_versions_seeds_and_fingerprint(whole_page):
    for text in ("3 seeds (0–2)", "f1f2f3", "2.11.0", "200 test rows", "'id' was dropped"):
        assert text in whole_page.text
    assert f"{ROWS} test rows" in whole_page.text

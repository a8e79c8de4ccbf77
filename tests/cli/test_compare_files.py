"""``xent compare --predictions FILE ...``."""

import json

import numpy as np
import pandas as pd
import pytest
from command_line import xent

from xent import compare, compare_predictions

RANDOM = np.random.default_rng(0)
Z = RANDOM.normal(size=200)
Y = (RANDOM.random(200) < 1 / (1 + np.exp(-Z))).astype(int)
LABELS = np.array(["cat", "dog"])[Y]
P, Q = 1 / (1 + np.exp(-Z)), 1 / (1 + np.exp(-1.2 * Z))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    one = {"y": LABELS, "p": P, "row": np.arange(200), "site": Y + np.arange(200) // 5 * 2}
    both = {"p_dog": Q, "row": np.arange(200), "y": LABELS, "p_cat": 1 - Q}
    pd.DataFrame(one).to_csv("one.csv", index=False)
    pd.DataFrame(both).to_parquet("both.parquet")
    np.savez("logits.npz", target=Y, logits=np.stack([-Z, Z], axis=1) / 2)
    np.savez("log_probs.npz", target=Y, log_probs=np.log(np.stack([1 - Q, Q], axis=1)))
    return tmp_path


OPTIONS = ("--target", "y", "--input", "probs", "--drop", "row", "--drop", "site")


def test_files_are_compared(folder):
    ended = xent("compare", "--predictions", "one.csv", "both.parquet", *OPTIONS, "--json")
    assert ended.code == 0, ended.err
    document = json.loads(ended.out)
    expected = compare_predictions(Y, {"one": P, "both": Q}, "probs")
    (pair,) = document["pairs"]
    assert (pair["minuend"], pair["subtrahend"]) == ("both", "one")
    assert pair["difference"] == pytest.approx(expected.pairs[0].difference, rel=1e-9)
    assert document["data"]["classes"] == ["cat", "dog"]


def test_what_is_printed(folder):
    files = ("one.csv", "both.parquet")
    ended = xent("compare", "--predictions", *files, *OPTIONS, "--margin", "0.5")
    assert ended.code == 0, ended.err
    said = " ".join(ended.out.split())
    assert "both and one are equivalent: both - one = " in said
    assert "Differences below 0.5 nats of log loss do not matter, as given." in said
    assert max(map(len, ended.out.splitlines())) <= 80


def test_archives(folder):
    files = ("logits.npz", "log_probs.npz")
    ended = xent("compare", "--predictions", *files, "--input", "logits")
    assert ended.code == 2
    assert ended.err.startswith(
        "Error: compare: --input must be log-probs for the array 'log_probs' of log_probs.npz; "
        "got logits."
    )
    np.savez("other.npz", target=Y, logits=1.2 * Z)
    ended = xent("compare", "--predictions", "logits.npz", "other.npz", "--input", "logits",
                 "--json")  # fmt: skip
    assert ended.code == 0, ended.err
    expected = compare_predictions(Y, {"a": Z, "b": 1.2 * Z}, "logits").pairs[0].difference
    assert json.loads(ended.out)["pairs"][0]["difference"] == pytest.approx(expected)


def test_trials_of_a_run_can_be_compared_again(folder):
    study = compare("synthetic:n=300,features=2", seeds=1, epochs=5, out=folder / "run",
                    formulations="bce,ce2+smoothing=0.1")  # fmt: skip
    files = [folder / "run" / "trials" / f"{r.trials[0].key}.npz" for r in study.formulations]
    ended = xent("compare", "--predictions", *files, "--input", "log-probs", "--json")
    assert ended.code in (0, 1), ended.err
    (pair,) = json.loads(ended.out)["pairs"]
    assert pair["subtrahend"] == "bce seed 0"
    assert pair["minuend"] == "ce2+smoothing=0.1 seed 0"
    assert pair["difference"] == pytest.approx(study.pairs[0].difference, rel=1e-12)


def test_out_keeps_the_results(folder):
    files = ("one.csv", "both.parquet")
    ended = xent("compare", "--predictions", *files, *OPTIONS, "--out", "kept")
    assert ended.err == "Written: kept/report.html, results.json\n"
    kept = json.loads((folder / "kept" / "results.json").read_text())
    assert kept["pairs"]
    assert kept["asked"]["files"] == {"one": "one.csv", "both": "both.parquet"}
    assert kept["data"]["kinds"] == {"one": "probs", "both": "probs"}
    assert len(kept["data"]["fingerprint"]) == 64
    page = (folder / "kept" / "report.html").read_text(encoding="utf-8")
    assert "<code>xent compare --predictions one.csv both.parquet --input probs" in page


def test_nothing_is_cut_and_no_line_ends_in_spaces(folder):
    name = "a_model_with_a_rather_long_name.csv"
    pd.read_csv("one.csv").to_csv(name, index=False)
    ended = xent("compare", "--predictions", name, "both.parquet", *OPTIONS)
    assert "…" not in ended.out
    assert "\n\n\n" not in ended.out
    assert not [line for line in ended.out.splitlines() if line != line.rstrip()]
    assert max(map(len, ended.out.splitlines())) <= 80
    for metric in ("log loss", "Brier", "accuracy", "AUC", "ECE", "slope", "McNemar", "bootstrap"):
        assert metric in ended.out


def test_clusters_and_ids(folder):
    files = ("one.csv", "one.csv")
    pd.read_csv("one.csv").assign(p=Q).to_csv("two.csv", index=False)
    files = ("one.csv", "two.csv", "--target", "y", "--input", "probs", "--id", "row")
    ended = xent("compare", "--predictions", *files, "--groups", "site", "--json")
    assert ended.code == 0, ended.err
    document = json.loads(ended.out)
    assert document["data"]["clusters"] == len(set(pd.read_csv("one.csv")["site"]))
    assert "clusters of rows" in document["pairs"][0]["design"]


def test_rows_are_matched_by_their_names(folder):
    frame = pd.read_csv("one.csv").assign(row=[f"r{i}" for i in range(200)])
    frame.to_csv("one.csv", index=False)
    frame.assign(p=Q).to_csv("two.csv", index=False)
    frame.assign(p=Q).sample(frac=1.0, random_state=1).to_csv("shuffled.csv", index=False)
    options = ("--target", "y", "--input", "probs", "--id", "row", "--groups", "site", "--json")
    documents = []
    for other in ("two.csv", "shuffled.csv"):
        ended = xent("compare", "--predictions", "one.csv", other, *options)
        assert ended.code == 0, ended.err
        documents.append(json.loads(ended.out)["pairs"][0])
    in_order, matched = documents
    assert matched["difference"] == pytest.approx(in_order["difference"], rel=1e-12)
    assert matched["standard_error"] == pytest.approx(in_order["standard_error"], rel=1e-12)

    without = ("--target", "y", "--input", "probs", "--drop", "row,site")
    assert refused("one.csv", "shuffled.csv", *without).endswith(
        "Write the rows in the same order, or name a column of row names with --id: rows are "
        "matched by it then."
    )


def test_row_names_that_do_not_match(folder):
    frame = pd.read_csv("one.csv")
    options = ("--target", "y", "--input", "probs", "--id", "row", "--drop", "site")
    frame.assign(row=frame["row"] + 1).to_csv("later.csv", index=False)
    assert refused("one.csv", "later.csv", *options) == (
        "compare: --id must be a column with the same values in all files; got '0' in one and not "
        "in later. Write the predictions of the same rows."
    )
    frame.assign(row=frame["row"] // 2).to_csv("twice.csv", index=False)
    assert refused("one.csv", "twice.csv", *options) == (
        "compare: --id must be a column that names each row once, where files have the rows in "
        "another order; got '0' in several rows of twice. Name such a column, or write the rows in "
        "the same order."
    )
    wrong = frame.iloc[::-1]
    wrong = wrong.assign(y=np.where(wrong["row"] == 7, "cat", wrong["y"]))
    wrong = wrong.assign(y=np.where(wrong["row"] == 9, "dog", wrong["y"]))
    wrong.to_csv("wrong.csv", index=False)
    row = 7 if frame["y"][7] == "dog" else 9
    assert f"(the row called '{row}'). Correct the target" in (
        refused("one.csv", "wrong.csv", *options)
    )


def refused(*arguments):
    ended = xent("compare", "--predictions", *arguments)
    assert ended.code == 2
    return ended.err.removeprefix("Error: ").strip()


def test_what_is_refused(folder):
    files = ("one.csv", "both.parquet")
    assert refused("one.csv", *OPTIONS).startswith(
        "compare: --predictions must be followed by two files or more, one for each model; got 1."
    )
    assert refused(*files, "--target", "y").startswith(
        "compare: --input must be given with --predictions: probs, log-probs or logits; got "
        "nothing."
    )
    assert refused(*files, *OPTIONS, "--seeds", "3") == (
        "compare: --seeds must be left out with --predictions, which trains nothing; got --seeds "
        "3. Leave it out."
    )
    assert refused(*files, *OPTIONS, "--question", "procedure").startswith(
        "compare: --question procedure must be asked of models that are trained here"
    )
    assert refused(*files, "--input", "probs").startswith(
        "compare: --target must be given for one.csv: the column of true classes; got none."
    )
    assert refused(*files, "--target", "y", "--input", "probs").startswith(
        "compare: --predictions must be files with one column for each of the classes 'cat', "
        "'dog', named after it (such as p_CLASS), or for two classes a single column; got one.csv "
        "with the columns 'p', 'row', 'site'."
    )
    assert refused("one.csv", "one.csv", *OPTIONS) == (
        "compare: --predictions must be different files; got one file twice. Name each file once."
    )
    assert refused("none.csv", "one.csv", *OPTIONS).startswith(
        "compare: --predictions must be an existing file"
    )
    assert refused("none.npz", "logits.npz", "--input", "logits").startswith(
        "compare: --predictions must be existing files; got 'none.npz'."
    )
    assert refused(*files, *OPTIONS, "--positive", "cow").startswith(
        "compare: --positive must be one of the two classes 'cat', 'dog'; got 'cow'."
    )


def test_other_rows_are_refused(folder):
    frame = pd.read_csv("one.csv")
    frame.iloc[:-1].to_csv("short.csv", index=False)
    assert refused("one.csv", "short.csv", *OPTIONS).startswith(
        "compare: --predictions must be files of the same rows; got 200 rows in one and 199 in "
        "short."
    )
    first = int(np.argmax(LABELS[::-1] != LABELS))
    frame.iloc[::-1].to_csv("backwards.csv", index=False)
    assert f"(row {first}, counted from 0)" in refused("one.csv", "backwards.csv", *OPTIONS)


def test_the_positive_class_of_a_single_column(folder):
    pd.DataFrame({"y": LABELS, "p": 1 - P}).to_csv("cat.csv", index=False)
    pd.DataFrame({"y": LABELS, "p": 1 - Q}).to_csv("cat2.csv", index=False)
    ended = xent("compare", "--predictions", "cat.csv", "cat2.csv", "--target", "y", "--input",
                 "probs", "--positive", "cat", "--json")  # fmt: skip
    expected = compare_predictions(Y, {"a": P, "b": Q}, "probs").pairs[0].difference
    document = json.loads(ended.out)
    assert document["pairs"][0]["difference"] == pytest.approx(expected)
    assert document["data"]["classes"] == ["dog", "cat"]


def test_options_of_files_are_refused_without_them():
    for option in ("--input", "probs"), ("--id", "row"):
        ended = xent("compare", "sklearn:iris", *option)
        assert ended.code == 2
        assert f"{option[0]} is for --predictions alone." in ended.err
    ended = xent("compare", "a.csv", "b.csv")
    assert "Got 2 data sets, and one is compared at a time; files of predictions need " in ended.err
    ended = xent("compare", "sklearn:iris", "--margin", "much")
    assert "'much' is neither a number of nats nor the word skill." in ended.err

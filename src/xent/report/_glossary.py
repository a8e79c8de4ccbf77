"""The words that a reader of the first page may not know, each in a sentence."""

from __future__ import annotations

from xent.report._run import Run


def words(run: Run) -> list[tuple[str, str]]:
    """The words that this page uses, with what they mean."""
    several = len(run.pairs) > 1
    holm = (
        "Holm",
        "An adjustment of p-values for the number of pairs: without it, one of many pairs would "
        "soon seem different by chance.",
    )
    return [
        (
            "log loss",
            "Minus the mean logarithm of the probability given to the class that came true, in "
            "nats: natural logarithms. Lower is better.",
        ),
        (
            "CI",
            "Confidence interval: made so that, at 95 %, 95 of 100 such intervals hold the true "
            "difference.",
        ),
        (
            "margin",
            "The largest difference in log loss that is taken not to matter. It is fixed before "
            "the test rows are looked at.",
        ),
        (
            "TOST",
            "Two one-sided tests, whether the difference is smaller than the margin. A small p is "
            "evidence of equivalence, where a large p of the other test is evidence of nothing.",
        ),
        *([holm] if several else []),
        (
            "skill",
            "How far a log loss is below that of predicting every row the same: the class shares "
            "of the training part (the class prior).",
        ),
        (
            "Brier",
            "The mean squared error of the probabilities.",
        ),
        (
            "AUC",
            "The chance that a row of a class gets a higher probability of it than a row of "
            "another.",
        ),
        (
            "ECE",
            "Expected calibration error: how far probabilities are from what came true, over "
            "groups of rows; the noise floor is what chance alone makes of it.",
        ),
        (
            "slope",
            "What log-odds have to be multiplied by to fit the test rows: 1 is right, below 1 is "
            "too sure, above 1 not sure enough.",
        ),
    ]  # fmt: skip

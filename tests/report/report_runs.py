"""Results of runs that nobody ran: every value is set by hand, so that tests know what to find."""

from __future__ import annotations

import numpy as np

ROWS = 200
EPOCHS = 30


def aggregate(mean, se=None):
    return {"mean": mean, "se": se}


def scores_of(log_loss):
    return {
        "rows": ROWS, "log_loss": log_loss, "log_loss_se": 0.01, "brier": 0.2, "brier_se": 0.004,
        "accuracy": 0.7, "accuracy_interval": [0.63, 0.76], "auc": 0.75, "ece": 0.03,
        "ece_of": "positive class", "ece_noise_floor": 0.04,
        "recalibration": {
            "slope": 1.02, "slope_se": 0.1, "intercepts": [0.01], "intercept_ses": [0.02],
        },
        "infinite_rows": 0,
    }  # fmt: skip


def trial_of(name, seed, log_loss):
    curve = [log_loss + 0.3 / epoch for epoch in range(1, EPOCHS + 1)]
    return {
        "key": f"{name}-{seed}", "seed": seed, "split": None, "status": "finished",
        "diverged_at_epoch": None, "test": scores_of(log_loss), "recovered": None,
        "train_curve": curve, "validation_curve": [value + 0.01 for value in curve],
    }  # fmt: skip


def parameter_of(feature, mean, log_odds="yes", against="no"):
    return {
        "log_odds": log_odds, "against": against, "feature": feature, "mean": mean, "sd": 0.01,
        "standard_error": 0.1, "estimate": mean + 0.02, "estimate_se": 0.11, "truth": mean + 0.05,
    }  # fmt: skip


def formulation_of(name, losses):
    mean = sum(losses) / len(losses)
    spread = {"median": 0.002, "lower": 0.0015, "upper": 0.003, "repeats": 50}
    metrics = {"log_loss": mean, "brier": 0.2, "accuracy": 0.7, "auc": 0.75, "ece": 0.03,
               "ece_noise_floor": 0.04, "slope": 1.02, "slope_se": 0.1, "intercept": 0.01,
               "intercept_se": 0.02}  # fmt: skip
    return {
        "description": f"the {name} formulation",
        "status": "finished",
        "model_parameters": 4,
        "fit_seconds": 0.25,
        "over_seeds": {metric: aggregate(value, 0.001) for metric, value in metrics.items()},
        "recovered": None,
        "intervals": {
            "log_loss": {"metric": "log_loss", "value": mean, "low": mean - 0.02,
                         "high": mean + 0.02, "level": 0.95, "method": "t over rows"},
        },
        "timings": {"step": spread, "data": None, "evaluation": spread, "loss": spread},
        "parameters": [parameter_of(f, m) for f, m in
                       (("age", 0.5), ("height", -1.25), ("(intercept)", 0.1))],
        "parameters_note": "",
        "trials": [trial_of(name, seed, loss) for seed, loss in enumerate(losses)],
    }  # fmt: skip


def pair_of(minuend, subtrahend, difference, verdict="equivalent", margin=0.01):
    error = 0.002
    return {
        "minuend": minuend, "subtrahend": subtrahend, "metric": "log_loss",
        "question": "procedure", "design": "crossed t over 200 rows and 3 seeds, 12.5 degrees",
        "difference": difference, "standard_error": error, "degrees": 12.5, "level": 0.95,
        "interval": [difference - 2 * error, difference + 2 * error], "p_difference": 0.31,
        "p_holm": 0.62, "margin": margin, "p_equivalence": 0.0004, "verdict": verdict,
        "needed": None, "needed_unit": None, "largest_probability_gap": 0.1, "checks": [],
        "sentence": f"{minuend} and {subtrahend} are {verdict}.",
    }  # fmt: skip


def make_results(names=("bce", "ce1", "ce2"), seeds=3):
    """The results of a run of these formulations, in the form of ``results.json``."""
    losses = {
        name: [0.6 + 0.01 * i + 0.002 * seed for seed in range(seeds)]
        for i, name in enumerate(names)
    }
    pairs = [
        pair_of(later, earlier, 0.001 * (j - i))
        for i, earlier in enumerate(names)
        for j, later in enumerate(names)
        if j > i
    ]
    return {
        "schema_version": "1.1",
        "status": "finished",
        "trials": {"finished": seeds * len(names), "planned": seeds * len(names)},
        "environment": {"xent": "0.1.0", "python": "3.12.0", "torch": "2.11.0", "device": "cpu",
                        "threads": 2, "native_extension": True},
        "spec": {
            "data": {"source": "people.csv", "target": "y", "test": 0.2, "validation": 0.1,
                     "stratify": True, "group": None, "weight": None, "positive": None,
                     "classes": [], "drop": ["id"], "split_seed": 0, "standardize": True},
            "formulations": list(names),
            "seeds": list(range(seeds)),
            "model": {"kind": "linear", "widths": [], "head": None, "factory": None},
            "training": {"optimizer": "adam", "learning_rate": 0.05, "epochs": EPOCHS,
                         "batch_size": None, "momentum": 0.0, "weight_decay": 0.0,
                         "protocol": "as-written", "converge": False, "gradient_norm": 1e-9,
                         "device": "cpu", "dtype": "float32"},
            "splits": 1, "question": None, "margin": 0.01, "level": 0.95,
        },
        "data": {"name": "people.csv", "rows": {"train": 700, "validation": 100, "test": ROWS},
                 "features": ["age", "height"], "standard_deviations": [2.0, 10.0],
                 "classes": ["no", "yes"], "notes": ["'id' was dropped"],
                 "fingerprint": "f1f2f3"},
        "baselines": {"prior_log_loss": 0.69, "majority": 0.55, "entropy_floor": 0.58,
                      "true_log_loss": 0.585, "likelihood_log_loss": 0.59},
        "maximum_likelihood": {"status": "maximum", "message": "", "exists": True,
                               "train_log_loss": 0.59},
        "formulations": {name: formulation_of(name, own) for name, own in losses.items()},
        "question": "procedure",
        "margin": {"value": 0.01, "words": "Differences below 0.01 nats do not matter.",
                   "source": "given"},
        "pairs": pairs,
        "rules": ["Question: do the training procedures differ?", "Level 95 %: the rule.",
                  "Test: crossed t."],
        "findings": [],
        "seconds": 1.5,
    }  # fmt: skip


def predictions_of(key):
    """Calibrated predictions of 200 rows, the same for every trial."""
    random = np.random.default_rng(5)
    p = random.uniform(0.05, 0.95, ROWS)
    return {
        "log_probabilities": np.log(np.column_stack([1 - p, p])),
        "target": (random.random(ROWS) < p).astype(np.int64),
        "row_ids": np.arange(ROWS),
    }

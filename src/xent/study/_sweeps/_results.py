"""A sweep as JSON values, by the schema in ``sweep.schema.json``."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

from xent.study._comparison import Comparison
from xent.study._show._results import finding_values, pair_values, plain, schema
from xent.study._spec import canonical
from xent.study._sweeps._sweep import AtBest, Cell, Sweep

SCHEMA_VERSION = "1.0"


def sweep_schema() -> dict[str, Any]:
    """The JSON Schema of ``sweep.json``; pairs are those of ``results.json``.

    >>> sweep_schema()["properties"]["schema_version"]
    {'const': '1.0'}
    """
    text = files("xent.study").joinpath("sweep.schema.json").read_text(encoding="utf-8")
    loaded: dict[str, Any] = json.loads(text)
    shared: Any = schema()["$defs"]
    names = ("pair", "check", "margin", "finding")
    return loaded | {"$defs": {name: shared[name] for name in names}}


def sweep_results(sweep: Sweep) -> dict[str, object]:
    """The whole sweep as JSON values."""
    spec, study = sweep.spec, sweep.spec.study
    return plain(
        {
            "schema_version": SCHEMA_VERSION,
            "status": sweep.status,
            "trials": {"finished": sweep.done, "planned": sweep.planned},
            "spec": {
                "data": {name: canonical(data) for name, data in spec.data.items()},
                "models": {name: canonical(model) for name, model in spec.models.items()},
                "learning_rates": list(spec.learning_rates),
                "formulations": [canonical(each) for each in study.formulations],
                "seeds": list(study.seeds),
                "splits": study.splits,
                "training": _training(sweep),
                "question": study.question,
                "margin": study.margin,
                "level": study.level,
            },
            "cells": [_cell(cell) for cell in sweep.cells],
            "chosen_on": "validation rows" if len(spec.learning_rates) > 1 else None,
            "best": [_at_best(each) for each in sweep.best],
            "over_data_sets": [
                vars(each) | {"pairs": [vars(pair) for pair in each.pairs]}
                for each in sweep.over_data_sets
            ],
            "seconds": sweep.seconds,
        }
    )


def _training(sweep: Sweep) -> dict[str, object]:
    options = canonical(sweep.spec.study.training)
    assert isinstance(options, dict)
    return {name: value for name, value in options.items() if name != "learning_rate"}


def _cell(cell: Cell) -> dict[str, object]:
    results = cell.results
    return {
        "data": cell.data,
        "model": cell.model,
        "learning_rate": cell.learning_rate,
        "folder": cell.folder,
        "status": results["status"],
        "log_losses": {
            name: _best_loss(result) for name, result in results["formulations"].items()
        },
        "question": results["question"],
        "margin": results["margin"],
        "pairs": results["pairs"],
    }


def _best_loss(result: dict[str, Any]) -> object:
    recovered = result["recovered"]
    return result["log_loss"] if recovered is None else recovered["log_loss"]["mean"]


def _at_best(each: AtBest) -> dict[str, object]:
    comparison: Comparison = each.comparison
    return {
        "data": each.data,
        "model": each.model,
        "formulations": {name: vars(choice) for name, choice in each.choices.items()},
        "notes": list(each.notes),
        "question": comparison.question,
        "margin": None if comparison.margin is None else vars(comparison.margin),
        "pairs": [pair_values(pair) for pair in comparison.pairs],
        "findings": [finding_values(found) for found in comparison.findings],
    }

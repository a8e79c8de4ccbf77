"""A comparison of predictions as JSON values, in the manner of ``results.json``."""

from __future__ import annotations

from typing import Any

from xent.scoring import Calibration
from xent.study._predictions._compare import PredictionComparison
from xent.study._show._results import (
    SCHEMA_VERSION,
    finding_values,
    interval_values,
    pair_values,
    plain,
    schema,
    score_values,
)

# What tells the document from that of a study, which has a schema of its own.
SCHEMA = f"urn:xent:predictions:{SCHEMA_VERSION}"


def prediction_results(comparison: PredictionComparison) -> dict[str, object]:
    """The whole comparison as JSON values; a number that is not finite is null."""
    return plain(
        {
            "schema": SCHEMA,
            "schema_version": SCHEMA_VERSION,
            "status": "finished" if comparison.ok else "failed",
            "environment": dict(comparison.environment),
            "data": {
                "rows": comparison.rows,
                "classes": list(comparison.class_names),
                "clusters": comparison.clusters,
                "weighted": comparison.weighted,
                "kinds": dict(comparison.kinds),
                "fingerprint": comparison.fingerprint,
            },
            "asked": dict(comparison.asked),
            "level": comparison.level,
            "question": "fitted",
            "margin": vars(comparison.margin),
            "predictions": {
                name: {
                    "scores": score_values(scores),
                    "intervals": interval_values(comparison.intervals[name]),
                    "reliability": _reliability(scores.calibration),
                }
                for name, scores in comparison.scores.items()
            },
            "pairs": [pair_values(pair) for pair in comparison.pairs],
            "rules": list(comparison.reading[len(comparison.pairs) + 1 :]),
            "findings": [finding_values(found) for found in comparison.findings],
        }
    )


def _reliability(groups: Calibration) -> dict[str, object]:
    return {
        "of": groups.of,
        "predicted": groups.probability,
        "observed": groups.observed,
        "weight": groups.weight,
    }


def prediction_schema() -> dict[str, object]:
    """The JSON Schema of ``PredictionComparison.to_dict()``, of parts of that of a study.

    >>> prediction_schema()["$id"]
    'urn:xent:predictions:1.1'
    """
    study: dict[str, Any] = schema()
    shared = ("question", "margin", "pairs", "rules", "findings")
    numbers = {"type": "array", "items": {"type": "number"}}
    reliability = {
        "of": {"type": "string"},
        "predicted": numbers,
        "observed": numbers,
        "weight": numbers,
    }
    one = {
        "scores": {"$ref": "#/$defs/scores"},
        "intervals": study["$defs"]["formulation"]["properties"]["intervals"],
        "reliability": _object(reliability),
    }
    data = {
        "rows": {"type": "integer"},
        "classes": {"type": "array", "items": {"type": "string"}},
        "clusters": {"type": ["integer", "null"]},
        "weighted": {"type": "boolean"},
        "kinds": {"type": "object", "additionalProperties": {"type": "string"}},
        "fingerprint": {"type": "string"},
    }
    properties = {
        "schema": {"const": SCHEMA},
        "schema_version": {"const": SCHEMA_VERSION},
        "status": {"enum": ["finished", "failed"]},
        "environment": {"type": "object", "additionalProperties": {"type": "string"}},
        "data": _object(data),
        "asked": {
            "type": "object",
            "description": "The files by name and the options of the command line; empty where "
            "the predictions came from Python.",
        },
        "level": {"type": "number"},
        "predictions": {"type": "object", "additionalProperties": _object(one)},
        **{name: study["properties"][name] for name in shared},
    }
    return {
        "$schema": study["$schema"],
        "$id": SCHEMA,
        "title": "xent comparison of predictions",
        **_object(properties),
        "$defs": {
            name: study["$defs"][name]
            for name in ("scores", "metric_interval", "margin", "pair", "check", "finding")
        },
    }


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }

"""What was done, in words, and what it takes to do it again."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from typing import Any

from xent.report._numbers import significant
from xent.report._run import Json, Run

# The options of xent compare that are left out of the command where they are what they would be.
DEFAULTS: dict[str, Any] = {
    "target": None, "test": 0.2, "validation": 0.1, "stratify": True, "group": None,
    "groups": None, "weight": None, "positive": None, "classes": [], "drop": [], "split_seed": 0,
    "standardize": True, "kind": "linear", "widths": [], "head": None, "optimizer": "adam",
    "learning_rate": 0.1, "epochs": 50, "batch_size": None, "momentum": 0.0, "weight_decay": 0.0,
    "protocol": "as-written", "converge": False, "gradient_norm": 1e-9, "device": "cpu",
    "dtype": "float32", "splits": 1, "question": None, "margin": None, "level": 0.95,
}  # fmt: skip
OPTIONS = {"kind": "model", "identity": "id"}
MOST_NOTES = 12
_BUILT_IN = re.compile(r"(bce|ce1|ce2|ce|ovr)(\+[a-z]+=[\w.:-]+)*")
_FILE_OR_NAMED = re.compile(
    r"(sklearn|synthetic):.+|bce-versus-ce|.+\.(csv|tsv|txt|npz|parquet|gz)", re.IGNORECASE
)


def methods(run: Run) -> list[tuple[str, list[str]]]:
    """What was done: a word and what there is to say of it each."""
    steps = [
        ("Data", [_data(run)]),
        ("Files", _files(run)),
        ("Preparation", _preparation(run)),
        ("Split", [_split(run)]),
        ("Model and training", [_training(run)]),
        ("Pairing", [_pairing(run)]),
        ("Scoring", [AS_THEY_ARE if run.elsewhere else SCORING]),
        ("Test", [_test(run)]),
        *_rules(run),
    ]
    said = [(word, list(filter(None, sentences))) for word, sentences in steps]
    return [(word, sentences) for word, sentences in said if sentences]


AS_THEY_ARE = (
    "Predictions are scored as they are: nothing is normalised, clipped or guessed. They were made "
    "elsewhere, so nothing is known here of data, models or training."
)
SCORING = (
    "Outputs become probabilities by the link that belongs to each loss and are scored as they "
    "are, without clipping. Where a loss distorts probabilities (focal, smoothed or weighted), "
    "they are recovered first and those are compared."
)
MANY = (
    "p-values of a difference are adjusted by Holm’s method over all pairs. That every pair is "
    "equivalent needs no adjustment, for each has to be."
)


def _data(run: Run) -> str:
    rows = run.data.get("rows") or {}
    if not rows:
        return ""
    counts = ", ".join(f"{count:,} {part}" for part, count in rows.items())
    features, classes = run.data.get("features") or (), run.data.get("classes") or ()
    of = f"; {len(features):,} feature{'s' * (len(features) != 1)}" if features else ""
    clusters = run.data.get("clusters")
    of += f" in {clusters:,} clusters" if clusters else ""
    of += "; weighted" if run.data.get("weighted") else ""
    return f"{counts} rows{of}; {len(classes)} classes."


def _files(run: Run) -> list[str]:
    """Where predictions that were made elsewhere come from, and what their numbers are."""
    kinds = run.data.get("kinds") or {}
    files = (run.results.get("asked") or {}).get("files") or {}
    if files:
        return [f"{name}: {file}, {kinds.get(name, 'probs')}" for name, file in files.items()]
    return [f"{name}: an array of {kind}, given in Python" for name, kind in kinds.items()]


def _preparation(run: Run) -> list[str]:
    notes = [str(note) for note in run.data.get("notes") or ()]
    more = [f"{len(notes) - MOST_NOTES} more in results.json"] if len(notes) > MOST_NOTES else []
    return [*notes[:MOST_NOTES], *more]


def _split(run: Run) -> str:
    data, splits = run.spec("data"), (run.results.get("spec") or {}).get("splits", 1)
    if not data:
        return ""
    kept = [
        "the classes keep their shares" if data.get("stratify") else "",
        "rows that share a group stay together" if data.get("group") else "",
    ]
    how = " and ".join(filter(None, kept))
    if splits == "5x2":
        words = "Five times two halves of the rows, drawn anew"
    elif isinstance(splits, int) and splits > 1:
        words = f"{splits} splits of the rows, each drawn anew"
    else:
        words = f"One split, decided by split seed {data.get('split_seed', 0)}"
    return f"{words}{'; ' * bool(how)}{how}."


def _training(run: Run) -> str:
    training, model = run.spec("training"), run.spec("model")
    if not training:
        return ""
    kind = str(model.get("kind", "model"))
    widths = model.get("widths") or ()
    kind += f" of widths {', '.join(map(str, widths))}" if widths else ""
    if training.get("converge"):
        norm = significant(training.get("gradient_norm"))
        return f"{kind}: Newton’s method in float64 to a gradient norm of {norm}."
    size = training.get("batch_size")
    batch = "the full batch" if size is None else f"batches of {size}"
    decay = training.get("weight_decay")
    penalty = f", weight decay {significant(decay)}" if decay else ""
    protocol = (
        "steps matched in log-odds"
        if training.get("protocol") == "matched"
        else "the same settings for every formulation, as written"
    )
    return (
        f"{kind}: {training.get('epochs')} epochs of {training.get('optimizer')} at "
        f"{significant(training.get('learning_rate'))}{penalty}, {batch}, "
        f"{training.get('dtype')}; {protocol}."
    )


def _pairing(run: Run) -> str:
    seeds = (run.results.get("spec") or {}).get("seeds") or ()
    if not seeds or not run.spec("training"):
        return ""
    words = f"{len(seeds)} seed{'s' * (len(seeds) != 1)}"
    return (
        f"{words} ({_ranges(seeds)}). Formulations share split, order of batches and, mapped into "
        "each parametrisation, the starting point; differences are taken row by row."
    )


def _test(run: Run) -> str:
    """The design of the pairs, once; their numbers of degrees of freedom are in the table."""
    rules = run.results.get("rules") or ()
    if len(rules) > 2:
        words = " ".join(map(str, rules[2:])).removeprefix("Test: ")
        return words[:1].upper() + words[1:]
    designs = {re.sub(r"[\d.]+", "", design): design for design in _designs(run)}
    sentences = [design[:1].upper() + design[1:].rstrip(".") + "." for design in designs.values()]
    if len(set(_designs(run))) > len(sentences):
        sentences.append("Other pairs have degrees of freedom of their own: see the numbers.")
    return " ".join(sentences)


def _designs(run: Run) -> list[str]:
    return [str(pair["design"]) for pair in run.pairs if pair.get("design")]


def _rules(run: Run) -> list[tuple[str, list[str]]]:
    """How a verdict came about: the rule as it was printed, and what equivalence takes."""
    if not run.pairs:
        return []
    rules = [str(rule) for rule in run.results.get("rules") or ()]
    level = run.pairs[0].get("level") or 0.95
    words = (
        "Two one-sided tests (TOST) against the margin, on the same standard error and degrees of "
        f"freedom, each at {1 - level:.2g}. A p-value above it is no evidence of equality; only "
        "this test can show that a difference is too small to matter."
    )
    many = [MANY] if len(run.pairs) > 1 else []
    return [("Rule", rules[1:2]), ("Equivalence", [words]), ("Many pairs", many)]


def _ranges(numbers: list[int]) -> str:
    """Whole numbers, runs of them shortened.

    >>> _ranges([0, 1, 2, 5])
    '0–2, 5'
    """
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ", ".join(str(r[0]) if len(r) == 1 else f"{r[0]}–{r[-1]}" for r in runs)


def command(run: Run) -> str:
    """The command that runs it again, or empty where no command can."""
    if run.elsewhere:
        return _command_for_files(run.results.get("asked") or {})
    spec: Json = run.results.get("spec") or {}
    data, model = run.spec("data"), run.spec("model")
    source = str(data.get("source", ""))
    if not _FILE_OR_NAMED.fullmatch(source) or model.get("factory"):
        return ""
    seeds, names = list(spec.get("seeds") or ()), list(spec.get("formulations") or run.names)
    if seeds != list(range(len(seeds))) or not all(map(_BUILT_IN.fullmatch, names)):
        return ""
    parts = ["xent", "compare", source, "--formulations", ",".join(names)]
    parts += [] if spec.get("splits", 1) != 1 else ["--seeds", str(len(seeds))]
    asked = {key: spec.get(key) for key in ("splits", "question", "margin", "level")}
    margin = run.results.get("margin") or {}
    if margin.get("source") == "given":
        asked["margin"] = margin.get("value")
    for part in (data, model, run.spec("training"), asked):
        for key, value in part.items():
            parts += _option(key, value)
    return " ".join(shlex.quote(part) for part in parts)


def _command_for_files(asked: Json) -> str:
    """The command that compared files of predictions; empty for arrays from Python."""
    if not asked.get("files"):
        return ""
    parts = ["xent", "compare", "--predictions", *asked["files"].values()]
    for key, value in asked.items():
        if key != "files":
            parts += _given(OPTIONS.get(key, key), value)
    return " ".join(shlex.quote(part) for part in parts)


def why_no_command(run: Run) -> str:
    """What to do where no command line can run it again."""
    if run.elsewhere:
        return "The predictions came from Python: call xent.compare_predictions with the same ones."
    return (
        "No command line can: data, model, formulations or seeds came from Python. Call "
        "xent.compare with the same arguments."
    )


def _option(key: str, value: Any) -> Iterator[str]:
    if key not in DEFAULTS or value is None or value == DEFAULTS[key]:
        return
    name = OPTIONS.get(key, key).replace("_", "-")
    if value is True:
        yield f"--{name}"
    elif value is False:
        yield f"--no-{name}"
    else:
        yield from _given(name, value)


def _given(name: str, value: Any) -> Iterator[str]:
    """An option and its value; a list by commas, one by one where a name has a comma itself."""
    several = [str(each) for each in value] if isinstance(value, list) else [str(value)]
    if not any("," in each for each in several):
        several = [",".join(several)]
    for each in several:
        yield f"--{name}"
        yield each


def facts(run: Run) -> list[tuple[str, str]]:
    """Versions and what else a repetition depends on."""
    environment = dict(run.results.get("environment") or {})
    native = environment.pop("native_extension", None)
    found = [(str(key), str(value)) for key, value in environment.items()]
    if native is not None:
        found.append(("native extension", "yes" if native else "no"))
    fingerprint = run.data.get("fingerprint")
    if fingerprint:
        found.append(("data fingerprint", str(fingerprint)))
    total = run.results.get("seconds")
    if total is not None:
        found.append(("seconds in all", significant(total)))
    return found

"""What a sweep is asked to do: a TOML file or a mapping, with the names of ``xent compare``."""

from __future__ import annotations

import difflib
import math
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from os import PathLike, fspath
from pathlib import Path
from typing import Any

from xent._errors import InputError
from xent.study._data._columns import one_line, quoted
from xent.study._data._dataset import STUDY, DataSpec
from xent.study._spec import StudySpec, default_seeds
from xent.study._training._models import ModelSpec
from xent.study._training._stacks import TrainingSpec


@dataclass(frozen=True)
class SweepSpec:
    """A grid of studies: every data set with every model at every learning rate.

    Args:
        data: the data sets by their names, all different.
        models: the models by their names.
        learning_rates: ascending.
        study: everything else; its data, model and learning rate are those of the first cell.
        out: folder to keep everything in, or None.
        jobs: processes to train in.
    """

    data: dict[str, DataSpec]
    models: dict[str, ModelSpec]
    learning_rates: tuple[float, ...]
    study: StudySpec
    out: Path | None = None
    jobs: int = 1

    def cell(self, data: str, model: str, learning_rate: float) -> StudySpec:
        """The study of one cell."""
        training = replace(self.study.training, learning_rate=learning_rate)
        return replace(
            self.study, data=self.data[data], model=self.models[model], training=training
        )


def read_sweep(study: str | PathLike[str] | Mapping[str, Any]) -> SweepSpec:
    """Read and check a sweep.

    Args:
        study: the path of a TOML file, whose relative paths are relative to its folder; or the
            same as a mapping, whose paths are relative to the current folder.

    Raises:
        InputError: in one line, what is wrong with it.

    >>> sweep = read_sweep({"data": "sklearn:iris", "learning-rate": [0.1, 0.01]})
    >>> sweep.learning_rates, list(sweep.models)
    ((0.01, 0.1), ['linear'])
    """
    if isinstance(study, Mapping):
        return _Reader("sweep", Path()).sweep(study)
    path = Path(fspath(study))
    required = "a TOML file that can be read"
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        reason = f"{str(path)!r} ({error.strerror or error})"
        raise InputError("compare: DATA", required, reason, "Check the path.") from error
    except ValueError as error:
        reason = one_line(f"{path.name} ({error})")
        raise InputError("compare: DATA", required, reason, "Correct that place.") from error
    return _Reader(path.name, path.parent).sweep(document)


Check = tuple[Callable[[object], bool], str]


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_text(value: object) -> bool:
    return isinstance(value, str) and value != ""


def _is_texts(value: object) -> bool:
    return _is_text(value) or (isinstance(value, list | tuple) and all(map(_is_text, value)))


def _is_counts(value: object) -> bool:
    return isinstance(value, list | tuple) and all(map(_is_count, value))


_TEXT: Check = (_is_text, "text in quotes")
_TEXTS: Check = (_is_texts, "a list of names, or one text with commas")
_COUNT: Check = (_is_count, "a whole number")
_NUMBER: Check = (_is_number, "a finite number")
_SWITCH: Check = (lambda value: isinstance(value, bool), "true or false")
_COUNT_OR_TEXT: Check = (lambda v: _is_count(v) or _is_text(v), "a whole number, or text in quotes")
_NUMBER_OR_TEXT: Check = (lambda v: _is_number(v) or _is_text(v), "a number, or text in quotes")
_COUNTS: Check = (_is_counts, "a list of whole numbers")

# By the annotation of the field that takes the value.
_CHECKS: dict[str, Check] = {
    "str": _TEXT, "str | None": _TEXT, "tuple[str, ...]": _TEXTS, "int": _COUNT,
    "int | None": _COUNT, "float": _NUMBER, "float | None": _NUMBER, "bool": _SWITCH,
    "int | str": _COUNT_OR_TEXT, "float | str": _NUMBER_OR_TEXT, "tuple[int, ...]": _COUNTS,
}  # fmt: skip


def _checks_of(owner: type, *without: str) -> dict[str, Check]:
    return {f.name: _CHECKS[str(f.type)] for f in fields(owner) if f.name not in without}


_DATA = _checks_of(DataSpec, "source")
_MODEL = _checks_of(ModelSpec, "factory", "kind")
_TRAINING = _checks_of(TrainingSpec, "learning_rate")
_STUDY: dict[str, Check] = {
    "formulations": _TEXTS, "seeds": _COUNT, "splits": _COUNT_OR_TEXT, "question": _TEXT,
    "margin": _NUMBER, "level": _NUMBER,
}  # fmt: skip
_RUN: dict[str, Check] = {"out": _TEXT, "jobs": _COUNT}
_GRID = ("data", "model", "learning_rate")
_OTHER_NAMES = {"lr": "learning_rate"}
# What names the columns of a table, or a file with the same ones. Built-in data have columns of
# their own, so that beside the data these hold for files only, where there are any.
_OF_FILES = ("target", "group", "groups", "weight", "drop")


class _Reader:
    """Reads one document: ``name`` is how messages call it, ``folder`` where its paths begin."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.folder = folder

    def sweep(self, document: Mapping[str, Any]) -> SweepSpec:
        """The whole document."""
        options = self._options(document, {**_DATA, **_MODEL, **_TRAINING, **_STUDY, **_RUN}, _GRID)
        if "data" not in options:
            raise self._refuse(
                "data", "given: one source or a list", "nothing", 'Add data = "sklearn:iris".'
            )
        data = self._data(options)
        models = self._models(options)
        rates = self._learning_rates(options.get("learning_rate", TrainingSpec.learning_rate))
        training = TrainingSpec(learning_rate=rates[0], **_taken(options, _TRAINING))
        splits = options.get("splits", 1)
        study = StudySpec(
            data=next(iter(data.values())),
            formulations=_names(options.get("formulations", ())),
            seeds=tuple(range(options["seeds"])) if "seeds" in options else default_seeds(splits),
            model=next(iter(models.values())),
            training=training,
            splits=splits,
            **_taken(options, ("question", "margin", "level")),
        )
        jobs = options.get("jobs", 1)
        if jobs < 1:
            raise self._refuse("jobs", "at least 1", str(jobs), "Leave it out.")
        spec = SweepSpec(data, models, rates, study, self._out(options), jobs)
        self._check_choice(spec)
        return spec

    def _data(self, options: Mapping[str, Any]) -> dict[str, DataSpec]:
        shared = _taken(options, _DATA)
        built_in = {key: value for key, value in shared.items() if not _is_of_files(key, value)}
        entries = [
            self._table("data", entry, "source", {**_DATA, "name": _TEXT})
            for entry in self._list("data", options["data"])
        ]
        files = any(self._is_file(own["source"]) for own in entries)
        named: dict[str, DataSpec] = {}
        for own in entries:
            source = self._path(own.pop("source"))
            name = own.pop("name", Path(source).name if self._is_file(source) else source)
            given = {**(built_in if files and not self._is_file(source) else shared), **own}
            for names in ("classes", "drop"):
                if names in given:
                    given[names] = _names(given[names])
            if isinstance(given.get("test"), str):
                given["test"] = self._path(given["test"])
            self._add("data", named, name, DataSpec(source=source, **given))
        return named

    def _models(self, options: Mapping[str, Any]) -> dict[str, ModelSpec]:
        named: dict[str, ModelSpec] = {}
        shared = _taken(options, _MODEL)
        for entry in self._list("model", options.get("model", ModelSpec.kind)):
            own = self._table("model", entry, "kind", {**_MODEL, "name": _TEXT})
            kind, name = own.pop("kind"), own.pop("name", None)
            # Widths beside the models are of those that have widths, and likewise the head.
            fitting = {
                key: value
                for key, value in shared.items()
                if (key == "widths") == (kind == "mlp") and kind != "linear"
            }
            given = {**fitting, **own}
            widths = tuple(given.pop("widths", ()))
            words = f"{kind} {','.join(map(str, widths))}".strip()
            self._add("model", named, name or words, ModelSpec(kind, widths, **given))
        for option in shared:
            if not any(getattr(model, option) for model in named.values()):
                raise self._refuse(
                    option, "given with a model that has it", f"models {', '.join(named)}",
                    "Leave it out.",
                )  # fmt: skip
        return named

    def _learning_rates(self, given: object) -> tuple[float, ...]:
        rates = self._list("learning-rate", given)
        for rate in rates:
            self._check("learning-rate", rate, _NUMBER)
        if len({float(rate) for rate in rates}) < len(rates):
            raise self._refuse("learning-rate", "different numbers", str(rates), "Name each once.")
        return tuple(sorted(map(float, rates)))

    def _check_choice(self, spec: SweepSpec) -> None:
        """Learning rates are chosen on validation rows, so that there must be some."""
        if len(spec.learning_rates) == 1:
            return
        if spec.study.training.converge:
            raise self._refuse(
                "learning-rate", "one number with converge, which takes no steps of it",
                str(list(spec.learning_rates)), "Leave one of them out.",
            )  # fmt: skip
        for name, data in spec.data.items():
            if data.validation == 0 or data.source == STUDY:
                raise self._refuse(
                    "learning-rate",
                    "one number for data without validation rows, on which the best is chosen",
                    f"{list(spec.learning_rates)} for {quoted(name)}",
                    "Give validation = 0.1, or one learning rate.",
                )

    def _options(
        self, given: Mapping[str, Any], checks: Mapping[str, Check], more: Sequence[str] = ()
    ) -> dict[str, Any]:
        """Options by the names of their fields, each of its type."""
        options: dict[str, Any] = {}
        for key, value in given.items():
            name = str(key).replace("-", "_")
            name = _OTHER_NAMES.get(name, name)
            if name not in checks and name not in more:
                raise self._unknown(str(key), [*checks, *more])
            if name in options:
                raise self._refuse(_written(name), "given once", "two spellings of it", "Keep one.")
            if name in checks:
                self._check(_written(name), value, checks[name])
            takes_fractions = checks.get(name) in (_NUMBER, _NUMBER_OR_TEXT)
            options[name] = float(value) if takes_fractions and _is_number(value) else value
        return options

    def _table(
        self, option: str, entry: object, key: str, checks: Mapping[str, Check]
    ) -> dict[str, Any]:
        """One data set or model: a text, or a table with that key and options of its own."""
        if isinstance(entry, Mapping):
            table = self._options(entry, {**checks, key: _TEXT})
            if key not in table:
                raise self._refuse(f"{option}: {key}", "given", "nothing", f'Add {key} = "...".')
            return table
        self._check(option, entry, _TEXT)
        return {key: entry}

    def _list(self, option: str, given: object) -> list[Any]:
        entries = list(given) if isinstance(given, list | tuple) else [given]
        if not entries:
            raise self._refuse(option, "one or more", "none", "Add one, or leave the key out.")
        return entries

    def _check(self, option: str, value: object, check: Check) -> None:
        fits, words = check
        if not fits(value):
            found = one_line(f"{value!r} of type {type(value).__name__}")
            raise self._refuse(option, words, found, "Correct the value.")

    def _add(self, option: str, named: dict[str, Any], name: str, value: object) -> None:
        if name in named:
            raise self._refuse(
                option, "entries of different names", f"{quoted(name)} twice",
                "Give one of them another name with name = \"...\".",
            )  # fmt: skip
        named[name] = value

    def _is_file(self, source: str) -> bool:
        return source.lower().removesuffix(".gz").endswith((".csv", ".tsv", ".parquet", ".npz"))

    def _path(self, source: str) -> str:
        return str(self.folder / source) if self._is_file(source) else source

    def _out(self, options: Mapping[str, Any]) -> Path | None:
        return self.folder / options["out"] if "out" in options else None

    def _unknown(self, key: str, known: Iterable[str]) -> InputError:
        names = [_written(name) for name in known]
        near = difflib.get_close_matches(_written(key.lower()), names, n=1)
        hint = f"Did you mean {near[0]!r}?" if near else f"The keys are {', '.join(sorted(names))}."
        return self._refuse("key", "an option of xent compare", quoted(key), hint)

    def _refuse(self, option: str, required: str, found: str, repair: str) -> InputError:
        return InputError(f"{self.name}: {option}", required, found, repair)


def _is_of_files(option: str, value: object) -> bool:
    return option in _OF_FILES or (option == "test" and isinstance(value, str))


def _written(name: str) -> str:
    return name.replace("_", "-")


def _taken(options: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    return {name: options[name] for name in names if name in options}


def _names(given: str | Sequence[str]) -> tuple[str, ...]:
    parts = given.split(",") if isinstance(given, str) else given
    return tuple(part.strip() for part in parts if part.strip())

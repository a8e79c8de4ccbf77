"""Reads one file with all that it imports, whatever other files are checked; or some together."""

from __future__ import annotations

from pathlib import Path

from xent.wiring._explanations import explanations
from xent.wiring._files._contents import Files
from xent.wiring._files._paths import Reach
from xent.wiring._files._project import Module, Project, package_root
from xent.wiring._files._reading import Needs, Reading, distinct
from xent.wiring._files._source import UnreadableError, may_matter
from xent.wiring._flow._events import LossCall
from xent.wiring._flow._interpreter import Interpreter
from xent.wiring._flow._record import Record, model_keys, value_key
from xent.wiring._flow._values import Layer
from xent.wiring._suppressions import suppressions
from xent.wiring.rules import RULES

OWN_FAULT = "a fault of xent's own: "
TOO_DEEP = "nested too deeply"


def read_alone(path: Path, reach: Reach, files: Files) -> tuple[Reading, Needs]:
    """Read one file, with what it imports; most mention nothing that matters."""
    try:
        data = files.data(path)
    except UnreadableError as error:
        return Reading(problems=((files.shown(path), str(error)),)), Needs((), (), certain=False)
    if may_matter(data):
        return read_together((path,), reach, files)
    needed = (path, files.digests[path], files.shown(path), package_root(path.parent))
    return Reading(), Needs((needed,), (), certain=bool(files.digests[path]))


def read_together(targets: tuple[Path, ...], reach: Reach, files: Files) -> tuple[Reading, Needs]:
    """Read files as one program, one after the other, with what they import."""
    project = Project(reach.roots, files, frozenset(targets), reach.inside)
    run = Interpreter(project)
    modules = [module for path in targets if (module := project.module_at(path)) is not None]
    problems = [each for module in modules for each in _check(run, module)]
    record = Record(run.events)
    findings = distinct(found for rule in RULES.values() for found in rule.findings(record))
    wanted = {files.shown(path) for path in targets}
    problems += [
        (path, reason)
        for path, reasons in project.problems.items()
        for reason in reasons
        if path in wanted
    ]
    losses, asked = _meeting_points(record, wanted)
    reading = Reading(
        tuple(findings),
        tuple(explanations(record)),
        tuple(problems),
        tuple(each for module in modules for each in suppressions(module.source)),
        len(modules),
        losses,
        asked,
    )
    needs = _needs(project, files, certain=not any(map(_is_chance, problems)))
    _let_go(project)
    return reading, needs


def _check(run: Interpreter, module: Module) -> list[tuple[str, str]]:
    """A fault of xent's own in one file must not hide what is in the others."""
    try:
        run.check(module)
    except Exception as error:
        return [(module.source.path, f"{OWN_FAULT}{type(error).__name__}: {error}")]
    return []


def _is_chance(problem: tuple[str, str]) -> bool:
    return OWN_FAULT in problem[1] or TOO_DEEP in problem[1]


def _needs(project: Project, files: Files, *, certain: bool) -> Needs:
    return Needs(
        tuple(
            (path, digest, files.shown(path), package_root(path.parent))
            for path, digest in project.digests.items()
        ),
        tuple((folder, name, found) for (folder, name), found in project.lookups.items()),
        certain and all(project.digests.values()),
    )


def _let_go(project: Project) -> None:
    """Break the circles, so that what was read can be freed without a search for garbage."""
    for module in project.modules.values():
        if module is not None:
            del module.frame, module.source


def _meeting_points(record: Record, targets: set[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The models and loss objects at which these files can meet others."""
    losses: set[str] = set()
    asked = set(record.asked)
    for event in record.of(LossCall):
        losses |= model_keys(event.input)
        if isinstance(event.layer, Layer):
            losses.add(value_key(event.layer))
            if event.layer.site.source.path not in targets:
                asked.add(value_key(event.layer))
    return tuple(sorted(losses)), tuple(sorted(asked))

"""Checking files: which, in how many processes, and what is shown of what is found."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from multiprocessing import get_context
from pathlib import Path

from xent._errors import InputError
from xent.wiring._explanations import Explanation, explanations
from xent.wiring._finding import Finding
from xent.wiring._project import Module, Project, package_root
from xent.wiring._provenance import Interpreter
from xent.wiring._record import Record
from xent.wiring._rule import CALLED
from xent.wiring._selection import Selection, check_selectors, is_like, selection_for
from xent.wiring._source import UnreadableError, may_matter, read_bytes
from xent.wiring._suppressions import Suppression, suppressions
from xent.wiring._suppressions import apply as apply_suppressions
from xent.wiring.rules import RULES

SUFFIXES = (".py", ".ipynb")
_LEFT_OUT = {
    "__pycache__", "node_modules", "venv", "env", "build", "dist", "site-packages",
}  # fmt: skip
# Files that one process reads together, so that it reads what they import once.
TOGETHER = 40
# Starting processes costs more than reading so few files.
FEW = 60


@dataclass(frozen=True)
class Report:
    """What was found.

    Args:
        findings: what is shown, sorted by place.
        explanations: of every loss, what reaches it, as far as it is known.
        problems: files that could not be read, or not to the end, with the reason.
        files: the number of files that were looked at.
        read: the number of those that mention anything that a rule looks at.
        texts: what stands in files that are not on disk.
    """

    findings: tuple[Finding, ...]
    explanations: tuple[Explanation, ...]
    problems: tuple[tuple[str, str], ...]
    files: int
    read: int
    texts: tuple[tuple[str, bytes], ...] = ()


@dataclass
class _Part:
    """What one process has found."""

    findings: set[Finding] = field(default_factory=set)
    explanations: set[Explanation] = field(default_factory=set)
    problems: list[tuple[str, str]] = field(default_factory=list)
    comments: list[Suppression] = field(default_factory=list)
    read: int = 0


def check_paths(
    paths: Sequence[str | Path],
    *,
    select: Sequence[str] = (),
    extend_select: Sequence[str] = (),
    ignore: Sequence[str] = (),
    jobs: int | None = None,
) -> Report:
    """Look for mis-wired losses in files and folders, without importing or running them.

    Args:
        paths: files, and folders of which every .py and .ipynb file is checked.
        select: codes, beginnings of codes or names of rules; only these are shown.
        extend_select: likewise; these are shown too, notes among them.
        ignore: likewise; these are not shown.
        jobs: how many processes; None for one for each processor.

    Returns:
        What was found; settings of the nearest pyproject.toml hold too.

    Raises:
        InputError: a path that does not exist, or a selector that means no rule.

    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> code = "import torch.nn.functional as F\\nloss = F.nll_loss(F.softmax(z, dim=1), y)\\n"
    >>> with TemporaryDirectory() as folder:
    ...     _ = Path(folder, "train.py").write_text(code)
    ...     report = check_paths([folder])
    >>> [(finding.code, finding.place.line) for finding in report.findings]
    [('XE106', 2)]
    """
    options = (
        check_selectors("select", select),
        check_selectors("extend_select", extend_select),
        check_selectors("ignore", ignore),
    )
    reach = _reach(paths)
    names = _files(paths)
    part = _read_all(names, reach, jobs or _processors())
    return _report(part, options, len(names))


def check_text(
    text: str | bytes,
    name: str = "-",
    *,
    select: Sequence[str] = (),
    extend_select: Sequence[str] = (),
    ignore: Sequence[str] = (),
) -> Report:
    """The same for code that is in no file.

    Args:
        text: the code; of a notebook, its JSON.
        name: what reports call it; the suffix .ipynb makes it a notebook, and imports are
            followed from the folder that it names.
        select: as of check_paths.
        extend_select: as of check_paths.
        ignore: as of check_paths.

    >>> report = check_text("import torch\\ntorch.nn.CrossEntropyLoss()(z.softmax(1), y)\\n")
    >>> report.findings[0].name
    'softmax-into-cross-entropy'
    """
    options = (
        check_selectors("select", select),
        check_selectors("extend_select", extend_select),
        check_selectors("ignore", ignore),
    )
    shown = Path(name if name != "-" else "stdin.py")
    path = shown.absolute()
    data = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
    reach = _around(path)
    project = Project(reach.roots, {path: name}, {path: data}, reach.inside)
    part = _Part()
    _read_project(project, [path], part)
    return replace(_report(part, options, 1), texts=((name, data),))


def _processors() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


# Which files.


@dataclass(frozen=True)
class _Reach:
    """Where imports begin, and the folders inside which they are followed."""

    roots: tuple[Path, ...]
    inside: tuple[Path, ...]


def _reach(paths: Sequence[str | Path]) -> _Reach:
    """Imports are followed inside a folder that is given, and around a file: in its package."""
    roots: dict[Path, None] = {}
    inside: dict[Path, None] = {}
    for given in paths:
        path = Path(given).absolute()
        if not path.exists():
            raise InputError(
                "check: PATH", "a file or a folder", repr(str(given)), "Look for a typo."
            )
        if path.is_dir():
            roots[package_root(path)] = roots[path] = inside[path] = None
        else:
            around = _around(path)
            roots[around.roots[0]] = inside[around.inside[0]] = None
    return _Reach(tuple(roots), tuple(inside))


def _around(path: Path) -> _Reach:
    """The folder of a file, or the outermost package that it is in."""
    root = package_root(path.parent)
    top = path.parent if root == path.parent else root / path.relative_to(root).parts[0]
    return _Reach((root,), (top,))


def _files(paths: Sequence[str | Path]) -> dict[Path, str]:
    """The files to check, each with the name that reports give it."""
    found: dict[Path, str] = {}
    for given in paths:
        path = Path(given)
        if path.is_dir():
            for file in _walk(path):
                found.setdefault(file.absolute(), str(file))
        else:
            found.setdefault(path.absolute(), str(path))
    return found


def _walk(folder: Path) -> Iterable[Path]:
    """Files below a folder in order; links to folders are not followed, so there are no loops."""
    for place, folders, files in os.walk(folder):
        here = Path(place)
        folders[:] = sorted(
            name
            for name in folders
            if not name.startswith(".") and name not in _LEFT_OUT and not _excluded(here / name)
        )
        for name in sorted(files):
            if name.endswith(SUFFIXES) and not name.startswith(".") and not _excluded(here / name):
                yield here / name


def _excluded(path: Path) -> bool:
    selection = selection_for(path.absolute().parent)
    return any(is_like(path, pattern, selection.root) for pattern in selection.exclude)


# Reading.


def _read_all(names: dict[Path, str], reach: _Reach, jobs: int) -> _Part:
    paths = list(names)
    groups = [paths[start : start + TOGETHER] for start in range(0, len(paths), TOGETHER)]
    if jobs == 1 or len(paths) <= FEW:
        parts = [_read_group(group, names, reach) for group in groups]
    else:
        context = get_context("forkserver" if os.name == "posix" else "spawn")
        with ProcessPoolExecutor(min(jobs, len(groups)), mp_context=context) as pool:
            work = [pool.submit(_read_group, group, names, reach) for group in groups]
            parts = [each.result() for each in work]
    total = _Part()
    for part in parts:
        total.findings |= part.findings
        total.explanations |= part.explanations
        total.problems += part.problems
        total.comments += part.comments
        total.read += part.read
    return total


def _read_group(group: list[Path], names: dict[Path, str], reach: _Reach) -> _Part:
    part = _Part()
    wanted: list[Path] = []
    texts: dict[Path, bytes] = {}
    for path in group:
        try:
            data = read_bytes(path)
        except UnreadableError as error:
            part.problems.append((names[path], str(error)))
            continue
        if may_matter(data):
            wanted.append(path)
            texts[path] = data
    # Trees of code are all live until the end: looking for garbage in them takes a fifth longer.
    collects = gc.isenabled()
    gc.disable()
    try:
        _read_project(Project(reach.roots, names, texts, reach.inside), wanted, part)
    finally:
        if collects:
            gc.enable()
    return part


def _read_project(project: Project, paths: Sequence[Path], part: _Part) -> None:
    """Read files of one project, one after the other, and collect what is found."""
    run = Interpreter(project)
    for path in paths:
        module = project.module_at(path)
        if module is not None:
            _check_one(run, module, part)
            part.comments += suppressions(module.source)
            part.read += 1
    record = Record(run.events)
    shown = set(project.names.values())
    for rule in RULES.values():
        for finding in rule.findings(record):
            if finding.place.path in shown:
                part.findings.add(finding)
    part.explanations.update(found for found in explanations(record) if found.place.path in shown)
    wanted = {project.names[path] for path in paths}
    part.problems += [
        (path, reason)
        for path, reasons in project.problems.items()
        for reason in reasons
        if path in wanted
    ]


def _check_one(run: Interpreter, module: Module, part: _Part) -> None:
    """A fault of xent's own in one file must not hide what is in the others."""
    try:
        run.check(module)
    except Exception as error:
        reason = f"a fault of xent's own: {type(error).__name__}: {error}"
        part.problems.append((module.source.path, reason))


# What is shown.


def _report(part: _Part, options: tuple[tuple[str, ...], ...], files: int) -> Report:
    kept, unused = apply_suppressions(_distinct(part.findings), part.comments)
    found: list[Finding] = []
    for finding in (*kept, *unused):
        selection = _selection(finding.place.path).with_options(*options)
        if selection.shows(finding):
            found.append(finding)
    return Report(
        tuple(sorted(found)),
        tuple(sorted(part.explanations)),
        tuple(sorted(set(part.problems))),
        files,
        part.read,
    )


def _selection(path: str) -> Selection:
    return selection_for(Path(path).absolute().parent)


def _distinct(findings: Iterable[Finding]) -> list[Finding]:
    """One finding for each fault, however many calls lead to it."""
    seen: dict[object, Finding] = {}
    for finding in sorted(findings):
        ends = [item.place for item in finding.related if item.words != CALLED]
        first = ends[0] if ends else None
        seen.setdefault((finding.code, finding.place, first), finding)
    return list(seen.values())

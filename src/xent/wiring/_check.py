"""Checking files: what is found in each, in those that belong together, and what is shown of it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from xent.wiring._explanations import Explanation
from xent.wiring._files._cache import Cache
from xent.wiring._files._contents import Files
from xent.wiring._files._meetings import meetings
from xent.wiring._files._paths import Reach, files_of, reach_around, reach_of
from xent.wiring._files._project import look_anew
from xent.wiring._files._reading import Reading, distinct
from xent.wiring._files._workers import Result, Targets, read_all
from xent.wiring._finding import Finding, Fix
from xent.wiring._selection import Selection, check_selectors, selection_for
from xent.wiring._suppressions import apply as apply_suppressions

# What is told of the files that are done, and of how many there are.
Progress = Callable[[int, int], None]
# What is selected, what too, and what is ignored.
Options = tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]


class Known(Protocol):
    """Readings of before, by the files that were read together."""

    def reading(self, targets: Targets) -> Reading | None:
        """A reading, if nothing that it depends on has changed."""

    def add(self, result: Result) -> None:
        """Keep a reading."""


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
        cache_problem: why the cache could not be written; empty where it could.
        everything: also what is not selected or suppressed.
    """

    findings: tuple[Finding, ...]
    explanations: tuple[Explanation, ...]
    problems: tuple[tuple[str, str], ...]
    files: int
    read: int
    texts: tuple[tuple[str, bytes], ...] = ()
    cache_problem: str = ""
    everything: tuple[Finding, ...] = field(default=(), compare=False)


def check_paths(
    paths: Sequence[str | Path],
    *,
    select: Sequence[str] = (),
    extend_select: Sequence[str] = (),
    ignore: Sequence[str] = (),
    jobs: int | None = None,
    cache: str | Path | None = None,
    progress: Progress | None = None,
) -> Report:
    """Look for mis-wired losses in files and folders, without importing or running them.

    Args:
        paths: files, and folders of which every .py and .ipynb file is checked.
        select: codes, beginnings of codes or names of rules; only these are shown.
        extend_select: likewise; these are shown too, notes among them.
        ignore: likewise; these are not shown.
        jobs: how many processes; None for one for each processor.
        cache: the folder in which results are kept for the next run; None for none.
        progress: is called with the number of files that are done and that of all.

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
    options = options_of(select, extend_select, ignore)
    _look_anew()
    reach, names = reach_of(paths), files_of(paths)
    kept = None if cache is None else Cache(Path(cache), reach, names)
    run = _Run(reach, names, jobs, kept)
    try:
        run.read(progress or _silent)
    finally:  # what was found before Ctrl-C is kept too
        if kept is not None:
            kept.save()
    report = _report(run.readings, options, names.values())
    return replace(report, cache_problem=kept.problem if kept else "")


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
    options = options_of(select, extend_select, ignore)
    from xent.wiring._files._reader import read_together

    _look_anew()
    path = Path(name if name != "-" else "stdin.py").absolute()
    data = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
    reading, _ = read_together((path,), reach_around(path), Files({path: name}, {path: data}))
    return replace(_report([reading], options, [name]), texts=((name, data),))


def options_of(
    select: Sequence[str], extend_select: Sequence[str], ignore: Sequence[str]
) -> Options:
    """The selectors, or an error for one that means no rule."""
    return (
        check_selectors("select", select),
        check_selectors("extend_select", extend_select),
        check_selectors("ignore", ignore),
    )


def check_edited(
    paths: Sequence[str | Path],
    options: Options,
    known: Known,
    texts: Mapping[Path, bytes],
    jobs: int | None,
) -> Report:
    """What check_paths would find if other texts stood in some of the files.

    Args:
        paths: as of check_paths.
        options: what is shown.
        known: readings that still hold.
        texts: what stands in files in place of what is on disk.
        jobs: as of check_paths.
    """
    _look_anew()
    names = files_of(paths)
    run = _Run(reach_of(paths), names, jobs, known, texts)
    run.read(_silent)
    report = _report(run.readings, options, names.values())
    return replace(report, texts=tuple((names[path], data) for path, data in texts.items()))


def _silent(done: int, files: int) -> None:
    """Say nothing of the progress."""


def _look_anew() -> None:
    """Files and settings may have changed since the last call."""
    look_anew()
    selection_for.cache_clear()


class _Run:
    """Reads files, each by itself and those that meet on a model together.

    Args:
        reach: where imports begin and where they are followed.
        names: the files, and how reports call them.
        jobs: how many processes.
        cache: what earlier runs have found.
        texts: what stands in files in place of what is on disk.
    """

    def __init__(
        self,
        reach: Reach,
        names: dict[Path, str],
        jobs: int | None,
        cache: Known | None,
        texts: Mapping[Path, bytes] | None = None,
    ) -> None:
        self.reach = reach
        self.names = names
        self.jobs = jobs
        self.cache = cache
        self.texts = texts
        self.alone: dict[Path, Reading] = {}
        self.together: dict[Targets, Reading] = {}

    @property
    def readings(self) -> list[Reading]:
        """All that was read."""
        return [*self.alone.values(), *self.together.values()]

    def read(self, progress: Progress) -> None:
        """Read every file."""
        alone: dict[Targets, Reading] = {}
        for targets, reading in self._readings([(path,) for path in self.names]):
            alone[targets] = reading
            progress(len(alone), len(self.names))
        self.alone = {path: alone[(path,)] for path in self.names}
        groups = meetings(self.alone)
        self.together = dict(self._readings(groups))
        # Who asks what others do with a model is answered only where they are read together.
        for path in {path for group in groups for path in group}:
            self.alone[path] = replace(self.alone[path], findings=(), explanations=())
        for group, reading in self.together.items():
            self.together[group] = replace(reading, problems=(), comments=(), read=0)

    def _readings(self, wanted: Sequence[Targets]) -> Iterator[tuple[Targets, Reading]]:
        missing: list[Targets] = []
        for targets in wanted:
            reading = None if self.cache is None else self.cache.reading(targets)
            if reading is None:
                missing.append(targets)
            else:
                yield targets, reading
        with closing(read_all(missing, self.reach, self.names, self.jobs, self.texts)) as results:
            for result in results:
                if self.cache is not None:
                    self.cache.add(result)
                yield result.targets, result.reading


# What is shown.


def _report(readings: Sequence[Reading], options: Options, names: Collection[str]) -> Report:
    shown = set(names)
    findings = distinct(_merged(readings, shown))
    comments = [comment for each in readings for comment in each.comments]
    kept, unused = apply_suppressions(findings, comments)
    found: list[Finding] = []
    for finding in (*kept, *unused):
        selection = _selection(finding.place.path).with_options(*options)
        if selection.shows(finding):
            found.append(finding)
    return Report(
        tuple(sorted(found)),
        tuple(_explanations(readings, shown)),
        tuple(sorted({problem for each in readings for problem in each.problems})),
        len(names),
        sum(each.read for each in readings),
        everything=tuple(findings),
    )


def _merged(readings: Iterable[Reading], shown: set[str]) -> Iterator[Finding]:
    """The findings in the files that were asked for.

    A fix stays where every reading gives the same, and all that it changes was asked for.
    """
    fixes: dict[Finding, set[Fix | None]] = {}
    for each in readings:
        for found in each.findings:
            if found.place.path in shown:
                fixes.setdefault(found, set()).add(found.fix)
    for found, ways in fixes.items():
        (fix,) = ways if len(ways) == 1 else (None,)
        stays = fix is not None and all(edit.place.path in shown for edit in fix.edits)
        yield replace(found, fix=fix if stays else None)


def _explanations(readings: Iterable[Reading], shown: set[str]) -> list[Explanation]:
    """One for each loss: that it is right, if that is proven anywhere."""
    known: dict[object, Explanation] = {}
    for found in sorted({found for each in readings for found in each.explanations}):
        place = found.place
        if place.path in shown and (place not in known or found.is_right > known[place].is_right):
            known[place] = found
    return sorted(known.values())


def _selection(path: str) -> Selection:
    return selection_for(Path(path).absolute().parent)

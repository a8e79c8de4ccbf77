"""A run with a cache finds what a fresh run finds, whatever has happened to the files since."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xent.wiring import Report, check_paths
from xent.wiring._files import _cache as cache_module
from xent.wiring._files import _contents as files_module
from xent.wiring._files import _workers as workers_module

HEAD = "import torch\nimport torch.nn as nn\nimport torch.nn.functional as F\n"
FAULT = HEAD + "loss = F.cross_entropy(z.softmax(1), y)\n"
CLEAN = HEAD + "loss = F.cross_entropy(nn.Linear(2, 3)(z), y)\n"

NET = """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 3)

    def forward(self, x):
        return {output}
"""
LOGITS = HEAD + NET.format(output="self.fc(x)")
PROBABILITIES = HEAD + NET.format(output="self.fc(x).softmax(1)")
TRAIN = HEAD + "\n\ndef train(x, y):\n    return {loss}(net(x), y)\n"
USES = "from {module} import {name}\n"
CELLS = '{{"cells": [{{"cell_type": "code", "source": {source}}}], "nbformat": 4}}'

# What each file of the little project may hold. Which one is imported, if any, changes as well.
NETWORK = [
    LOGITS,
    PROBABILITIES,
    LOGITS + "net = Net()\n",
    PROBABILITIES + "net = Net()\n",
    "from inner import Net, net\n",
    "from .inner import *\n",
    "class Net:\n",
    "x = 1\n",
]
TRAINING = [
    "from model import Net\nnet = Net()\n" + TRAIN.format(loss="F.cross_entropy"),
    "from model import net\n" + TRAIN.format(loss="F.cross_entropy"),
    "from parts.model import net\n" + TRAIN.format(loss="F.cross_entropy"),
    "from model import net\n" + TRAIN.format(loss="F.binary_cross_entropy_with_logits"),
    FAULT,
    FAULT.replace("y)", "y)  # noqa: XE101"),
    FAULT.replace("y)", "y)  # xent: ignore[XE101]"),
    CLEAN.replace("y)", "y)  # noqa: XE101"),
    "# xent: ignore-file\n" + FAULT,
    CLEAN,
    "",
]
EVALUATION = [
    "import torch\nfrom model import net\n\n\ndef predict(x):\n    return torch.sigmoid(net(x))\n",
    "from model import net\n\n\ndef predict(x):\n    return net(x) > 0.5  # sigmoid, Linear(\n",
    "from parts.model import net\nimport torch\np = torch.sigmoid(net(x)) > 0.5  # predict\n",
]
BOOKS = [CELLS.format(source=f'["{text}"]'.replace("\n", "\\n")) for text in (FAULT, CLEAN)]
SETTINGS = ["", "[tool.xent.check]\nignore = ['XE101']\n", "[tool.xent.check]\nselect = ['ALL']\n",
            "[tool.xent.check]\nexclude = ['parts']\n",
            "[tool.xent.check.per-file-ignores]\n'train.py' = ['XE1']\n"]  # fmt: skip
CONTENTS = {
    "model.py": NETWORK, "inner.py": NETWORK, "parts/__init__.py": ["", "from .model import *\n"],
    "parts/model.py": NETWORK, "parts/inner.py": NETWORK, "train.py": TRAINING,
    "parts/train.py": TRAINING, "evaluate.py": EVALUATION, "a_first.py": [*TRAINING, *EVALUATION],
    "book.ipynb": BOOKS, "pyproject.toml": SETTINGS, "src/model.py": NETWORK,
}  # fmt: skip
NAMES = sorted(CONTENTS)

WRITES = st.sampled_from(NAMES).flatmap(
    lambda name: st.tuples(st.just("write"), st.just(name), st.sampled_from(CONTENTS[name]))
)
OTHERS = st.tuples(
    st.sampled_from(["delete", "touch", "rename", "folder"]), st.sampled_from(NAMES),
    st.sampled_from(NAMES),
)  # fmt: skip
PATHS = st.sampled_from([["."], ["."], ["train.py", "evaluate.py"], ["parts", "train.py"]])


def act(what: str, name: str, more: str) -> None:
    path = Path(name)
    path.parent.mkdir(exist_ok=True)
    if what == "write":
        path.write_text(more)
    elif what == "delete":
        path.unlink(missing_ok=True)
    elif what == "touch" and path.exists():
        os.utime(path)
    elif what == "rename" and path.exists() and path.suffix == Path(more).suffix:
        Path(more).parent.mkdir(exist_ok=True)
        path.rename(more)
    elif what == "folder" and path.parent != Path():
        shutil.rmtree(path.parent)


def everything(report: Report) -> tuple[object, ...]:
    """A report with the fixes, which take no part when findings are compared."""
    return report, [(finding, finding.fix) for finding in report.everything]


@pytest.mark.parametrize("rested", [False, True])
@settings(max_examples=60, deadline=None)
@given(
    start=st.lists(WRITES, min_size=4, max_size=10),
    steps=st.lists(st.tuples(st.one_of(WRITES, OTHERS), PATHS), min_size=1, max_size=6),
)
def test_a_run_with_a_cache_finds_what_a_fresh_run_finds(
    rested: bool, start: list[tuple[str, ...]], steps: list[tuple[tuple[str, ...], list[str]]]
) -> None:
    before = Path.cwd()
    now = time.time_ns
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        if rested:  # as if all changes had been made some time ago, so that stamps are trusted
            patch.setattr(files_module.time, "time_ns", lambda: now() + 10**10)
        os.chdir(folder)
        try:
            for action in start:
                act(*action)
            check_paths(["."], cache=".xent_cache")
            for action, paths in steps:
                time.sleep(0.011)  # the clock of a file system may move by hundredths of a second
                act(*action)
                there = [path for path in paths if Path(path).exists()] or ["."]
                found = check_paths(there, cache=".xent_cache")
                assert everything(found) == everything(check_paths(there))
        finally:
            os.chdir(before)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model.py").write_text(PROBABILITIES + "net = Net()\n")
    (tmp_path / "train.py").write_text(TRAINING[1])
    (tmp_path / "other.py").write_text(CLEAN)
    (tmp_path / "plain.py").write_text("x = 1\n")
    return tmp_path


def age(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if all that was written so far had rested for ten seconds."""
    now = time.time_ns
    monkeypatch.setattr(files_module.time, "time_ns", lambda: now() + 10**10)


def codes(report: Report) -> list[tuple[str, str]]:
    return [(finding.place.path, finding.code) for finding in report.findings]


def forbid_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise AssertionError("a file was read")

    monkeypatch.setattr(files_module, "read_file", fail)
    monkeypatch.setattr(cache_module, "read_file", fail)


def test_files_that_rest_are_not_read_again(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    age(monkeypatch)
    first = check_paths(["."], cache="kept")
    assert codes(first) == [("train.py", "XE101")]
    forbid_reading(monkeypatch)
    assert everything(check_paths(["."], cache="kept")) == everything(first)


def test_files_that_have_just_changed_are_read_but_not_checked_again(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = check_paths(["."], cache="kept")

    def fail(*_: object) -> None:
        raise AssertionError("a file was checked")

    monkeypatch.setattr(workers_module._Reader, "read", fail)
    assert everything(check_paths(["."], cache="kept")) == everything(first)


@pytest.mark.parametrize("path", ["train.py", "model.py"])
def test_a_change_that_leaves_size_and_time_the_same_is_seen(
    path: str, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    age(monkeypatch)
    assert codes(check_paths(["."], cache="kept")) == [("train.py", "XE101")]
    status = Path(path).stat()
    text = Path(path).read_text()
    time.sleep(0.011)
    new = text.replace("cross_entropy", "cross_entrop1").replace(".softmax(1)", ".relu_()   ")
    Path(path).write_text(new)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert len(new) == len(text)
    assert new != text
    assert everything(check_paths(["."], cache="kept")) == everything(check_paths(["."]))
    assert ("train.py", "XE101") not in codes(check_paths(["."], cache="kept"))


def test_only_what_a_change_reaches_is_checked_again(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    check_paths(["."], cache="kept")
    read: list[object] = []
    real = workers_module._Reader.read

    def note(self: workers_module._Reader, targets: tuple[Path, ...]) -> workers_module.Result:
        read.append([path.name for path in targets])
        return real(self, targets)

    monkeypatch.setattr(workers_module._Reader, "read", note)
    (project / "model.py").write_text(LOGITS + "net = Net()\n")
    assert codes(check_paths(["."], cache="kept")) == []
    assert read == [["model.py"], ["train.py"]]


def test_a_module_that_comes_to_stand_before_another_is_seen(project: Path) -> None:
    (project / "src").mkdir()
    (project / "src" / "model.py").write_text(LOGITS + "net = Net()\n")
    (project / "model.py").unlink()
    assert codes(check_paths(["."], cache="kept")) == []
    (project / "model.py").write_text(PROBABILITIES + "net = Net()\n")
    assert codes(check_paths(["."], cache="kept")) == [("train.py", "XE101")]


def test_names_in_reports_are_those_of_this_run(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = project / "kept"
    for folder, path in [(project, "."), (project, str(project)), (project.parent, project.name)]:
        monkeypatch.chdir(folder)
        for _ in range(2):
            found = check_paths([path], cache=cache)
            assert everything(found) == everything(check_paths([path]))


def test_settings_are_no_part_of_what_is_kept(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    age(monkeypatch)
    check_paths(["."], cache="kept")
    forbid_reading(monkeypatch)
    (project / "pyproject.toml").write_text("[tool.xent.check]\nignore = ['XE101']\n")
    assert codes(check_paths(["."], cache="kept")) == []
    assert codes(check_paths(["."], cache="kept", select=["XE1"])) == []
    (project / "pyproject.toml").unlink()
    assert codes(check_paths(["."], cache="kept")) == [("train.py", "XE101")]


def test_a_change_that_the_clock_is_too_coarse_to_show_is_seen(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.time_ns()
    monkeypatch.setattr(files_module, "stamp_of", lambda status: (now, now, status.st_size, 1))
    monkeypatch.setattr(cache_module, "stamp_of", lambda status: (now, now, status.st_size, 1))
    assert codes(check_paths(["."], cache="kept")) == [("train.py", "XE101")]
    text = (project / "train.py").read_text()
    (project / "train.py").write_text(text.replace("cross_entropy", "cross_entrop1"))
    assert codes(check_paths(["."], cache="kept")) == []


def test_a_folder_that_becomes_a_package_is_seen(project: Path) -> None:
    inner = project / "pack" / "inner"
    inner.mkdir(parents=True)
    (project / "pack" / "__init__.py").touch()
    (project / "pack" / "model.py").write_text(PROBABILITIES + "net = Net()\n")
    (inner / "model.py").write_text(LOGITS + "net = Net()\n")
    (inner / "train.py").write_text(TRAINING[1].replace("from model", "from ..model"))
    for change in (lambda: None, (inner / "__init__.py").touch, (inner / "__init__.py").unlink):
        change()
        found = check_paths(["pack"], cache="kept")
        assert everything(found) == everything(check_paths(["pack"]))


def test_a_module_that_a_shared_import_lacked_is_seen_by_all(project: Path) -> None:
    uses = HEAD + "from heads import head\nloss = F.cross_entropy(head(z), y)\n"
    for name in ("a.py", "b.py"):
        (project / name).write_text(uses)
    (project / "heads.py").write_text(
        "from extra import act\n\n\ndef head(x):\n    return act(x)\n"
    )
    check_paths(["."], cache="kept")
    (project / "extra.py").write_text("def act(x):\n    return x.softmax(1)\n")
    found = check_paths(["."], cache="kept")
    assert [path for path, _ in codes(found)] == ["a.py", "b.py", "train.py"]

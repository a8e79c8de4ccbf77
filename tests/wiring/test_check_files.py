"""Which files are read at all, and how."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from xent.wiring import check_paths
from xent.wiring._files import _contents as files_module
from xent.wiring._files._contents import Files
from xent.wiring._files._source import UnreadableError, may_matter

TORCH = b"import torch\nimport torch.nn as nn\nimport torch.nn.functional as F\n"
ATTENTION = TORCH + b"proj = nn.Linear(4, 4)\nw = F.softmax(q @ k.transpose(-2, -1), dim=-1)\n"

MATTER = {
    "a loss": TORCH + b"nn.CrossEntropyLoss()\n",
    "a loss made elsewhere": TORCH + b"loss = criterion(net(x), y)\n",
    "a loss of another name": TORCH + b"loss = loss_fn(net(x), y)\n",
    "training without torch": b"from losses import objective\nobjective(net(x), y).backward()\n",
    "no axis": TORCH + b"p = F.softmax(x)\n",
    "the first axis": TORCH + b"p = F.softmax(x, dim=0)\n",
    "an axis that is not written": TORCH + b"p = F.softmax(x, dim=axis)\n",
    "a layer": TORCH + b"m = nn.Softmax()\n",
    "twice": ATTENTION + b"p = F.softmax(w, dim=-1)\n",
    "a logarithm": ATTENTION + b"v = torch.log(w)\n",
    "a prediction": TORCH + b"def predict(x):\n    return net(x).softmax(1)\n",
    "a class": ATTENTION + b"c = w.argmax(1)\n",
    "a function": TORCH + b"act = F.softmax\n",
    "another name": TORCH + b"from torch.nn.functional import softmax as act\n",
    "a comment of ours": b"x = 1  # noqa: XE101\n",
}
NO_MATTER = {
    "attention": ATTENTION,
    "attention by a method": TORCH + b"w = (q @ k).softmax(-1)\nw = nn.Linear(2, 2)(w)\n",
    "attention with an axis of its own": TORCH + b"w = torch.softmax(scores / scale, 2)\n",
    "words": TORCH + b'"""Softmax is not used here."""\n',
    "another library": ATTENTION.replace(b"torch", b"numpy"),
    "nothing": TORCH,
}


@pytest.mark.parametrize("name", MATTER)
def test_files_in_which_something_can_be_wrong_are_read(name: str) -> None:
    assert may_matter(MATTER[name])


@pytest.mark.parametrize("name", NO_MATTER)
def test_files_in_which_nothing_can_be_wrong_are_not(name: str) -> None:
    assert not may_matter(NO_MATTER[name])


def test_the_search_takes_no_longer_than_the_file() -> None:
    # Of n characters in one line, which a careless pattern would search n times.
    for text in (b"softmax(" + b"(" * 10**6, b"softmax" * 10**5, b"softmax(" + b"a, " * 10**6):
        may_matter(b"import torch\n" + text)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes in files here")
def test_what_is_no_regular_file_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.py")
    report = check_paths([tmp_path])
    assert report.problems == ((str(tmp_path / "pipe.py"), "not a regular file"),)


def test_the_last_files_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files_module, "MOST_KEPT", 25)
    paths = [tmp_path / name for name in ("a.py", "b.py", "c.py")]
    for path in paths:
        path.write_text("x = 123456\n")
    files = Files({})
    first, second = (files.source(path)[0] for path in paths[:2])
    assert files.source(paths[0])[0] is first
    files.source(paths[2])
    assert files.source(paths[0])[0] is first
    assert files.source(paths[1])[0] is not second


def test_the_digest_is_that_of_the_statements(tmp_path: Path) -> None:
    path = tmp_path / "a.py"
    path.write_text("x = 1\n")
    files = Files({})
    source, digest = files.source(path)
    path.write_text("x = 2\n")
    files.data(tmp_path / "a.py")
    assert files.source(path) == (source, digest)
    assert files_module.digest(b"x = 1\n") == digest
    with pytest.raises(UnreadableError, match="No such file"):
        files.data(tmp_path / "none.py")
    assert files.digests[tmp_path / "none.py"] == ""

"""What people and machines may put before the checker: never a crash, a hang or a torn report."""

from __future__ import annotations

import io
import json
import os
import random
import socket
import tokenize
from pathlib import Path
from xml.etree import ElementTree

import pytest

from xent._errors import InputError
from xent.cli import main
from xent.wiring import Report, check_paths, check_text
from xent.wiring._output import FORMATS

HEAD = "import torch\nimport torch.nn as nn\nimport torch.nn.functional as F\n"
FAULT = "loss = F.cross_entropy(z.softmax(1), y)\n"
MANY = 600


def codes(report: Report) -> list[str]:
    return [finding.code for finding in report.findings]


def survived(report: Report) -> None:
    for path, reason in report.problems:
        assert "fault of xent's own" not in reason, (path, reason)
    for output in FORMATS.values():
        assert isinstance(output(report), str)


# Programs that no one writes by hand.

MACHINE_MADE = {
    "parentheses": f"x = {'(' * 150}1{')' * 150}",
    "lists": f"x = {'[' * 90}{']' * 90}",
    "dicts": f"x = {'{1:' * 90}1{'}' * 90}",
    "attributes": f"x = a{'.b' * MANY}",
    "indices": f"x = a{'[0]' * MANY}",
    "calls of calls": f"x = a{'()' * MANY}",
    "sums": f"x = {'+'.join(['a'] * MANY)}",
    "powers": f"x = {'9**' * 60}9",
    "signs": f"x = {'-' * MANY}a",
    "nots": f"x = {'not ' * MANY}a",
    "lambdas": f"x = {'lambda: ' * MANY}a",
    "conditions": f"x = {'a if b else ' * MANY}c",
    "ands": f"x = {' and '.join(['a'] * MANY)}",
    "comparisons": f"x = {' < '.join(['a'] * MANY)}",
    "f-strings": "x = " + "f'{a} {b!r:>{c}}' " * MANY,
    "walruses": f"x = {''.join(f'(a{i} := ' for i in range(90))}1{')' * 90}",
    "awaits": f"async def f():\n  x = {'await ' * MANY}a",
    "stars": f"x = [{'*a, ' * MANY}]",
    "targets": f"{' = '.join(f'a{i}' for i in range(MANY))} = z.softmax(1)",
    "unpacking": f"{'(' * 80}a,{'),' * 80} = b",
    "decorators": f"{'@a.b(c)' + chr(10)}" * MANY + "def f(x): return F.softmax(x, 1)",
    "bases": f"class A({', '.join(f'B{i}' for i in range(MANY))}, nn.Module): pass\nA()(x)",
    "a line of bases": "class A0(nn.Module):\n def forward(self, x): return x.softmax(1)\n"
    + "".join(f"class A{i}(A{i - 1}): pass\n" for i in range(1, MANY))
    + f"A{MANY - 1}()(x)",
    "calls of super": "".join(
        f"class A{i}({f'A{i - 1}' if i else 'nn.Module'}):\n"
        " def forward(self, x): return super().forward(x).softmax(1)\n"
        for i in range(MANY)
    )
    + f"A{MANY - 1}()(x)",
    "classes in a circle": "class A(B): pass\nclass B(C): pass\nclass C(A): pass\nA()(x).max(1)",
    "comprehensions": f"x = [a {'for a in b ' * 150}]",
    "filters": f"x = [a for a in b {'if a ' * MANY}]",
    "parameters": f"def f({', '.join(f'a{i}' for i in range(MANY))}): return a0.softmax(1)\n"
    f"f({'z, ' * MANY})",
    "methods": "class A(nn.Module):\n"
    + "".join(
        f" def m{i}(self, x): return self.m{(i + 1) % MANY}(x).max(1)\n" for i in range(MANY)
    ),
    "a chain of functions": "".join(f"def f{i}(x): return f{i + 1}(x)\n" for i in range(MANY))
    + f"def f{MANY}(x): return x.softmax(1)\nf0(z)",
    "many layers": f"m = nn.Sequential({'nn.Linear(2, 2), ' * MANY}nn.Softmax(1))\nm(x)",
    "layers in layers": "m = nn.Linear(2, 2)\n" + "m = nn.Sequential(m, nn.Softmax(1))\n" * MANY,
    "a tuple of itself": "x = z\n" + "x = (x, x)\n" * MANY + "F.cross_entropy(x[0], y)",
    "a list of itself": "a = []\n" + "a = a + [a, z.softmax(1)]\n" * MANY,
    "a dict of itself": "d = {}\n"
    + "".join(f"d[{i}] = d\n" for i in range(MANY))
    + "for k, v in d.items():\n  for a, b in v.items(): b.softmax(1)",
    "branches": "".join(f"if c{i}:\n  z = z.softmax(1)\nelse:\n  z = -z\n" for i in range(MANY)),
    "endless loops": "".join(f"{' ' * i}while True:\n" for i in range(19))
    + " " * 19
    + "z = z.softmax(1)",
    "loops": "".join(
        f"{' ' * i}for a{i} in nn.ModuleList([nn.Softmax(1)] * 9):\n" for i in range(18)
    )
    + " " * 18
    + "z = a0(z)",
    "cases": "match z:\n" + "".join(f"  case [a{i}, *b{i}]: a{i}.max(1)\n" for i in range(150)),
    "stars of modules": "".join(f"from m{i} import *\n" for i in range(MANY)),
    "huge numbers": f"x = F.softmax(z, 0x{'f' * 5000})\ny = 1 << (1 << 60)\nw = [0] * (1 << 60)\n"
    "for i in range(1 << 62): nn.Softmax(i)",
    "more digits than Python reads": f"x = {'1' * 5000}",
    "globals": f"def f():\n  global {', '.join(f'a{i}' for i in range(MANY))}\n  a0 = z\nf()",
    "properties": "class A(nn.Module):\n"
    + "".join(
        f" @property\n def p{i}(self): return self.p{(i + 1) % 40}, self.p{(i * 7) % 40}\n"
        for i in range(40)
    )
    + "A().p0.softmax(1)",
    "partials": "from functools import partial\nf = F.cross_entropy\n"
    + "f = partial(f, z)\n" * MANY,
    "lambdas of lambdas": "f = lambda x: x.softmax(1)\n" + "f = lambda x, g=f: g(g(x))\n" * 90,
    "losses": FAULT * MANY,
    "losses on one line": ";".join([FAULT.strip()] * MANY),
    "a long line": f"x = '{'a' * 1_000_000}'",
    "a long name": f"{'a' * 1_000_000} = z.softmax(1)",
    "suppressions": (FAULT.strip() + "  # noqa: XE101\n") * MANY,
    "suppressions on one line": "x = 1  # " + "noqa: XE101, " * MANY,
    "suppressions without an end": "x = 1  # xent: ignore[" * MANY,
    "odd suppressions": "x = 1  # noqa: XE101XE101;XE\x1b[31m, XE9999, XE-1\n"
    "# xent: ignore[\u202e]",
}


@pytest.mark.parametrize("name", MACHINE_MADE)
def test_machine_made_programs_are_survived(name: str) -> None:
    report = check_text(f"{HEAD}{MACHINE_MADE[name]}\n{FAULT}", extend_select=["ALL"])
    survived(report)
    assert "XE101" in codes(report) or report.problems


@pytest.mark.parametrize("opening", ["(", "[", "{", "lambda: ", "-", "a if b else ", "a.b(", "f'{"])
def test_five_thousand_deep(opening: str) -> None:
    report = check_text(f"{HEAD}softmax = {opening * 5000}")
    survived(report)
    assert report.problems


def test_ten_thousand_methods() -> None:
    methods = "".join(f"    def m{i}(self, x):\n        return x + {i}\n" for i in range(10_000))
    report = check_text(f"{HEAD}class A(nn.Module):\n{methods}\n{FAULT}")
    survived(report)
    assert codes(report) == ["XE101"]


# Bytes.

ENCODED = {
    "a mark of UTF-8": b"\xef\xbb\xbf" + (HEAD + FAULT).encode(),
    "a named encoding": ("# -*- coding: latin-1 -*-\ns = 'é'\n" + HEAD + FAULT).encode("latin-1"),
    "form feeds": (HEAD + "\f\n" + FAULT).encode(),
    "old line ends": (HEAD + FAULT).replace("\n", "\r").encode(),
    "mixed line ends": HEAD.replace("\n", "\r\n").encode() + b"a = 1\r" + FAULT.encode(),
    "wide letters": (HEAD + "𝒙 = '🙂' * 3; " + FAULT).encode(),
    "letters of a line's end": (HEAD + "s = 'a\u2028b\x85c\x0bd'\n" + FAULT).encode(),
    "no end of the last line": (HEAD + FAULT.rstrip()).encode(),
    "tabs": (HEAD + "if a:\n\t" + FAULT).encode(),
}
BROKEN = {
    "UTF-16": (HEAD + FAULT).encode("utf-16") + b"torch cross_entropy",
    "UTF-16 by name": ("# coding: utf-16\n" + HEAD + FAULT).encode(),
    "a mark and another encoding": b"\xef\xbb\xbf# coding: latin-1\n" + (HEAD + FAULT).encode(),
    "no encoding": ("# coding: \x00cross_entropy torch\n" + HEAD).encode(),
    "an encoding of bytes": ("# coding: rot13\n" + HEAD + FAULT).encode(),
    "an encoding of compression": ("# coding: zlib\n" + HEAD + FAULT).encode(),
    "an encoding of names": ("# coding: idna\n" + HEAD + "s = 'é" + "x" * 99 + FAULT).encode(),
    "not of the encoding": ("# coding: ascii\ns = 'é'\n" + HEAD + FAULT).encode(),
    "half a letter": (HEAD + FAULT).encode() + b"# \xf0\x9f",
    "a zero": (HEAD + FAULT + "\0").encode(),
    "zeros": b"torch cross_entropy" + b"\0" * 100_000,
}


@pytest.mark.parametrize("name", ENCODED)
def test_encodings_that_python_reads(name: str, tmp_path: Path) -> None:
    (tmp_path / "a.py").write_bytes(ENCODED[name])
    report = check_paths([tmp_path])
    survived(report)
    assert codes(report) == ["XE101"]


@pytest.mark.parametrize("name", BROKEN)
def test_encodings_that_it_does_not(name: str, tmp_path: Path) -> None:
    (tmp_path / "a.py").write_bytes(BROKEN[name])
    (tmp_path / "good.py").write_text(HEAD + FAULT)
    report = check_paths([tmp_path])
    survived(report)
    assert codes(report) == ["XE101"]
    assert [Path(path).name for path, _ in report.problems] == ["a.py"]


# Mutations of a program that is right.

SEEDLING = f'''{HEAD}
class Net(nn.Module):
    """A net."""

    def __init__(self, classes: int = 3, *layers, **options):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), *layers)
        self.heads = nn.ModuleDict({{"a": nn.Linear(8, classes), "b": nn.Linear(8, 1)}})

    @torch.no_grad()
    def predict(self, x):
        return {{key: f(self.body(x)).softmax(-1)[:, 1] > 0.5 for key, f in self.heads.items()}}

    def forward(self, x, *, which="a"):
        try:
            return self.heads[which](self.body(x)), torch.sigmoid(x)
        except (KeyError, IndexError) as error:
            raise ValueError(f"no {{which!r:>5}}") from error


net, criterion = Net(), nn.CrossEntropyLoss(weight=torch.tensor([1.0, 2.0, 3.0]))
for epoch in range(3):
    with torch.enable_grad() as g:
        while (batch := next(batches, None)) is not None:
            x, y = batch
            match x:
                case [a, *_] if a is not None:
                    out, _ = net(x)
                case _:
                    out = F.log_softmax(net(x)[0], dim=1)
            loss = criterion(out, y.view(-1, 1).float())
            loss += F.binary_cross_entropy(torch.sigmoid(out), F.one_hot(y).squeeze())
            del x, y
print(lambda z: -(z[..., 0] ** 2) if z else not z, loss.item())
'''
TOKENS = [
    token.string for token in tokenize.generate_tokens(io.StringIO(SEEDLING).readline)
]  # fmt: skip
STRANGE = [
    "\0", "\x1b[2J", "\ufeff", "\u2028", "é", "\\", '"""', "'", "#", "\f", "\t", "\r", "0x",
    "1e999", "9" * 400, "*", "**", ":=", "->", "@", "...", "lambda", "yield", "await", "global",
    "nonlocal", "import", "from . import *", "class", "match", "case", "(", ")", "[", "]",
    "{", "}", "%", "!",
]  # fmt: skip


def _mutated(chance: random.Random) -> str:
    """The program with tokens taken out, doubled, swapped, and strange ones put in."""
    text = SEEDLING
    for _ in range(chance.randint(1, 6)):
        at = chance.randrange(len(text))
        what = chance.randrange(5)
        if what == 0:
            text = text[:at] + text[at + chance.randint(1, 30) :]
        elif what == 1:
            length = chance.randint(1, 60)
            text = text[: at + length] + text[at : at + length] + text[at + length :]
        elif what == 2:
            text = text[:at] + chance.choice(STRANGE) + text[at:]
        elif what == 3:
            one, other = chance.choice(TOKENS), chance.choice(TOKENS)
            if one.strip():
                text = text.replace(one, other, chance.randint(1, 3))
        else:
            lines = text.split("\n")
            first, second = chance.randrange(len(lines)), chance.randrange(len(lines))
            lines[first], lines[second] = lines[second], lines[first]
            text = "\n".join(lines)
    return text


@pytest.mark.parametrize("seed", range(6))
def test_mutated_programs_are_survived(seed: int) -> None:
    chance = random.Random(seed)
    parsed = 0
    for _ in range(60):
        text = _mutated(chance)
        report = check_text(text + "\n# cross_entropy torch", extend_select=["ALL"])
        survived(report)
        parsed += report.problems == ()
    assert parsed > 0


@pytest.mark.parametrize("seed", range(3))
def test_mutated_notebooks_are_survived(seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(60):
        cells = [
            {"cell_type": "code", "source": part.splitlines(keepends=True)}
            for part in _mutated(chance).split("\n\n\n")
        ]
        data = bytearray(
            json.dumps({"cells": cells, "nbformat": 4, "torch": "cross_entropy"}).encode()
        )
        for _ in range(chance.randrange(3)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        survived(check_text(bytes(data), "a.ipynb", extend_select=["ALL"]))


# Notebooks.

CELL = {"cell_type": "code", "source": HEAD + FAULT}
NOTEBOOKS = {
    "format 3": {"worksheets": [{"cells": [{"cell_type": "code", "input": HEAD + FAULT}]}]},
    "a source as a list": {"cells": [{"cell_type": "code", "source": [HEAD, FAULT]}]},
    "magics": {"cells": [{**CELL, "source": "%time\n" + HEAD + "!ls\nx = %sql a\n" + FAULT}]},
    "strange fields": {"cells": [{**CELL, "metadata": 7, "outputs": {"a": []}, "id": None}]},
    "strange cells": {"cells": [None, 3, [], {"cell_type": ["code"]}, {"source": {}}, CELL]},
    "a cell that doesn't parse": {"cells": [{**CELL, "source": "x = ("}, CELL]},
    "many cells": {"cells": [*([{"cell_type": "markdown"}] * 100_000), CELL]},
    "numbers that are none": {"cells": [CELL], "a": float("nan"), "b": float("inf")},
    "halves of letters": {"cells": [{**CELL, "source": "s = '\ud800'"}, CELL]},
}
NO_NOTEBOOKS = {
    "deep": b"[" * 100_000 + b"torch cross_entropy",
    "twice the cells": b'{"cells": [], "cells": 3, "torch": "cross_entropy"}',
    "a worksheet of none": b'{"worksheets": 3, "torch": "cross_entropy"}',
    "cells that are none": b'{"worksheets": [{"cells": 3}], "torch": "cross_entropy"}',
    "a number": b"7e999999 torch cross_entropy",
    "UTF-16": '{"cells": 1, "torch": "cross_entropy"}'.encode("utf-16") + b"torch cross_entropy",
    "half a letter": b'{"cells": [], "torch": "cross_entropy\xff"}',
    "many digits": b'{"cells": ' + b"1" * 5000 + b', "torch": "cross_entropy"}',
}


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_strange_notebooks_are_read(name: str, tmp_path: Path) -> None:
    (tmp_path / "a.ipynb").write_text(json.dumps(NOTEBOOKS[name]))
    report = check_paths([tmp_path])
    survived(report)
    assert "XE101" in codes(report)


@pytest.mark.parametrize("name", NO_NOTEBOOKS)
def test_no_notebooks_are_skipped(name: str, tmp_path: Path) -> None:
    (tmp_path / "a.ipynb").write_bytes(NO_NOTEBOOKS[name])
    report = check_paths([tmp_path])
    survived(report)
    ((_, reason),) = report.problems
    assert reason.startswith("not a notebook: ")


# The file system.


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.py")
    (tmp_path / "folder.py").mkdir()
    (tmp_path / "folder.py" / "a.py").write_text(HEAD + FAULT)
    (tmp_path / "nowhere.py").symlink_to(tmp_path / "missing")
    (tmp_path / "device.py").symlink_to("/dev/zero")
    (tmp_path / "circle.ipynb").symlink_to(tmp_path / "circle.ipynb")
    (tmp_path / "up").symlink_to(tmp_path, target_is_directory=True)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(tmp_path / "socket.py"))
        report = check_paths([tmp_path])
    survived(report)
    assert codes(report) == ["XE101"]
    assert {Path(path).name for path, _ in report.problems} == {
        "pipe.py", "nowhere.py", "device.py", "circle.ipynb", "socket.py"
    }  # fmt: skip


@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_what_is_named_and_no_file_is_not_waited_for(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "a.py"
    if kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/zero")
    ((_, reason),) = check_paths([path]).problems
    assert reason == "not a regular file"


def test_imports_of_what_is_no_file_are_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.py")
    (tmp_path / "package").mkdir()
    os.mkfifo(tmp_path / "package" / "__init__.py")
    (tmp_path / "a.py").write_text(f"import pipe, package\nfrom pipe import *\n{HEAD}{FAULT}")
    report = check_paths([tmp_path / "a.py"])
    survived(report)
    assert codes(report) == ["XE101"]


def test_files_that_may_not_be_read(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text(HEAD + FAULT)
    (tmp_path / "b.py").write_text(HEAD + FAULT)
    (tmp_path / "b.py").chmod(0)
    if os.access(tmp_path / "b.py", os.R_OK):
        pytest.skip("this user may read everything")
    report = check_paths([tmp_path])
    assert codes(report) == ["XE101"]
    assert [reason for _, reason in report.problems] == ["Permission denied"]


def test_files_that_vanish(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.py").write_text(HEAD + FAULT)
    (tmp_path / "b.py").write_text(HEAD + FAULT)
    walked = os.walk

    def then_vanishes(*arguments: object, **options: object):
        found = list(walked(*arguments, **options))
        (tmp_path / "b.py").unlink()
        return found

    monkeypatch.setattr("os.walk", then_vanishes)
    report = check_paths([tmp_path])
    assert codes(report) == ["XE101"]
    assert [(Path(path).name, reason) for path, reason in report.problems] == [
        ("b.py", "No such file or directory")
    ]


# Names, as each format writes them.

NAMES = {
    "a line's end": "a\nb.py",
    "a colour": "\x1b[31mred\x1b[0m.py",
    "a command": "x::error file=y.py::no%0A.py",
    "quotes": "a\"b'<&>.py",
    "turned round": "\u202egnp.py",
    "not of UTF-8": os.fsdecode(b"\xff\xfe.py"),
    "a space and a hash": "a b#c%20.py",
    "a control": "a\x01\x7f.py",
}


@pytest.mark.parametrize("name", NAMES)
def test_names_cannot_forge_a_report(name: str, tmp_path: Path) -> None:
    (tmp_path / NAMES[name]).write_text(HEAD + FAULT)
    report = check_paths([tmp_path])
    assert codes(report) == ["XE101"]
    for output in ("full", "concise", "github", "junit"):
        text = FORMATS[output](report)
        assert text.encode("utf-8")
        assert not any(ord(letter) < 32 and letter != "\n" for letter in text), output
        assert "\u202e" not in text
    assert FORMATS["concise"](report).count("\n") == 1
    assert FORMATS["github"](report).count("\n") == 1
    assert FORMATS["github"](report).count("::error ") == 1
    ElementTree.fromstring(FORMATS["junit"](report))
    for output in ("json", "gitlab", "sarif"):
        json.loads(FORMATS[output](report))
    uri = json.loads(FORMATS["sarif"](report))["runs"][0]["results"][0]["locations"][0][
        "physicalLocation"
    ]["artifactLocation"]["uri"]
    assert not set(uri) & set(' #"<>\n\x1b'), uri
    assert uri.isascii()


@pytest.mark.parametrize("name", NAMES)
def test_names_are_shown_by_the_command(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / NAMES[name]
    path.write_text("import torch; cross_entropy(")
    with pytest.raises(SystemExit) as stopped:
        main(["check", str(tmp_path), "--no-cache"])
    assert stopped.value.code == 0
    shown = capsys.readouterr().err
    assert "Not checked: " in shown
    assert not any(ord(letter) < 32 and letter != "\n" for letter in shown)


@pytest.mark.parametrize(
    "name", ["", "/", ".", "..", "\0", ".py", ".ipynb", "a\nb.ipynb", "\ud800.py", "a" * 10_000]
)
def test_any_name_for_standard_input(name: str) -> None:
    survived(check_text(HEAD + FAULT, name))


@pytest.mark.parametrize("name", ["\0", "a\0b", "\ud800", "a" * 10_000, "missing\n"])
def test_paths_that_mean_nothing(name: str) -> None:
    with pytest.raises(InputError, match=r"check: PATH must be a file or a folder"):
        check_paths([name])


def test_code_cannot_obey_in_frames() -> None:
    report = check_text(f"{HEAD}'\x1b[2J\u202e'; {FAULT}")
    assert codes(report) == ["XE101"]
    shown = FORMATS["full"](report)
    assert "\x1b" not in shown
    assert "\u202e" not in shown


# Settings.

SETTINGS = {
    "no TOML": "a = [",
    "not text": b"\xff\xfe = 1",
    "deep": "a = " + "[" * 50_000,
    "tool is a number": "tool = 3",
    "xent is a list": "[tool]\nxent = [1]",
    "check is a word": "[tool.xent]\ncheck = 'all'",
    "an unknown key": "[tool.xent.check]\nselekt = ['XE1']",
    "an unknown code": "[tool.xent.check]\nselect = ['XE999']",
    "numbers for codes": "[tool.xent.check]\nselect = [1]",
    "a word for a table": "[tool.xent.check]\nper-file-ignores = 'XE1'",
    "a table of words": "[tool.xent]\ncheck = [1, 2]",
    "numbers in a table": "[tool.xent.check]\nper-file-ignores = { 'a' = 3 }",
}


@pytest.mark.parametrize("name", SETTINGS)
def test_bad_settings_are_named(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = SETTINGS[name]
    (tmp_path / "pyproject.toml").write_bytes(text if isinstance(text, bytes) else text.encode())
    (tmp_path / "a.py").write_text(HEAD + FAULT)
    with pytest.raises(InputError) as caught:
        check_paths([tmp_path])
    assert "pyproject.toml" in str(caught.value)
    with pytest.raises(SystemExit) as stopped:
        main(["check", str(tmp_path), "--no-cache"])
    assert stopped.value.code == 2
    assert capsys.readouterr().err.startswith("Error: ")


def test_patterns_of_settings_take_no_time(tmp_path: Path) -> None:
    stars = "*a" * 40
    (tmp_path / "pyproject.toml").write_text(
        f"[tool.xent.check]\nexclude = ['{stars}', '', '/', '[', '**/**/**']\n"
        f"per-file-ignores = {{ '{stars}b' = ['XE1'], '' = ['XE1'] }}\n"
    )
    (tmp_path / f"{'a' * 200}.py").write_text(HEAD + FAULT)
    (tmp_path / "c.py").write_text(HEAD + FAULT)
    survived(check_paths([tmp_path]))

"""Files that are broken, huge, deep or strange: skipped with a reason, never a crash or a hang."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xent.wiring import check_paths, check_text
from xent.wiring._files._notebook import cells_of

FAULT = "import torch.nn.functional as F\nloss = F.cross_entropy(z.softmax(1), y)\n"
HEAD = "import torch\nimport torch.nn as nn\nimport torch.nn.functional as F\n"

UNREADABLE = {
    "does not parse": b"import torch; cross_entropy(\n",
    "does not parse: unindent": b"import torch\nif cross_entropy:\n    x\n  y\n",
    "source code string cannot contain null bytes": b"import torch\ncross_entropy = '\0'\n",
    "not text of its encoding": b"import torch # cross_entropy \xff\xfe\n",
    "not text of its encoding: unknown": b"# coding: nonsense\nimport torch; cross_entropy\n",
    "larger than 8 MiB": b"import torch; cross_entropy\n" + b"#" * (8 * 1024 * 1024),
    "nested too deeply": b"import torch; cross_entropy = " + b"-" * 100_000 + b"1\n",
}


@pytest.mark.parametrize("reason", UNREADABLE)
def test_what_cannot_be_read_is_skipped_with_a_reason(reason: str, tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_bytes(UNREADABLE[reason])
    (tmp_path / "good.py").write_text(FAULT)
    report = check_paths([tmp_path])
    assert [finding.code for finding in report.findings] == ["XE101"]
    ((path, found),) = report.problems
    assert Path(path).name == "bad.py"
    assert reason.partition(":")[0] in found


NOTEBOOKS = {
    "no JSON": b"import torch; cross_entropy",
    "no object": b'["torch cross_entropy"]',
    "no cells": b'{"torch": "cross_entropy"}',
    "no cells (null)": b'{"cells": null, "torch": "cross_entropy"}',
}


@pytest.mark.parametrize("reason", NOTEBOOKS)
def test_what_is_no_notebook(reason: str, tmp_path: Path) -> None:
    (tmp_path / "bad.ipynb").write_bytes(NOTEBOOKS[reason])
    ((_, found),) = check_paths([tmp_path]).problems
    assert found.startswith(f"not a notebook: {reason.partition(' (')[0]}")


def test_cells_with_missing_fields() -> None:
    cells = [
        None, 7, {}, {"cell_type": "code"}, {"cell_type": "code", "source": None},
        {"cell_type": "code", "source": ["a = 1\n", 5, "b = 2"]}, {"source": "c = 3"},
    ]  # fmt: skip
    found = cells_of(json.dumps({"cells": cells}).encode())
    assert [(cell.number, cell.text) for cell in found] == [(4, ""), (5, ""), (6, "a = 1\nb = 2")]


def test_lines_of_ipython_keep_their_numbers() -> None:
    cells = ["%matplotlib inline\n!pip install torch\nfiles = !ls\nhelp?\nx = 1", "%%bash\nls | wc"]
    found = cells_of(
        json.dumps({"cells": [{"cell_type": "code", "source": c} for c in cells]}).encode()
    )
    assert [cell.text for cell in found] == ["pass\npass\nfiles = None\npass\nx = 1", "\n"]


ELIFS = "".join(f"elif b == {i}:\n    x = {i}\n" for i in range(900))
CIRCLE = "".join(
    f"def f{i}(x):\n    return torch.softmax(f{(i + 1) % 40}(x), 1) + f{(i + 7) % 40}(x)\n"
    for i in range(40)
)
NESTED = "".join(f"{'  ' * i}def f{i}(x):\n" for i in range(60))
DEEP = {
    "a long sum": "x = " + " + ".join(["y"] * 800),
    "many elifs": f"if a:\n    x = 1\n{ELIFS}",
    "nested brackets": "x = " + "[" * 90 + "]" * 90,
    "nested functions": f"{NESTED}{'  ' * 60}pass",
    "nested calls": "x = " + "f(" * 80 + ")" * 80,
    "chained methods": "x = y" + ".view(1, 2)" * 300,
    "a function that calls itself": "def f(x):\n    return f(f(x.softmax(1)))\nf(x)",
    "functions that call each other": f"{CIRCLE}f0(x)",
    "a class that is its own base": """
class A(A):
    def forward(self, x):
        return x.softmax(1)
A()(x)""",
    "bases in a circle": """
class A: pass
B = A
class A(B): pass
class B(A):
    def loss(self): return F.softmax(self.x, 1)""",
    "a list in itself": """
a = []
a.append(a)
b = [a]
a.append(b)
for q in a:
    for r in q: nn.Sequential(*r)""",
    "a dict in itself": """
d = {}
d['d'] = d
if x:
    d['d'] = {}
d['d']['d']""",
    "attributes in a circle": """
class A:
    def __init__(self): self.a = self
    def f(self): return self.a.a.a.a.softmax(1)""",
    "huge numbers": """
x = 10 ** 10 ** 10
y = 'a' * 10 ** 10
w = [nn.Softmax(1)] * 10 ** 10
range(10 ** 18)""",
    "a property of itself": """
class A:
    @property
    def p(self):
        return self.p.softmax(1)
A().p""",
}


@pytest.mark.parametrize("name", DEEP)
def test_depth_and_recursion_are_survived(name: str) -> None:
    report = check_text(f"{HEAD}{DEEP[name]}\n{FAULT}")
    assert "XE101" in {finding.code for finding in report.findings}, report.problems
    assert not any("fault of xent's own" in reason for _, reason in report.problems)


def test_a_hundred_thousand_lines_in_one_function() -> None:
    lines = "".join(f"    x{i} = torch.relu(x{i - 1})\n" for i in range(1, 100_000))
    report = check_text(f"{HEAD}def f(x0):\n{lines}    return F.cross_entropy(x0, y)\n{FAULT}")
    assert {finding.code for finding in report.findings} <= {"XE101"}
    assert any(reason.startswith("read in part: ") for _, reason in report.problems)


def test_exponentially_many_paths() -> None:
    functions = "".join(f"def f{i}(x):\n    return f{i + 1}(x) + f{i + 1}(x)\n" for i in range(40))
    report = check_text(f"{HEAD}{functions}def f40(x):\n    return x.softmax(1)\n{FAULT}")
    assert [finding.code for finding in report.findings] == ["XE101"]


def test_links_in_a_loop(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text(FAULT)
    (tmp_path / "again").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "loop.py").symlink_to(tmp_path / "loop.py")
    report = check_paths([tmp_path])
    assert len(report.findings) == 1
    assert [Path(path).name for path, _ in report.problems] == ["loop.py"]


def test_imports_in_a_circle(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text(f"from b import g\nfrom a import f\n{FAULT}")
    (tmp_path / "b.py").write_text(
        "from a import f as g\nfrom b import *\nimport torch; softmax = g\n"
    )
    assert [finding.code for finding in check_paths([tmp_path]).findings] == ["XE101"]


def test_stars_in_a_circle(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text(f"from b import *\nfrom a import *\nnowhere\n{FAULT}")
    (tmp_path / "b.py").write_text("from a import *\nfrom b import *\n")
    report = check_paths([tmp_path])
    assert [finding.code for finding in report.findings] == ["XE101"]
    assert report.problems == ()


def test_nothing_is_run(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text(f"{FAULT}open('run', 'w')\nraise SystemExit(3)\n")
    (tmp_path / "torch.py").write_text("raise RuntimeError\n")
    assert [finding.code for finding in check_paths([tmp_path]).findings] == ["XE101"]
    assert not (tmp_path / "run").exists()
    assert not Path("run").exists()


PIECES = [
    "x = F.softmax(x, dim=1)", "x = net(x)", "loss = F.cross_entropy(x, y)", "x, y = y, x",
    "net = nn.Sequential(nn.Linear(2, 2), *layers)", "layers.append(nn.Softmax(1))", "layers = []",
    "del x", "x = [x for x in x]", "x = {'a': x, **x}", "x = x['a'][0][:, 1]", "return x",
    "yield x", "global x", "x += x", "x = x if y else -x", "x = lambda x: x(x)", "x = x(x)",
    "net.fc = net", "x = (y := x)", "x = not x < 0.5 < y", "raise x", "break", "*x, y = x",
    "from . import x", "import x.y as z", "x = super().forward(x)", "x.add_module('a', x)",
    "x = x @ x ** 2 / x.sum(1)", "x = nn.ModuleDict({'a': x})", "assert x, y", "x = await x",
    "x[x] = x", "x.y.z = x", "setattr(x, 'y', x)", "x = getattr(x, 'y', x)", "x = zip(x, x)",
]  # fmt: skip
OPENERS = ["if x:", "for x in net:", "while x:", "with torch.no_grad() as x:", "try:",
           "def x(self, x=x, *y, **z):", "class x(x, nn.Module):", "match x:"]  # fmt: skip


@st.composite
def programs(draw: st.DrawFn) -> str:
    """Programs of the pieces, nested at random; not all of them make sense or parse."""
    lines: list[str] = []
    depth = 0
    for _ in range(draw(st.integers(1, 25))):
        if draw(st.booleans()):
            lines.append("    " * depth + draw(st.sampled_from(PIECES)))
            depth = max(0, depth - draw(st.integers(0, 1)))
        else:
            opener = draw(st.sampled_from(OPENERS))
            lines.append("    " * depth + opener)
            depth += 1
            if opener == "match x:":
                lines.append("    " * depth + "case [x, *y]:")
                depth += 1
            lines.append("    " * depth + draw(st.sampled_from(PIECES)))
            if opener == "try:":
                lines.append("    " * (depth - 1) + "except x as y:")
                lines.append("    " * depth + draw(st.sampled_from(PIECES)))
    return HEAD + "\n".join(lines) + "\n"


@settings(max_examples=150, deadline=None, derandomize=True)
@given(programs())
def test_any_program_is_survived(program: str) -> None:
    report = check_text(program, extend_select=["ALL"])
    assert not any("fault of xent's own" in reason for _, reason in report.problems), program


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.binary(max_size=200))
def test_any_bytes_are_survived(data: bytes) -> None:
    for name in ("a.py", "a.ipynb"):
        check_text(b"import torch; softmax\n" + data, name)
        check_text(data, name)

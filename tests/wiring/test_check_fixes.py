"""Fixes: what they make of every sample, and that they bring no other fault."""

from __future__ import annotations

import ast
import json
import re
import textwrap
from collections import Counter
from pathlib import Path

import pytest
from case_pages import Sample, samples

from xent.wiring import RULES, Finding, Report, check_paths, check_text
from xent.wiring._fixes._edits import apply_edits
from xent.wiring._fixes._fixing import fix_paths, fix_text
from xent.wiring._output._differences import diff

FAULTY = [sample for sample in samples() if sample.kind == "Faulty"]
EVERY = [pytest.param(each, id=f"{each.code}-{each.name}") for each in FAULTY]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # code that is in no file finds no other file


def all_of(folder: Path) -> Report:
    return check_paths([folder], select=["ALL"], jobs=1)


def fixable(report: Report) -> list[Finding]:
    return [finding for finding in report.findings if finding.fix is not None]


def counted(report: Report) -> Counter[tuple[str, str]]:
    return Counter((each.code, each.place.path) for each in report.everything)


def parses(path: Path) -> bool:
    if path.suffix == ".ipynb":
        cells = json.loads(path.read_bytes())["cells"]
        texts = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
        texts = ["".join(line for line in text.splitlines(True) if line[0] != "%")
                 for text in texts]  # fmt: skip
    else:
        texts = [path.read_text(encoding="utf-8")]
    return all(isinstance(ast.parse(text), ast.Module) for text in texts)


@pytest.mark.parametrize("sample", EVERY)
def test_fixing_leaves_fewer_findings_and_brings_none(sample: Sample, tmp_path: Path) -> None:
    sample.write(tmp_path)
    before = all_of(tmp_path)
    fixed = fix_paths([tmp_path], select=["ALL"], jobs=1, unsafe=True)
    assert bool(fixed.count) == bool(fixed.changes)
    for change in fixed.changes:
        Path(change.path).write_bytes(change.after)
        assert parses(Path(change.path))
    after = all_of(tmp_path)
    assert after.findings == fixed.report.findings
    assert counted(after) <= counted(before)
    assert sum(counted(before).values()) - sum(counted(after).values()) >= fixed.count
    left = Counter(finding.code for finding in fixable(after))
    assert left == Counter(finding.code for finding in fixed.dropped)
    again = fix_paths([tmp_path], select=["ALL"], jobs=1, unsafe=True)
    assert (again.count, again.changes) == (0, ())


@pytest.mark.parametrize("sample", EVERY)
def test_each_fix_takes_its_own_finding_away(sample: Sample, tmp_path: Path) -> None:
    sample.write(tmp_path)
    before = all_of(tmp_path)
    for finding in fixable(before):
        fix = finding.fix
        assert fix is not None
        texts = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
        for path in {edit.place.path for edit in fix.edits}:
            edits = [edit for edit in fix.edits if edit.place.path == path]
            Path(path).write_bytes(apply_edits(path, texts[Path(path)], edits))
        after = all_of(tmp_path)
        assert (
            counted(after)[finding.code, finding.place.path]
            < (counted(before)[finding.code, finding.place.path])
        )
        assert counted(after) <= counted(before)
        for path, data in texts.items():
            path.write_bytes(data)


def test_every_rule_that_says_so_has_fixes_and_no_other(tmp_path: Path) -> None:
    found: dict[str, set[bool]] = {}
    for number, sample in enumerate(FAULTY):
        sample.write(tmp_path / str(number))
        for finding in fixable(all_of(tmp_path / str(number))):
            assert finding.fix is not None
            found.setdefault(finding.code, set()).add(finding.fix.safe)
    found["XE001"] = {True}  # below
    said = {"safe": {True}, "unsafe": {False}, "safe or unsafe": {True, False}}
    repairs = {code: said[rule.repair.safety] for code, rule in RULES.items() if rule.repair}
    found["XE205"].add(True)  # below
    assert found == repairs


@pytest.mark.parametrize("rule", [r for r in RULES.values() if r.repair], ids=lambda r: r.code)
def test_the_example_of_a_rule_is_repaired(rule: object) -> None:
    example = RULES[rule.code].example  # type: ignore[attr-defined]
    fixed = fix_text(example.encode(), "-", select=["ALL"], unsafe=True)
    assert fixed.count >= 1
    assert rule.code not in {each.code for each in fixed.report.everything}  # type: ignore[attr-defined]


@pytest.mark.parametrize("rule", [r for r in RULES.values() if r.repair], ids=lambda r: r.code)
def test_repairs_are_documented(rule: object) -> None:
    repair = RULES[rule.code].repair  # type: ignore[attr-defined]
    assert repair is not None
    assert repair.safety in ("safe", "unsafe", "safe or unsafe")
    assert repair.words[0].isupper()
    assert repair.words.endswith(".")


FORMS = {
    "line ends": lambda code: code.replace("\n", "\r\n"),
    "a byte order mark": lambda code: f"\ufeff{code}",
    "tabs": lambda code: re.sub(r"(?m)^( {4})+", lambda m: "\t" * (len(m[0]) // 4), code),
    "one block": lambda code: "if True:\n" + textwrap.indent(code, "    "),
    "a last line without end": lambda code: code.rstrip("\n"),
}


@pytest.mark.parametrize("form", FORMS)
def test_how_a_file_is_written_makes_no_difference(form: str) -> None:
    write, count = FORMS[form], 0
    for sample in FAULTY:
        ((name, code), *more) = sample.files
        if more or not name.endswith(".py") or "\n#" in code:
            continue
        fixed = fix_text(code.encode(), name, select=["ALL"], unsafe=True)
        if fixed.changes:
            count += 1
            again = fix_text(write(code).encode(), name, select=["ALL"], unsafe=True)
            after = fixed.changes[0].after.decode()
            assert again.changes[0].after.decode() == write(after), sample.name
    assert count > 90


HEAD = "import torch\nimport torch.nn as nn\nimport torch.nn.functional as F\n"
GOLDEN = {
    "an argument": (
        "loss = F.cross_entropy(F.softmax(model(x), dim=1), y)",
        "loss = F.cross_entropy(model(x), y)",
    ),
    "a sum": (
        "loss = F.cross_entropy((F.softmax(a + b, dim=1)).view(-1, 4), y)",
        "loss = F.cross_entropy(((a + b)).view(-1, 4), y)",
    ),
    "a sum as a method": (
        "p = (a + b).softmax(1).flatten(1)\nF.cross_entropy(p, y)",
        "p = (a + b).flatten(1)\nF.cross_entropy(p, y)",
    ),
    "several lines": (
        "p = F.softmax(\n    a\n    + b,\n    dim=1,\n)\nF.cross_entropy(p, y)",
        "p = (a\n    + b)\nF.cross_entropy(p, y)",
    ),
    "a comment inside": (
        "p = F.softmax(\n    a,  # scores\n    dim=1,\n)\nF.cross_entropy(p, y)",
        None,
    ),
    "the result is read elsewhere": (
        "def f(z, y):\n    p = F.softmax(z, dim=1)\n    show(p)\n    return F.cross_entropy(p, y)",
        "def f(z, y):\n    p = F.softmax(z, dim=1)\n    show(p)\n    return F.cross_entropy(z, y)",
    ),
    "the last layer, on a line of its own": (
        "m = nn.Sequential(\n    nn.Linear(2, 3),\n    nn.Softmax(1),\n)\nF.cross_entropy(m(x), y)",
        "m = nn.Sequential(\n    nn.Linear(2, 3),\n)\nF.cross_entropy(m(x), y)",
    ),
    "a layer with a comment before it": (
        "m = nn.Sequential(\n    nn.Linear(2, 3),  # scores\n    nn.Softmax(dim=1),\n)\n"
        "F.cross_entropy(m(x), y)",
        "m = nn.Sequential(\n    nn.Linear(2, 3),  # scores\n    nn.Identity(),\n)\n"
        "F.cross_entropy(m(x), y)",
    ),
    "nothing but the activation": (
        "def step(x, y):\n    x = F.softmax(x, dim=1)\n    return F.cross_entropy(x, y)",
        "def step(x, y):\n    return F.cross_entropy(x, y)",
    ),
    "one class of a softmax": (
        "F.binary_cross_entropy_with_logits(F.softmax(z, dim=1)[:, 1], y)",
        None,
    ),
    "the complement": ("F.binary_cross_entropy_with_logits(1 - torch.sigmoid(z), y)", None),
    "clamped in between": (
        "p = torch.sigmoid(z).clamp(0.01, 0.99)\nF.binary_cross_entropy_with_logits(p, y)",
        None,
    ),
    "its logarithm is taken too": (
        "p = F.softmax(model(x), dim=1)\nh = torch.log(p)\nF.cross_entropy(p, y)",
        None,
    ),
    "a threshold on it": (
        "p = torch.sigmoid(model(x))\nq = p > 0.5\nF.binary_cross_entropy_with_logits(p, y)",
        None,
    ),
    "used rightly elsewhere": (
        "p = torch.sigmoid(model(x))\n"
        "F.binary_cross_entropy_with_logits(p, y) + F.binary_cross_entropy(p, y)",
        None,
    ),
    "a loop over layers": (
        "def step(x, y, layers):\n    for layer in layers:\n        x = torch.sigmoid(layer(x))\n"
        "    return F.cross_entropy(x, y)",
        None,
    ),
    "a function for attention and head": (
        "def norm(x):\n    return F.softmax(x, dim=-1)\n\n\n"
        "def step(a, v, w, y):\n    return F.cross_entropy(norm(norm(a) @ v @ w), y)",
        None,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", GOLDEN)
def test_what_an_activation_becomes(name: str) -> None:
    before, after = GOLDEN[name]
    fixed = fix_text(f"{HEAD}{before}\n".encode(), select=["XE1"], unsafe=True)
    texts = [change.after.decode() for change in fixed.changes]
    assert texts == ([] if after is None else [f"{HEAD}{after}\n"])


IN_PLACE = ["z.sigmoid_()", "torch.sigmoid_(z)", "torch.sigmoid(z, out=z)"]


@pytest.mark.parametrize("call", [*IN_PLACE, "z = torch.sigmoid(z)"])
def test_what_changes_its_input_is_not_replaced_by_what_does_not(call: str) -> None:
    code = f"""{HEAD}net = nn.Linear(8, 4)
def train(x, y):
    return F.cross_entropy(net(x), y)
def predict(x):
    z = net(x)
    {call}
    return z
"""
    fixed = fix_text(code.encode(), select=["XE301"], unsafe=True)
    assert bool(fixed.report.findings) == (call in IN_PLACE)
    assert bool(fixed.changes) == (call not in IN_PLACE)


APART = {
    "net.train()": False,
    "def scores(x): return net[:-1](x)": True,
    "n = len(net)": True,
    "for layer in net: print(layer)": True,
    "kinds = [type(layer) for layer in net]": True,
    "linear, last = [*net]": True,
    "body = nn.Sequential(*list(net.children())[:-1])": True,
}


@pytest.mark.parametrize("use", APART)
def test_a_layer_stays_as_another_where_layers_are_counted(use: str) -> None:
    code = f"{HEAD}net = nn.Sequential(nn.Linear(2, 3), nn.Softmax(1))\n{use}\n"
    code += "F.cross_entropy(net(x), y)\n"
    (change,) = fix_text(code.encode(), unsafe=True).changes
    after = ", nn.Identity()" if APART[use] else ""
    assert change.after.decode() == code.replace(", nn.Softmax(1)", after)


NAMES = {
    "import torch.nn.functional as F\nF.cross_entropy(F.log_softmax(m(x), 0), y)":
        "import torch.nn.functional as F\nF.cross_entropy(m(x), y)",
    "from torch.nn.functional import nll_loss, softmax\nnll_loss(softmax(z, 1), y)": None,
    "import torch\nfrom torch.nn.functional import nll_loss, softmax\nnll_loss(softmax(z, 1), y)":
        "import torch\nfrom torch.nn.functional import nll_loss, softmax\n"
        "nll_loss(torch.nn.functional.log_softmax(z, 1), y)",
    "from torch.nn.functional import nll_loss, softmax, log_softmax\nnll_loss(softmax(z, 1), y)":
        "from torch.nn.functional import nll_loss, softmax, log_softmax\n"
        "nll_loss(log_softmax(z, 1), y)",
    "from torch import nn\nnn.functional.nll_loss(nn.functional.softmax(z, 1), y)":
        "from torch import nn\nnn.functional.nll_loss(nn.functional.log_softmax(z, 1), y)",
    "import torch as t\nt.nn.functional.nll_loss(t.softmax(z, 1), y)":
        "import torch as t\nt.nn.functional.nll_loss(t.log_softmax(z, 1), y)",
    "from torch.nn import NLLLoss, Linear\nNLLLoss()(Linear(2, 3)(x), y)": None,
    "import torch\nfrom torch.nn import NLLLoss, Linear\nNLLLoss()(Linear(2, 3)(x), y)":
        "import torch\nfrom torch.nn import NLLLoss, Linear\n"
        "torch.nn.CrossEntropyLoss()(Linear(2, 3)(x), y)",
    "import torch.nn as nn\nfrom torch.nn import BCELoss\nb = BCELoss()\nb(nn.Linear(2, 1)(x), y)":
        "import torch.nn as nn\nfrom torch.nn import BCELoss\n"
        "b = nn.BCEWithLogitsLoss()\nb(nn.Linear(2, 1)(x), y)",
    "import xent.functional as F\nF.nll_loss(F.softmax(z, 1), y)":
        "import xent.functional as F\nF.nll_loss(F.log_softmax(z, 1), y)",
    # An import that comes later, or in a function, gives no name here.
    "from torch.nn.functional import nll_loss, softmax\nnll_loss(softmax(z, 1), y)\nimport torch":
        None,
    "from torch.nn.functional import nll_loss, softmax\nnll_loss(softmax(z, 1), y)\n"
    "def f():\n    import torch": None,
}  # fmt: skip


@pytest.mark.parametrize("code", NAMES)
def test_names_come_from_the_imports_of_the_file(code: str) -> None:
    fixed = fix_text(f"{code}\n".encode(), select=["XE1"], unsafe=True)
    after = NAMES[code]
    assert [change.after.decode() for change in fixed.changes] == (
        [] if after is None else [f"{after}\n"]
    )


def test_faults_that_follow_from_each_other_are_repaired_together() -> None:
    """The loss takes logits after the fix, so the threshold has to be that of logits."""
    code = """import torch.nn as nn
net = nn.Linear(8, 1)
criterion = nn.BCELoss()
def train(x, y):
    return criterion(net(x), y)
def predict(x):
    return net(x) > 0.5
"""
    fixed = fix_text(code.encode(), unsafe=True)
    assert (fixed.count, fixed.report.findings, fixed.dropped) == (1, (), ())
    assert fixed.changes[0].after.decode() == (
        code.replace("BCELoss", "BCEWithLogitsLoss").replace("0.5", "0")
    )


def test_a_fix_that_would_bring_another_fault_is_dropped() -> None:
    """Rounding tells probabilities apart; of logits it has no repair."""
    code = """import torch.nn as nn
net = nn.Linear(8, 1)
criterion = nn.BCELoss()
def train(x, y):
    return criterion(net(x), y)
def predict(x):
    return net(x).round()
"""
    fixed = fix_text(code.encode(), unsafe=True)
    assert (fixed.count, fixed.changes) == (0, ())
    assert [finding.code for finding in fixed.dropped] == ["XE105"]
    assert [finding.code for finding in fixed.report.findings] == ["XE105"]


def test_who_needs_probabilities_in_another_file_keeps_them(tmp_path: Path) -> None:
    files = {
        "model.py": "import torch\nlast = torch.nn.Linear(2, 3)\n"
        "def head(x):\n    return torch.softmax(last(x), 1)\n",
        "a.py": "import torch\nfrom model import head\ntorch.nn.CrossEntropyLoss()(head(x), y)\n",
        "b.py": "import torch\nfrom model import head\ntorch.nn.BCELoss()(head(x), y)\n",
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    fixed = fix_paths([tmp_path], jobs=1, unsafe=True)
    assert fixed.changes == ()
    assert [finding.code for finding in fixed.report.findings] == ["XE101"]


def test_only_files_that_were_asked_for_are_changed(tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text(
        "import torch\ndef head(x):\n    return torch.softmax(x, 1)\n"
    )
    (tmp_path / "a.py").write_text(
        "import torch\nfrom model import head\ntorch.nn.CrossEntropyLoss()(head(x), y)\n"
    )
    (finding,) = check_paths([tmp_path / "a.py"]).findings
    assert finding.fix is None
    (finding,) = check_paths([tmp_path]).findings
    assert finding.fix is not None
    assert finding.fix.edits[0].place.path == str(tmp_path / "model.py")


def test_all_origins_of_branches_are_repaired_or_none() -> None:
    code = "import torch\ndef f(z, c, y):\n    if c:\n        p = {}\n    else:\n        p = z.softmax(1)\n    return torch.nn.CrossEntropyLoss()(p, y)\n"  # fmt: skip # noqa: E501
    fixed = fix_text(code.format("torch.softmax(z, 1)").encode(), unsafe=True)
    assert fixed.changes[0].after.decode() == code.format("z").replace("z.softmax(1)", "z")
    by_hand = code.format("torch.exp(z) / torch.exp(z).sum(1)")
    fixed = fix_text(by_hand.encode(), unsafe=True)
    assert [finding.code for finding in fixed.report.findings] == ["XE101"]
    assert fixed.changes == ()


def test_only_safe_fixes_unless_asked() -> None:
    code = f"{HEAD}a = F.cross_entropy(F.softmax(z, 1), y)\nb = torch.log(torch.sigmoid(z))\n"
    fixed = fix_text(code.encode(), select=["ALL"])
    assert [finding.code for finding in fixed.report.findings] == ["XE101"]
    assert fixed.changes[0].after.decode() == code.replace(
        "torch.log(torch.sigmoid(z))", "F.logsigmoid(z)"
    )


def test_only_what_is_shown_is_fixed() -> None:
    code = f"{HEAD}b = torch.log(torch.sigmoid(z))\n"
    assert fix_text(code.encode()).changes == ()
    silenced = code.replace("(z))", "(z))  # noqa: XE502")
    assert fix_text(silenced.encode(), select=["ALL"]).changes == ()


def test_many_faults_in_one_function() -> None:
    """More than is read in one go: what is read is repaired, and nothing else is touched."""
    lines = [
        f"    loss = F.cross_entropy(F.softmax(a{i}, dim=1), y) + torch.log(torch.sigmoid(b{i}))\n"
        for i in range(600)
    ]
    code = f"{HEAD}def f(y):\n{''.join(lines)}"
    fixed = fix_text(code.encode(), select=["ALL"], unsafe=True)
    assert fixed.count > 300
    assert fixed.dropped == ()
    after = fixed.changes[0].after.decode()
    assert after.count("F.softmax") + after.count("F.cross_entropy(a") == 600
    assert after.count("torch.sigmoid") + after.count("F.logsigmoid") == 600


SUPPRESSIONS = {
    "x = 1  # noqa: XE101": "x = 1",
    "x = 1  # noqa: E501, XE101": "x = 1  # noqa: E501",
    "x = 1  # noqa: XE101, XE102": "x = 1",
    "x = 1  # xent: ignore[XE101] while we compare": "x = 1",
    "x = 1  # xent: ignore[softmax-into-cross-entropy]": "x = 1",
    "x = 1  # xent: ignore": "x = 1",
    "# xent: ignore-file[XE3]": "",
    "x = 1  # xent: ignore[ XE101 , XE102 ]": "x = 1",
    "x = 1  # noqa: XE101 because of it": None,
    "x = 1  # xent: ignore[XE101] so  # type: ignore": None,
    "x = 1  # xent: ignore[XE101, XE102] so  # type: ignore": None,
    "x = 1  # the first  # noqa: XE101": None,
}


@pytest.mark.parametrize("line", SUPPRESSIONS)
def test_a_comment_that_silences_nothing_goes(line: str) -> None:
    fixed = fix_text(f"import torch\n{line}\ny = 2\n".encode())
    after = SUPPRESSIONS[line]
    assert [change.after.decode() for change in fixed.changes] == (
        [] if after is None else [f"import torch\n{after}\ny = 2\n"]
    )


def test_two_axes_make_the_axis_certain() -> None:
    for argument, safe in {"z.view(-1, 4)": True, "z.flatten(1)": True, "z": False}.items():
        (finding,) = check_text(f"{HEAD}F.softmax({argument})\n", select=["XE205"]).findings
        assert finding.fix is not None
        assert (finding.fix.title, finding.fix.safe) == ("Add dim=1", safe)


def test_a_difference() -> None:
    code = f"{HEAD}loss = F.nll_loss(F.softmax(z, dim=1), y)"
    fixed = fix_text(code.encode(), "train.py", unsafe=True)
    assert diff(fixed.changes) == (
        "--- train.py\n+++ train.py\n@@ -1,4 +1,4 @@\n import torch\n import torch.nn as nn\n"
        " import torch.nn.functional as F\n"
        "-loss = F.nll_loss(F.softmax(z, dim=1), y)\n\\ No newline at end of file\n"
        "+loss = F.nll_loss(F.log_softmax(z, dim=1), y)\n\\ No newline at end of file\n"
    )


def test_the_difference_of_a_notebook_is_that_of_its_cells() -> None:
    cells = [
        {"cell_type": "markdown", "source": "# Title"},
        {"cell_type": "code", "source": ["%time\n", "import torch.nn.functional as F\n"]},
        {"cell_type": "code", "source": "F.nll_loss(F.softmax(z, 1), y)\nprint('\x1b[2J')\n"},
    ]
    data = json.dumps({"cells": cells}).encode()
    fixed = fix_text(data, "a.ipynb", unsafe=True)
    assert diff(fixed.changes) == (
        "--- a.ipynb:cell 3\n+++ a.ipynb:cell 3\n@@ -1,2 +1,2 @@\n"
        "-F.nll_loss(F.softmax(z, 1), y)\n+F.nll_loss(F.log_softmax(z, 1), y)\n"
        " print('\\x1b[2J')\n"
    )

"""Safe fixes leave values and gradients as they are, to rounding."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from case_pages import IMPORTS, Sample, samples

from xent.wiring import check_paths, check_text
from xent.wiring._fixes._fixing import fix_paths, fix_text

# Each is the body of f(x, y), with x of 6 rows and 4 columns and y the class of each row.
EXPRESSIONS = {
    "XE102": [
        "F.cross_entropy(F.log_softmax(x, dim=1), y)",
        "F.cross_entropy(F.log_softmax(x, 1), F.one_hot(y, 4).double())",
        "F.cross_entropy(torch.log_softmax(x, dim=1), y, label_smoothing=0.1)",
        "nn.CrossEntropyLoss(weight=torch.ones(4).double())(x.log_softmax(1), y)",
        "F.cross_entropy(input=F.log_softmax(x * 2, dim=1), target=y, reduction='sum')",
    ],
    "XE502": [
        "torch.log(torch.sigmoid(x))",
        "torch.log(1 - torch.sigmoid(x))",
        "torch.log(1.0 - x.sigmoid())",
        "x.sigmoid().log() * 2",
        "(1 - x.sigmoid()).log().mean()",
        "torch.log(input=torch.sigmoid(x - x.mean()))",
        "torch.log(1 - torch.sigmoid(x * 2 + 1)) ** 2",
    ],
    "XE503": [
        "torch.log(torch.exp(x).sum(dim=1))",
        "torch.log(torch.sum(torch.exp(x), dim=1))",
        "torch.log(torch.sum(torch.exp(x), 1, True))",
        "x - x.exp().sum(-1, keepdim=True).log()",
        "torch.log((x * 2 + 1).exp().sum((0, 1)))",
        "(x + 1).exp().sum(axis=0).log() * 3",
        "torch.log(torch.exp(x).sum(dim=[0, 1], keepdim=True))",
    ],
    "XE205": ["F.softmax(x.view(3, 8))", "F.log_softmax(x.flatten(1)) ** 2"],
}  # fmt: skip
STATEMENTS = {
    "XE102": [
        "t = x.argmax(1)\n    p = F.log_softmax(x, dim=1)\n    show(p)\n"
        "    return F.cross_entropy(p, t)",
        "p = x.log_softmax(1)\n    show(p)\n    c = nn.CrossEntropyLoss(reduction='sum')\n"
        "    return c(p, y.long())",
        "p = F.log_softmax(x, dim=1)\n    return F.cross_entropy(p, y)",
    ],
    "XE502": ["p = torch.sigmoid(x)\n    return torch.log(p) + (1 - p).log()"],
    "XE503": [
        "e = torch.exp(x)\n    total = e.sum(dim=1, keepdim=True)\n    return x - torch.log(total)"
    ],
}  # fmt: skip
CODES = [
    (code, body)
    for code in EXPRESSIONS
    for body in [f"return {each}" for each in EXPRESSIONS[code]] + STATEMENTS.get(code, [])
]


def outcome(function: Callable[..., torch.Tensor], *arguments: object) -> list[torch.Tensor]:
    """The value and the gradients of its sum by every argument that has any."""
    torch.manual_seed(1)
    leaves = [each for each in arguments if isinstance(each, torch.Tensor) and each.requires_grad]
    value = function(*arguments)
    weights = torch.linspace(0.5, 1.5, value.numel(), dtype=value.dtype).reshape(value.shape)
    grads = torch.autograd.grad((value * weights).sum(), leaves)
    return [value.detach(), *grads]


def defined(code: str, name: str = "f") -> Callable[..., torch.Tensor]:
    space: dict[str, Callable[..., torch.Tensor]] = {"show": lambda *_: torch.zeros(1)}
    torch.manual_seed(0)
    exec(code, space)
    return space[name]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(("code", "body"), CODES)
@pytest.mark.filterwarnings("ignore:Implicit dimension choice")
def test_value_and_gradient_stay(code: str, body: str) -> None:
    before = f"{IMPORTS}show = lambda *_: None\ndef f(x, y):\n    {body}\n"
    fixed = fix_text(before.encode(), select=[code])
    assert fixed.count >= 1
    assert fixed.report.findings == ()
    after = fixed.changes[0].after.decode()
    torch.manual_seed(3)
    x = torch.randn(6, 4, dtype=torch.float64, requires_grad=True)
    y = torch.tensor([0, 3, 1, 2, 2, 0])
    for one, other in zip(outcome(defined(before), x, y), outcome(defined(after), x, y),
                          strict=True):  # fmt: skip
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


SAFE = [each for each in samples() if each.code in EXPRESSIONS and each.kind == "Faulty"]


@pytest.mark.parametrize("sample", SAFE, ids=[f"{each.code}-{each.name}" for each in SAFE])
@pytest.mark.filterwarnings("ignore:Implicit dimension choice")
def test_the_samples_give_the_same(sample: Sample, tmp_path: Path) -> None:
    sample.write(tmp_path)
    fixed = fix_paths([tmp_path], select=["ALL"], jobs=1)
    for change in fixed.changes:
        before, after = change.before.decode(), change.after.decode()
        x = torch.randn(6, 8, requires_grad=True)
        space: dict[str, object] = {
            "x": x, "score": x, "y": torch.tensor([0, 3, 1, 2, 2, 0]), "model": torch.nn.Identity(),
        }  # fmt: skip
        if sample.code == "XE502":
            space["y"] = torch.rand(6, 8)
        for name in ("f", "step", "energy", "loss"):
            if f"def {name}(" in before:
                names = inspect.signature(defined(before, name)).parameters
                given = [space[each] for each in names]
                pairs = zip(outcome(defined(before, name), *given),
                            outcome(defined(after, name), *given), strict=True)  # fmt: skip
                for one, other in pairs:
                    torch.testing.assert_close(one, other)


NOT_SAFE = {
    "without gradients": (
        "with torch.no_grad():\n        p = F.log_softmax(x, dim=1)\n"
        "    return F.cross_entropy(p, y)"
    ),
    "another axis": "return F.cross_entropy(F.log_softmax(x, dim=0), y)",
    "the last axis": "return F.cross_entropy(F.log_softmax(x, dim=-1), y)",
    "reshaped in between": "return F.cross_entropy(F.log_softmax(x, dim=1).view(-1, 4), y)",
    "targets that may be probabilities": (
        "p = F.log_softmax(x, dim=1)\n    show(p)\n    return F.cross_entropy(p, y)"
    ),
    "a loss that is used for logits too": (
        "c = nn.CrossEntropyLoss()\n    show(c)\n    p = F.log_softmax(x, dim=1)\n    show(p)\n"
        "    return c(p, y.long())"
    ),
}


@pytest.mark.parametrize("name", NOT_SAFE)
def test_what_may_change_a_number_is_unsafe(name: str) -> None:
    code = f"{IMPORTS}def f(x, y):\n    {NOT_SAFE[name]}\n"
    for finding in check_text(code, select=["XE102"]).findings:
        assert finding.fix is None or not finding.fix.safe
    assert fix_text(code.encode(), select=["XE102"]).changes == ()


NO_FIX = {
    "a base of the logarithm": "return torch.log(torch.sigmoid(x), out=y)",
    "the sum of all": "return torch.log(torch.exp(x).sum())",
    "a sum of another type": "return torch.log(torch.exp(x).sum(1, dtype=torch.float64))",
    "a name set twice": (
        "p = torch.sigmoid(x)\n    if y:\n        x = x + 1\n    return torch.log(p)"
    ),
    "changed in place": "p = torch.sigmoid(x)\n    x.add_(1)\n    return torch.log(p)",
    "a model called once more": "p = torch.sigmoid(show(x))\n    return torch.log(p)",
    "without gradients": (
        "with torch.no_grad():\n        p = torch.sigmoid(x)\n    return torch.log(p)"
    ),
    "a comment": "return torch.log(\n        torch.sigmoid(x)  # of the first\n    )",
}


@pytest.mark.parametrize("name", NO_FIX)
def test_where_a_formula_is_left_as_it_is(name: str) -> None:
    code = f"{IMPORTS}def f(x, y):\n    {NO_FIX[name]}\n"
    found = check_text(code, select=["XE50"]).findings
    assert [finding.fix for finding in found] == [None]


def test_a_fix_is_offered_with_its_safety(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text(f"{IMPORTS}a = torch.log(torch.softmax(z, 1))\n")
    (finding,) = check_paths([tmp_path], select=["XE501"]).findings
    assert finding.fix is not None
    assert (finding.fix.title, finding.fix.safe) == ("Use log_softmax", False)

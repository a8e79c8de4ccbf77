"""Code of the user's own as text: it changes with all that it leads to, and with nothing else."""

import functools
import importlib
import subprocess
import sys
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import nn

from xent.study._own_code import code_of

LAYERS = """
SCALE = 2.0

def activation(x):
    return x * SCALE
"""
NET = """
import functools
import torch
from torch import nn
import layers_of_mine
from layers_of_mine import activation

WIDTHS = (4, 5)
UNUSED = 1

class Base(nn.Module):
    def begin(self, x):
        return x + 1

class Net(Base):
    rate = 0.5

    def __init__(self, n_in, n_out):
        super().__init__()
        self.out = nn.Linear(n_in, n_out)

    def forward(self, x):
        return self.out(activation(self.begin(x)))

def width():
    return [w for w in WIDTHS]

def factory(n_in, n_out, depth=1):
    width()
    return Net(n_in, n_out)

def through_the_module(x):
    return layers_of_mine.activation(x)

def unrelated():
    return 1
"""


@pytest.fixture
def texts(tmp_path, monkeypatch):
    """The text of a function of two modules of the user's, as they are after some changes."""
    monkeypatch.syspath_prepend(tmp_path)

    def of(name, *changes):
        sources = {"layers_of_mine": LAYERS, "net_of_mine": NET}
        for before, after in changes:
            assert any(before in source for source in sources.values())
            sources = {key: text.replace(before, after) for key, text in sources.items()}
        for module, source in sources.items():
            (tmp_path / f"{module}.py").write_text(source)
            sys.modules.pop(module, None)
        importlib.invalidate_caches()
        import linecache

        linecache.clearcache()
        sys.dont_write_bytecode, before = True, sys.dont_write_bytecode
        try:
            return code_of(getattr(importlib.import_module("net_of_mine"), name))
        finally:
            sys.dont_write_bytecode = before

    yield of
    for module in ("layers_of_mine", "net_of_mine"):
        sys.modules.pop(module, None)


@pytest.mark.parametrize(
    "change",
    [
        ("return Net(n_in, n_out)", "return Net(n_in,  n_out)"),
        ("depth=1", "depth=2"),
        ("nn.Linear(n_in, n_out)", "nn.Linear(n_in, n_out, bias=False)"),
        ("rate = 0.5", "rate = 0.25"),
        ("return x + 1", "return x + 2"),
        ("WIDTHS = (4, 5)", "WIDTHS = (4, 6)"),
        ("return [w for w in WIDTHS]", "return [w + 1 for w in WIDTHS]"),
        ("return x * SCALE", "return x + SCALE"),
        ("SCALE = 2.0", "SCALE = 3.0"),
    ],
    ids=lambda change: change[1],
)
def test_what_a_factory_leads_to_is_seen(texts, change):
    assert texts("factory") == texts("factory")
    assert texts("factory", change) != texts("factory")


def test_what_it_does_not_lead_to_is_not(texts):
    for change in (("UNUSED = 1", "UNUSED = 2"), ("    return 1\n", "    return 2\n")):
        assert texts("factory", change) == texts("factory")


def test_state_of_a_class_is_no_code():
    before = code_of(Focal)
    Focal.calls += 1
    assert code_of(Focal) == before


def test_attributes_of_a_module_of_ones_own_are_followed(texts):
    plain = texts("through_the_module")
    assert texts("through_the_module", ("SCALE = 2.0", "SCALE = 3.0")) != plain
    assert texts("through_the_module", ("WIDTHS = (4, 5)", "WIDTHS = (4, 6)")) == plain


def loss_with(margin):
    return lambda outputs: outputs - margin


class Focal:
    calls = 0

    def __init__(self, gamma):
        self.gamma = gamma

    def __call__(self, outputs):
        return outputs**self.gamma

    def bound(self, outputs):
        return outputs


@dataclass(frozen=True, slots=True)
class Settings:
    gamma: float


def scaled(factor):
    def decorate(function):
        @functools.wraps(function)
        def wrapper(outputs):
            return factor * function(outputs)

        return wrapper

    return decorate


def power(outputs, exponent):
    return outputs**exponent


def itself(depth):
    def inner(left):
        return inner(left - 1) if left else depth

    return inner


@pytest.mark.parametrize(
    "make",
    [
        loss_with,
        lambda value: loss_with(loss_with(value)),
        lambda value: loss_with(np.array([1.0, value])),
        lambda value: loss_with(torch.tensor([1.0, value])),
        lambda value: loss_with({"a": [value]}),
        lambda value: loss_with({value}),
        lambda value: functools.partial(power, exponent=value),
        lambda value: functools.partial(power, value),
        Focal,
        lambda value: Focal(value).bound,
        lambda value: nn.CrossEntropyLoss(label_smoothing=value / 10),
        lambda value: nn.Threshold(value, 0.0),
        itself,
        lambda value: loss_with(Settings(value)),
        lambda value: scaled(value)(power),
        lambda value: scaled(2.0)(loss_with(value)),
        lambda value: loss_with(np.array([value, "a"], dtype=object)),
        lambda value: loss_with(torch.tensor([value], dtype=torch.bfloat16)),
    ],
)
def test_values_inside_are_seen(make):
    assert code_of(make(2.0)) == code_of(make(2.0))
    assert code_of(make(2.0)) != code_of(make(3.0))


def test_typed_in_functions_count_by_their_instructions():
    def typed(body):
        names = {"torch": torch}
        exec(f"def f(x, y=2):\n    return {body}", names)
        return names["f"]

    assert code_of(typed("x + 1")) == code_of(typed("x + 1"))
    others = [code_of(typed(body)) for body in ("x + 2", "x - 1", "[x + i for i in y]", "torch.x")]
    assert len({code_of(typed("x + 1")), *others}) == 5


def test_installed_code_counts_by_name():
    assert code_of(nn.Linear) == "torch.nn.modules.linear.Linear"
    assert code_of(functools.lru_cache) == "functools.lru_cache"


def test_the_same_in_another_process(tmp_path):
    (tmp_path / "mine.py").write_text(
        "WIDTHS = (1, 2)\nOTHERS = (1, 2)\n"
        "class A:\n    names = {'b', 'a', 'c'}\n"
        "    def f(self, x=(1, 2)):\n        return [1], WIDTHS\n"
        "    def g(self, x=(1, 2)):\n        return OTHERS\n"
    )
    code = (
        "import sys; sys.path.insert(0, '.'); import mine; "
        "from xent.study._own_code import code_of; print(code_of(mine.A))"
    )
    texts = {
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path,
            env={"PYTHONPATH": ":".join(filter(None, sys.path)), "PYTHONHASHSEED": str(seed)},
        ).stdout
        for seed in (1, 2)
    }  # fmt: skip
    assert len(texts) == 1

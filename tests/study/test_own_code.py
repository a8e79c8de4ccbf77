"""Code of the user's own as text: it changes with all that it leads to."""

import collections
import datetime
import decimal
import enum
import fractions
import functools
import importlib
import json
import re
import subprocess
import sys
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from xent.study._runs._own_code import code_of, doubts_about

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


def test_files_count_whole(texts):
    """Safe rather than sparing: what an edit changes can't be told from the text alone."""
    for change in (("UNUSED = 1", "UNUSED = 2"), ("UNUSED = 1", "UNUSED = 1  # one")):
        assert texts("factory", change) != texts("factory")


def test_state_of_a_class_is_no_code():
    before = code_of(Focal)
    Focal.calls += 1
    assert code_of(Focal) == before


def test_attributes_of_a_module_of_ones_own_are_followed(texts):
    plain = texts("through_the_module")
    assert texts("through_the_module", ("SCALE = 2.0", "SCALE = 3.0")) != plain


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
        "from xent.study._runs._own_code import code_of; print(code_of(mine.A))"
    )
    texts = {
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path,
            env={"PYTHONPATH": ":".join(filter(None, sys.path)), "PYTHONHASHSEED": str(seed)},
        ).stdout
        for seed in (1, 2)
    }  # fmt: skip
    assert len(texts) == 1


PACKAGE = {
    "lib_of_mine/__init__.py": "",
    "lib_of_mine/inner.py": "import importlib\nFACTOR = 2\ndef act(x): return FACTOR * x\n"
    "def deep(x):\n    return importlib.import_module('.deep', __package__).LAST * x\n",
    "lib_of_mine/deep.py": "from . import last\nLAST = last.LAST\n",
    "lib_of_mine/last.py": "LAST = 1\n",
    "lib_of_mine/unrelated.py": "LAST = 1\n",
}
WAYS = {
    "submodule": "import lib_of_mine.inner\ndef f(x): return lib_of_mine.inner.act(x)",
    "renamed": "import lib_of_mine.inner as other\ndef f(x): return other.act(x)",
    "body": "def f(x):\n    from lib_of_mine.inner import act\n    return act(x)",
    "body_package": "def f(x):\n    import lib_of_mine.inner\n    return lib_of_mine.inner.act(x)",
    "helper": "class A:\n    def g(self, x):\n        from lib_of_mine import inner\n"
    "        return inner.act(x)\ndef f(x): return A().g(x)",
    "by_name": "import importlib\n"
    "def f(x): return importlib.import_module('lib_of_mine.inner').act(x)",
    "typed": "names = {}\nexec('def f(x):\\n    from lib_of_mine.inner import act\\n"
    "    return act(x)', names)\nf = names['f']",
    "from_outside": "import os\nimport lib_of_mine.inner\n"
    "setattr(lib_of_mine.inner, 'FACTOR', os.environ['FACTOR'])\n"
    "def f(x): return lib_of_mine.inner.act(x)",
    "functions": "def a(): return 1\ndef b(): return 2\nSET = {a, b, (a, 1), len}\n"
    "def f(x): return SET, x in {'a', 'b', 'c'}",
}


def texts_in_new_process(folder, factor="1"):
    """The text of ``f`` in each of the modules, as a new process sees them."""
    code = (
        "import sys, json, importlib; sys.path.insert(0, '.')\n"
        "from xent.study._runs._own_code import code_of\n"
        f"print(json.dumps({{n: code_of(importlib.import_module(n).f) for n in {list(WAYS)}}}))"
    )
    done = subprocess.run(
        [sys.executable, "-B", "-c", code], capture_output=True, text=True, check=True, cwd=folder,
        env={"PYTHONPATH": ":".join(filter(None, sys.path)), "FACTOR": factor},
    )  # fmt: skip
    return json.loads(done.stdout)


def test_files_that_are_imported_in_any_way_are_seen(tmp_path):
    (tmp_path / "lib_of_mine").mkdir()
    ways = {f"{name}.py": source for name, source in WAYS.items()}
    for name, source in (PACKAGE | ways).items():
        (tmp_path / name).write_text(source)

    def changed(name, before, after):
        source = (tmp_path / "lib_of_mine" / name).read_text()
        assert before in source
        (tmp_path / "lib_of_mine" / name).write_text(source.replace(before, after))
        return texts_in_new_process(tmp_path)

    first = texts_in_new_process(tmp_path)
    assert "0x" not in str(first)
    # Another process orders sets otherwise.
    assert changed("unrelated.py", "1", "2") == first
    outside = texts_in_new_process(tmp_path, "2")
    assert {name for name in WAYS if outside[name] != first[name]} >= {"from_outside"}
    second = changed("inner.py", "FACTOR = 2", "FACTOR = 3")
    third = changed("last.py", "1", "2")
    for name in WAYS.keys() - {"functions"}:
        assert len({first[name], second[name], third[name]}) == 3, name
    assert third["functions"] == first["functions"]


def module_from(tmp_path, monkeypatch, name, source):
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    (tmp_path / f"{name}.py").write_text(source)
    importlib.invalidate_caches()
    return importlib.import_module(name)


def test_a_file_that_was_edited_after_it_was_loaded(tmp_path, monkeypatch):
    """The old code runs, the new one is on the disk: neither's trials may be taken or left."""
    module = module_from(tmp_path, monkeypatch, "edited_of_mine", "def f(x): return x\n")
    first = code_of(module.f)
    assert doubts_about(module.f) == ()
    (tmp_path / "edited_of_mine.py").write_text("def f(x): return 2 * x\n")
    assert doubts_about(module.f) == (
        "module edited_of_mine, which was edited after it was loaded",
    )
    assert len({first, code_of(module.f), code_of(module.f)}) == 3
    module = importlib.reload(module)
    assert doubts_about(module.f) == ()
    assert code_of(module.f) == code_of(module.f) != first


def with_global(value):
    names = {"VALUE": value}
    exec("def f(x):\n    return x, VALUE", names)
    return names["f"]


def wide(value, dtype):
    values = torch.ones(3000, dtype=dtype)
    values[1500] = value
    return values


class Colour(enum.Enum):
    RED = 0
    BLUE = 1


class Point(NamedTuple):
    x: int


KINDS = {
    "float32": np.float32,
    "int64": np.int64,
    "datetime64": lambda n: np.datetime64(n, "s"),
    "torch.dtype": lambda n: (torch.float16, torch.float32)[n],
    "torch.device": lambda n: torch.device("cpu" if n else "meta"),
    "torch.Size": lambda n: torch.Size([n]),
    "range": range,
    "slice": slice,
    "pattern": lambda n: re.compile(f"a{n}"),
    "decimal": decimal.Decimal,
    "fraction": lambda n: fractions.Fraction(n, 7),
    "timedelta": datetime.timedelta,
    "deque": lambda n: collections.deque([n]),
    "deque's length": lambda n: collections.deque(maxlen=n),
    "default dict": lambda n: collections.defaultdict([list, set][n]),
    "bytearray": lambda n: bytearray([n]),
    "series": lambda n: pd.Series([1.0, n]),
    "name of a series": lambda n: pd.Series([1.0], name=n),
    "frame": lambda n: pd.DataFrame({"a": [1, 2], "b": ["x", str(n)]}),
    "categorical": lambda n: pd.Categorical(["a", str(n)]),
    "half": lambda n: wide(n, torch.float16),
    "bfloat16": lambda n: wide(n, torch.bfloat16),
    "complex": lambda n: wide(n * 1j, torch.complex64),
    "sparse": lambda n: torch.tensor([[0.0, n + 1.0]]).to_sparse(),
    "tuple keys": lambda n: {(1, n): 1},
    "keys": lambda n: {[len, abs][n]: 1},
    "generator": lambda n: torch.Generator().manual_seed(n),
    "numpy generator": np.random.default_rng,
    "masked": lambda n: np.ma.array([1, 2], mask=[0, n]),
    "structured": lambda n: np.array([(1, n)], dtype=[("a", "f4"), ("b", "O")]),
    "bound built-in": lambda n: {1: n}.get,
    "enum": Colour,
    "named tuple": Point,
    "cached": lambda n: functools.lru_cache(loss_with(n)),
    "set": lambda n: {loss_with(0), loss_with(n + 1)},
}


@pytest.mark.parametrize("make", KINDS.values(), ids=KINDS)
def test_values_of_globals_are_seen(make):
    assert doubts_about(with_global(make(0))) == ()
    assert code_of(with_global(make(0))) == code_of(with_global(make(0)))
    assert code_of(with_global(make(0))) != code_of(with_global(make(1)))


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (lambda: (n for n in "ab"), "builtins.generator"),
        (lambda: torch.ones(2, device="meta"), "torch.Tensor"),
        (lambda: sys.__stderr__, "_io.TextIOWrapper"),
    ],
)
def test_what_has_no_text_is_never_the_same(make, kind):
    function = with_global(make())
    assert doubts_about(function) == (f"an object of type {kind}",)
    assert code_of(function) != code_of(function)


def test_reading_a_table_does_not_change_it():
    table = pd.DataFrame({"a": [1.0, 2.0]})
    before = code_of(with_global(table))
    table["a"].mean()
    assert table.loc[1].index.is_unique
    assert code_of(with_global(table)) == before

"""``xent.functional`` in the place of ``torch.nn.functional``."""

from __future__ import annotations

import inspect

import pytest
import torch.nn.functional as torch_functional

import xent.functional as F

OURS_AND_THEIRS = [
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "cross_entropy",
    "nll_loss",
]


@pytest.mark.parametrize("name", OURS_AND_THEIRS)
def test_signatures_begin_like_pytorch(name: str) -> None:
    theirs = inspect.signature(getattr(torch_functional, name)).parameters
    ours = inspect.signature(getattr(F, name)).parameters
    begin = [(p.name, p.default, p.kind) for p in list(ours.values())[: len(theirs)]]
    assert begin == [(p.name, p.default, p.kind) for p in theirs.values()]
    rest = list(ours.values())[len(theirs) :]
    assert all(parameter.kind is parameter.KEYWORD_ONLY for parameter in rest)


def test_other_names_are_those_of_pytorch() -> None:
    for name in dir(torch_functional):
        if not name.startswith("_") and name not in F.__all__:
            assert getattr(F, name) is getattr(torch_functional, name) or hasattr(F, name)
    assert F.relu is torch_functional.relu
    assert F.softmax is torch_functional.softmax


def test_listed_names_exist() -> None:
    assert set(F.__all__) <= set(dir(F))
    assert {"relu", "conv2d"} <= set(dir(F))
    assert all(hasattr(F, name) for name in dir(F))


@pytest.mark.parametrize("name", ["no_such_loss", "_Reduction"])
def test_unknown_and_private_names_are_not_served(name: str) -> None:
    with pytest.raises(AttributeError, match=f"module 'xent.functional' has no attribute '{name}'"):
        getattr(F, name)


@pytest.mark.parametrize("name", [name for name in F.__all__ if name[0].islower()])
def test_docstrings_tell_everything(name: str) -> None:
    """In this order: formula, arguments, denominator, errors, numerics, siblings, example."""
    text = inspect.getdoc(getattr(F, name)) or ""
    parts = [".. math::", "Args:", "Returns:", "Raises:", "Numerics:", "See Also:", ">>>"]
    places = [text.find(part) for part in [*parts, "References:"]]
    assert -1 not in places
    assert places == sorted(places)
    if name != "cross_entropy_statistics":
        assert "mean divides by" in text.lower()
    for parameter in inspect.signature(getattr(F, name)).parameters:
        assert f"\n    {parameter}: " in text

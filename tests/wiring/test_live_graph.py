"""The activation that a tensor comes from, read off its graph."""

import math
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.utils.checkpoint import checkpoint

import xent.functional
from xent.wiring._live._graph import Activation, activation_before, why_unknown

WEIGHT = torch.linspace(-1, 1, 12).reshape(4, 3).requires_grad_()


def scores(*shape):
    """Logits of a linear layer, of shape (*shape, 4)."""
    return F.linear(torch.linspace(-2, 2, 3 * math.prod(shape)).reshape(*shape, 3), WEIGHT)


def shown(tensor):
    found = activation_before(tensor)
    assert found is not None, why_unknown(tensor)
    assert why_unknown(tensor) is None
    return found.kind, found.dim, found.steps


ACTIVATIONS = {
    "softmax": lambda x: F.softmax(x, dim=1),
    "log_softmax": lambda x: F.log_softmax(x, dim=1),
    "sigmoid": torch.sigmoid,
    "logsigmoid": F.logsigmoid,
    "relu": F.relu,
    "leaky_relu": F.leaky_relu,
    "tanh": torch.tanh,
    "hardtanh": F.relu6,
    "elu": F.selu,
    "celu": F.celu,
    "gelu": F.gelu,
    "silu": F.silu,
    "mish": F.mish,
    "softplus": F.softplus,
    "hardsigmoid": F.hardsigmoid,
    "hardswish": F.hardswish,
    "prelu": lambda x: F.prelu(x, torch.tensor([0.1])),
    "rrelu": lambda x: F.rrelu(x, training=True),
    "threshold": lambda x: F.threshold(x, 0.1, 0.0),
    "exp": torch.exp,
    "clamp": lambda x: x.clamp(0, 1),
}


@pytest.mark.parametrize("kind", ACTIVATIONS)
def test_each_activation(kind):
    found = activation_before(ACTIVATIONS[kind](scores(5)))
    assert found.kind == kind
    assert found.dim == (1 if "softmax" in kind else None)
    assert found.of == Activation("layer")


LAYERS = {
    "linear": nn.Linear(6, 4),
    "linear without bias": nn.Linear(6, 4, bias=False),
    "batch norm": nn.BatchNorm1d(6),
    "layer norm": nn.LayerNorm(6),
    "convolution": nn.Sequential(nn.Unflatten(1, (2, 3)), nn.Conv1d(2, 4, 3)),
}


@pytest.mark.parametrize("name", LAYERS)
def test_layers(name):
    values = torch.ones(5, 6) * torch.arange(5.0)[:, None]
    assert activation_before(LAYERS[name](values.requires_grad_())).kind == "layer"


def test_a_linear_layer_by_hand_is_a_layer():
    bias = torch.zeros(4, requires_grad=True)
    assert shown(torch.ones(2, 3) @ WEIGHT.t() + bias) == ("layer", None, ("add",))
    # A number added is no bias: 0.5 + 0.5 * cosine is a probability.
    assert why_unknown(torch.ones(2, 3) @ WEIGHT.t() + 0.5) == "add comes before it"


def test_a_scaled_layer_is_a_layer():
    temperature = torch.tensor(0.1, requires_grad=True)
    assert shown(scores(2) / 0.07) == ("layer", None, ("div",))
    assert shown(temperature.exp() * scores(2)) == ("layer", None, ("mul",))
    assert shown(-scores(2)) == ("layer", None, ("neg",))
    # What is divided by, or by what differs from place to place, may bound it.
    assert why_unknown(1 / scores(2)) == "mul comes before it"
    assert why_unknown(scores(2) / scores(2).abs().sum(1, keepdim=True)) == "div comes before it"
    assert why_unknown(scores(2) * torch.sigmoid(scores(2))) == "mul comes before it"


# Each moves the class axis of a softmax over axis 2 of shape (2, 5, 4) to where it is said to be.
MOVES = {
    "view": (lambda p: p.view(10, 4), 1),
    "view into more axes": (lambda p: p.view(2, 5, 2, 2), None),
    "view that joins classes": (lambda p: p.view(2, 20), None),
    "reshape": (lambda p: p.transpose(0, 1).reshape(10, 4), 1),
    "flatten": (lambda p: p.flatten(0, 1), 1),
    "unflatten": (lambda p: p.unflatten(1, (5, 1)), 3),
    "transpose": (lambda p: p.transpose(1, 2), 1),
    "mT": (lambda p: p.mT, 1),
    "permute": (lambda p: p.permute(2, 0, 1), 0),
    "permute from the end": (lambda p: p.permute(0, -1, 1), 1),
    "movedim": (lambda p: p.movedim(2, 1), 1),
    "unsqueeze": (lambda p: p.unsqueeze(0), 3),
    "unsqueeze at the end": (lambda p: p.unsqueeze(-1), 2),
    "squeeze": (lambda p: p[:1].squeeze(0), 1),
    "squeeze all": (lambda p: p[:1].squeeze(), 1),
    "select": (lambda p: p[1], 1),
    "select the last": (lambda p: p[:, -1], 1),
    "select a class": (lambda p: p[..., 1], None),
    "slice": (lambda p: p[:, 1:], 2),
    "slice of classes": (lambda p: p[..., 1:], None),
    "unbind": (lambda p: p.unbind(1)[2], 1),
    "split": (lambda p: p.split(2, 1)[1], 2),
    "chunk of classes": (lambda p: p.chunk(2, 2)[0], None),
    "index": (lambda p: p[torch.tensor([1, 0, 1])], 2),
    "mask of two axes": (lambda p: p[torch.ones(2, 5, dtype=torch.bool)], 1),
    "classes by index": (lambda p: p[:, :, torch.tensor([0, 1, 1, 1])], None),
    "index_select": (lambda p: p.index_select(1, torch.tensor([0])), 2),
    "gather": (lambda p: p.gather(2, torch.zeros(2, 5, 1, dtype=torch.long)), None),
    "masked_select": (lambda p: p.masked_select(p > 0), None),
    "clone": (lambda p: p.clone(), 2),
    "contiguous": (lambda p: p.transpose(0, 1).contiguous(), 2),
    "double": (lambda p: p.double(), 2),
    "half": (lambda p: p.to(torch.bfloat16), 2),
    "expand": (lambda p: p.expand(3, 2, 5, 4), 3),
    "repeat": (lambda p: p.repeat(1, 3, 1), 2),
    "repeat of classes": (lambda p: p.repeat(1, 1, 2), None),
    "flip": (lambda p: p.flip(2), 2),
    "cat of rows": (lambda p: torch.cat([p, p], 1), 2),
    "cat of classes": (lambda p: torch.cat([p, p], -1), None),
    "stack": (lambda p: torch.stack([p, p]), 3),
    "stack at the end": (lambda p: torch.stack([p, p], -1), 2),
    "as_strided": (lambda p: p.as_strided((4, 4), (4, 1)), None),
    "diagonal": (lambda p: p.diagonal(0, 0, 1), None),
}


@pytest.mark.parametrize("name", MOVES)
def test_the_class_axis_is_followed(name):
    move, axis = MOVES[name]
    moved = move(F.softmax(scores(2, 5), dim=-1))
    kind, dim, steps = shown(moved)
    assert (kind, dim) == ("softmax", axis)
    assert steps
    if axis is not None:
        ones = moved.sum(axis, dtype=torch.float64)
        torch.testing.assert_close(ones, torch.ones_like(ones), atol=2e-2, rtol=0)


STEPS = st.sampled_from(["transpose", "permute", "view", "unsqueeze", "squeeze", "select", "slice"])


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_where_an_axis_is_said_to_be_rows_sum_to_one(data):
    axis = data.draw(st.integers(0, 2))
    moved = F.softmax(scores(2, 5) + 0, dim=axis)
    for step in data.draw(st.lists(STEPS, min_size=1, max_size=5)):
        rank = moved.dim()
        if step == "transpose" and rank > 1:
            moved = moved.transpose(*data.draw(st.permutations(range(rank)))[:2])
        elif step == "permute":
            moved = moved.permute(data.draw(st.permutations(range(rank))))
        elif step == "view" and rank > 1:
            moved = moved.contiguous().flatten(0, 1)
        elif step == "unsqueeze" and rank < 5:
            moved = moved.unsqueeze(data.draw(st.integers(-rank - 1, rank)))
        elif step == "squeeze":
            moved = moved.squeeze()
        elif step == "select" and rank > 1:
            moved = moved.select(data.draw(st.integers(-rank, rank - 1)), -1)
        elif step == "slice" and rank:
            moved = moved.narrow(data.draw(st.integers(0, rank - 1)), 0, 1)
    kind, dim, _ = shown(moved)
    assert kind == "softmax"
    if dim is not None:
        torch.testing.assert_close(moved.sum(dim), torch.ones(moved.sum(dim).shape))


def test_softmax_by_hand():
    x = scores(5)
    shifted = torch.exp(x - x.max(1, keepdim=True).values)
    for powers in (x.exp(), shifted):
        assert shown(powers / powers.sum(1, keepdim=True)) == ("softmax", 1, ())
        assert shown(powers / powers.sum(1)[:, None]) == ("softmax", 1, ())
    one = x[0].exp()
    assert shown(one / one.sum()) == ("softmax", 0, ())


def test_what_is_not_softmax_by_hand():
    x = scores(5)
    powers, others = x.exp(), x.exp()
    for quotient in (powers / others.sum(1, keepdim=True), powers / powers.sum(), powers / 2.0):
        assert why_unknown(quotient) == "div comes before it"
    assert why_unknown(F.normalize(x)) == "div comes before it"


def test_log_softmax_by_hand():
    x = scores(5)
    assert shown(x - x.logsumexp(1, keepdim=True)) == ("log_softmax", 1, ())
    assert shown(x - x.logsumexp(-1).unsqueeze(1)) == ("log_softmax", 1, ())
    assert shown(x - x.exp().sum(1, keepdim=True).log()) == ("log_softmax", 1, ())
    assert why_unknown(x - scores(5).logsumexp(1, keepdim=True)) == "sub comes before it"
    assert why_unknown(x - 1.0) == "sub comes before it"


def test_logarithms_and_exponentials():
    x = scores(5)
    assert shown(F.softmax(x, 1).log()) == ("log_softmax", 1, ("log",))
    assert shown(torch.log(F.softmax(x, 1) + 1e-8)) == ("log_softmax", 1, ("log",))
    assert shown(torch.log(F.softmax(x, 1).clamp(min=1e-8))) == ("log_softmax", 1, ("clamp", "log"))
    assert shown(torch.sigmoid(x).log()) == ("logsigmoid", None, ("log",))
    assert shown(F.log_softmax(x, 1).exp()) == ("softmax", 1, ("exp",))
    assert shown(F.logsigmoid(x).exp()) == ("sigmoid", None, ("exp",))
    assert why_unknown(x.log()) == (
        "the logarithm of what isn't known to be a probability comes before it"
    )
    assert why_unknown(1 - torch.sigmoid(x)) == "rsub comes before it"


@pytest.mark.parametrize("clamp", [(1e-7, 1 - 1e-7), (1e-7, None), (None, 1.0)])
def test_a_clamp_against_the_logarithm_of_0_keeps_probabilities(clamp):
    assert shown(F.softmax(scores(5), 1).clamp(*clamp)) == ("softmax", 1, ("clamp",))


def test_clamps_that_change_probabilities():
    p = F.softmax(scores(5), 1)
    for clamped in (p.clamp(0.1, 0.9), p.clamp(min=torch.full((4,), 0.1)), scores(5).clamp(-1, 1)):
        assert shown(clamped) == ("clamp", None, ())
    assert shown(torch.clamp_min(p, 1e-6)) == ("softmax", 1, ("clamp",))
    assert shown(torch.clamp_max(p, 1 - 1e-6)) == ("softmax", 1, ("clamp",))


def test_nested_activations():
    p = F.softmax(F.softmax(scores(5), 1), 1)
    assert activation_before(p).of.kind == "softmax"
    assert activation_before(p).of.of.kind == "layer"
    assert activation_before(F.softmax(scores(5).relu(), 1)).of.kind == "relu"


def test_joined_tensors_of_several_kinds_are_unknown():
    x = scores(5)
    p = torch.sigmoid(x)
    assert why_unknown(torch.cat([p, x])) == (
        "tensors of several or unknown kinds are joined in it"
    )
    assert shown(torch.cat([p, torch.sigmoid(x)], 1)) == ("sigmoid", None, ("cat",))
    assert shown(torch.cat([F.softmax(x, 0), F.softmax(x, 1)])) == ("softmax", None, ("cat",))


def test_resized_maps():
    maps = nn.Conv2d(2, 3, 1)(torch.ones(2, 2, 4, 4))
    for mode in ("nearest", "bilinear"):
        up = F.interpolate(F.softmax(maps, 1), scale_factor=2, mode=mode)
        assert shown(up) == ("softmax", 1, ("interpolate",))
        assert activation_before(F.interpolate(maps, scale_factor=2, mode=mode)).kind == "layer"
    # The mean of logarithms is no logarithm of a mean, and cubic curves leave the range.
    up = F.interpolate(F.log_softmax(maps, 1), scale_factor=2, mode="bilinear")
    assert why_unknown(up) == "upsample_bilinear2_d comes before it"
    assert why_unknown(F.interpolate(F.softmax(maps, 1), scale_factor=2, mode="bicubic"))


def test_scores_that_are_masked_stay_scores():
    x = scores(5)
    assert shown(x.masked_fill(x > 0, -1e9)) == ("layer", None, ("masked_fill",))
    p = F.softmax(x, 1)
    assert why_unknown(p.masked_fill(p > 0.5, 0)) == "masked_fill comes before it"


class Squared(torch.autograd.Function):
    @staticmethod
    def forward(ctx, values):
        return values**2

    @staticmethod
    def backward(ctx, gradient):
        return gradient


class Gather(torch.autograd.Function):
    """Of one name with a function of PyTorch."""

    @staticmethod
    def forward(ctx, values):
        return values * 3

    @staticmethod
    def backward(ctx, gradient):
        return gradient


def test_what_is_unknown():
    x = scores(5)
    assert why_unknown(torch.ones(3)) == "no gradient is recorded for it"
    assert why_unknown(x.softmax(1).detach()) == "no gradient is recorded for it"
    with torch.no_grad():
        assert why_unknown(F.softmax(scores(5), 1)) == "no gradient is recorded for it"
    assert why_unknown(WEIGHT) == "it is itself a parameter or an input"
    assert why_unknown(Squared.apply(x)) == "the autograd function Squared gives it"
    assert why_unknown(Gather.apply(x.softmax(1))) == "the autograd function Gather gives it"
    assert why_unknown(torch.where(x > 0, x, x.exp())) == "where comes before it"
    assert why_unknown(checkpoint(torch.sigmoid, x, use_reentrant=True)) == (
        "torch.utils.checkpoint with use_reentrant=True gives it"
    )
    loss = xent.functional.cross_entropy(x, torch.tensor([0, 1, 2, 3, 0]))
    assert activation_before(loss) is None


def test_values_written_into_a_tensor_are_unknown():
    p = scores(5).softmax(1).clone()
    p[0] = 0
    assert why_unknown(p) == "CopySlices comes before it"


def test_checkpoints_are_not_computed_anew():
    runs = []

    def head(x):
        runs.append(x.shape)
        return F.softmax(x, 1).transpose(0, 1)

    out = checkpoint(head, scores(5), use_reentrant=False)
    assert shown(out) == ("softmax", 0, ("transpose",))
    assert len(runs) == 1


def test_after_backward():
    p = F.softmax(scores(5), 1)[torch.tensor([0, 1])]
    p.log().sum().backward()
    assert shown(p)[0] == "softmax"


def test_a_compiled_function():
    def head(x):
        return F.softmax(x @ WEIGHT.t(), 1)

    assert shown(torch.compile(head, backend="eager")(torch.ones(2, 3))) == ("softmax", 1, ())
    assert why_unknown(torch.compile(head, backend="aot_eager")(torch.ones(2, 3))) == (
        "a function compiled by torch.compile gives it"
    )


def test_autocast():
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert shown(F.softmax(scores(5), 1).float())[:2] == ("softmax", 1)


@pytest.mark.parametrize("step", [torch.clone, torch.relu, lambda x: torch.cat([x])])
def test_long_graphs_end(step):
    x = scores(5)
    for _ in range(2000):
        x = step(x)
    found = activation_before(x)
    assert found is None or found.kind == "relu"


def test_data_parallel_joins_and_distributed_hands_through():
    from torch.nn.parallel._functions import Gather as Joined
    from torch.nn.parallel.distributed import _DDPSink

    x = scores(5)
    names = Joined.__module__, _DDPSink.__module__
    assert names == ("torch.nn.parallel._functions", "torch.nn.parallel.distributed")
    handed = _DDPSink.apply(lambda: SimpleNamespace(_ddp_sink_clone=True), x, F.softmax(x, 1))
    assert shown(handed[1]) == ("softmax", 1, ())

"""Which activation a tensor comes from, read off the graph that autograd has recorded for it.

The walk goes from the tensor back through what only moves numbers about, such as ``view``, to the
first operation that says what they mean. Nothing is run, and no saved tensor is read: with
checkpointing or saved-tensor hooks that would compute it anew. What isn't proven is unknown.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from xent.wiring._live._graph_axes import AXES, rank_of, saved_axis, saved_number, shape_of
from xent.wiring._live._graph_formulas import (
    axis_of_log_softmax_by_hand,
    axis_of_softmax_by_hand,
)
from xent.wiring._live._graph_nodes import operation_of, why_nothing_past

if TYPE_CHECKING:
    from torch import Tensor

LAYER = "layer"

# Longer walks are given up: thousands of views in a row happen only in loops that build a graph.
LONGEST_WALK = 500
DEEPEST_NESTING = 30

_ACTIVATIONS = {
    "Softmax": "softmax", "LogSoftmax": "log_softmax", "Sigmoid": "sigmoid",
    "LogSigmoid": "logsigmoid", "Relu": "relu", "LeakyRelu": "leaky_relu", "Tanh": "tanh",
    "Hardtanh": "hardtanh", "Elu": "elu", "Celu": "celu", "Gelu": "gelu", "Silu": "silu",
    "Mish": "mish", "Softplus": "softplus", "Hardsigmoid": "hardsigmoid",
    "Hardswish": "hardswish", "PreluKernel": "prelu", "RreluWithNoise": "rrelu",
    "Threshold": "threshold", "Exp": "exp",
}  # fmt: skip

# What gives numbers of either sign and any size: scores, unless something follows.
_LAYERS = frozenset((
    "Addmm", "Mm", "Bmm", "Baddbmm", "Addbmm", "Addmv", "Mv", "Dot", "Linear", "MkldnnLinear",
    "Trilinear", "Convolution", "ConvolutionOverrideable", "MkldnnConvolution", "Embedding",
    "NativeBatchNorm", "CudnnBatchNorm", "MiopenBatchNorm", "NativeLayerNorm", "NativeGroupNorm",
    "FusedRmsNorm",
))  # fmt: skip

_OF_ROWS = ("softmax", "log_softmax")
_PROBABILITIES = ("softmax", "sigmoid")
_LOGARITHM = {"softmax": "log_softmax", "sigmoid": "logsigmoid"}
_EXPONENTIAL = {logarithm: plain for plain, logarithm in _LOGARITHM.items()}


@dataclass(frozen=True)
class Activation:
    """What the numbers of a tensor last went through.

    Args:
        kind: ``softmax``, ``log_softmax``, ``sigmoid``, ``logsigmoid``, ``exp``, ``clamp``,
            ``relu``, ``leaky_relu``, ``tanh`` or another activation under PyTorch's name for it;
            ``layer`` for linear layers, convolutions, normalisations and the like.
        dim: for softmax and log_softmax the axis of the tensor, counted from 0, along which it was
            taken; None where that axis is cut, gone or not known, and for other kinds.
        steps: what stands between the activation and the tensor, in the order of the program.
        of: what the activation was applied to, as far as that is known.
    """

    kind: str
    dim: int | None = None
    steps: tuple[str, ...] = ()
    of: Activation | None = None


def activation_before(tensor: Tensor) -> Activation | None:
    """The activation that a tensor comes from; None if it isn't known.

    >>> import torch
    >>> scores = torch.nn.Linear(3, 4)(torch.ones(2, 5, 3))
    >>> found = activation_before(scores.softmax(dim=-1).transpose(1, 2))
    >>> found.kind, found.dim, found.steps, found.of.kind
    ('softmax', 1, ('transpose',), 'layer')
    """
    found = _found(tensor)
    return found if isinstance(found, Activation) else None


def why_unknown(tensor: Tensor) -> str | None:
    """Why the activation that a tensor comes from isn't known; None if it is.

    >>> import torch
    >>> why_unknown(torch.ones(2))
    'no gradient is recorded for it'
    """
    found = _found(tensor)
    return found if isinstance(found, str) else None


def _found(tensor: Tensor) -> Activation | str:
    if not tensor.requires_grad:
        return "no gradient is recorded for it"
    if tensor.grad_fn is None:
        return "it is itself a parameter or an input"
    return _Walk().before((tensor.grad_fn, tensor.output_nr))


class _Walk:
    """One walk back: remembers what it has seen, since branches meet again."""

    def __init__(self) -> None:
        self.left = LONGEST_WALK
        self.deep = 0
        self.seen: dict[tuple[Any, int], Activation | str] = {}

    def before(self, edge: tuple[Any, int]) -> Activation | str:
        """What the numbers on an edge of the graph come from, or why that isn't known."""
        path = []
        while edge not in self.seen and self.left:
            self.left -= 1
            path.append(edge)
            if operation_of(edge[0]) not in AXES:
                break
            edge = edge[0].next_functions[0]
        found = self.seen.get(edge) or self._nested(edge)
        for passed in reversed(path):
            if operation_of(passed[0]) in AXES:
                found = _after(found, passed)
            self.seen[passed] = found
        return found

    def _nested(self, edge: tuple[Any, int]) -> Activation | str:
        if self.deep == DEEPEST_NESTING or not self.left:
            return why_nothing_past(edge[0], ended=True)
        self.deep += 1
        try:
            return self._origin(edge)
        finally:
            self.deep -= 1

    def _origin(self, edge: tuple[Any, int]) -> Activation | str:
        node, _ = edge
        name = operation_of(node)
        if name in _ACTIVATIONS:
            return self._activation(node, _ACTIVATIONS[name])
        if name in _LAYERS:
            return Activation(LAYER)
        if name in _SPECIAL:
            found: Activation | str = _SPECIAL[name](self, edge)
            return found
        return why_nothing_past(node)

    def _activation(self, node: Any, kind: str) -> Activation:
        before = self.before(node.next_functions[0])
        of = before if isinstance(before, Activation) else None
        if kind == "exp" and of is not None and of.kind in _EXPONENTIAL:
            return Activation(_EXPONENTIAL[of.kind], of.dim, (*of.steps, "exp"), of.of)
        dim = saved_axis(node, "dim", rank_of(node)) if kind in _OF_ROWS else None
        return Activation(kind, dim, (), of)

    def _logarithm(self, edge: tuple[Any, int]) -> Activation | str:
        before = self.before(self._without_constant(edge[0].next_functions[0]))
        if isinstance(before, Activation) and before.kind in _LOGARITHM:
            steps = (*before.steps, "log")
            return Activation(_LOGARITHM[before.kind], before.dim, steps, before.of)
        return "the logarithm of what isn't known to be a probability comes before it"

    def _without_constant(self, edge: tuple[Any, int]) -> tuple[Any, int]:
        """Past ``+ 1e-8``, which log-probabilities by hand have against the logarithm of 0."""
        if operation_of(edge[0]) != "Add":
            return edge
        tracked = [behind for behind in edge[0].next_functions if behind[0] is not None]
        return tracked[0] if len(tracked) == 1 else edge

    def _clamp(self, edge: tuple[Any, int]) -> Activation | str:
        node = edge[0]
        before = self.before(node.next_functions[0])
        of = before if isinstance(before, Activation) else None
        if of is not None and of.kind in _PROBABILITIES and _is_wide(node):
            return replace(of, steps=(*of.steps, "clamp"))
        return Activation("clamp", None, (), of)

    def _quotient(self, edge: tuple[Any, int]) -> Activation | str:
        axis = axis_of_softmax_by_hand(edge[0])
        if axis is None:
            return self._scaled(edge)
        exponentials = edge[0].next_functions[0]
        of = self.before(exponentials[0].next_functions[0])
        return Activation("softmax", axis, (), of if isinstance(of, Activation) else None)

    def _difference(self, edge: tuple[Any, int]) -> Activation | str:
        axis = axis_of_log_softmax_by_hand(edge[0])
        if axis is None:
            return why_nothing_past(edge[0])
        of = self.before(edge[0].next_functions[0])
        return Activation("log_softmax", axis, (), of if isinstance(of, Activation) else None)

    def _scaled(self, edge: tuple[Any, int]) -> Activation | str:
        """Scores of a layer stay scores with a bias of one's own, a temperature or another sign.

        Not with a number added: 0.5 + 0.5 * cosine is a probability.
        """
        node, name = edge[0], operation_of(edge[0])
        operands = node.next_functions[:2]
        orders = (operands,) if name == "Div" else (operands, operands[::-1])
        for scores, *by in orders:
            if all(_is_parameter(each) or (name != "Add" and _is_number(each)) for each in by):
                before = self.before(scores)
                if isinstance(before, Activation) and before.kind == LAYER:
                    return replace(before, steps=(*before.steps, name.lower()))
        return why_nothing_past(node)

    def _masked(self, edge: tuple[Any, int]) -> Activation | str:
        """Scores of which some are set to minus infinity are scores; probabilities aren't any."""
        before = self.before(edge[0].next_functions[0])
        if isinstance(before, Activation) and before.kind == LAYER:
            return replace(before, steps=(*before.steps, "masked_fill"))
        return why_nothing_past(edge[0])

    def _resized(self, edge: tuple[Any, int]) -> Activation | str:
        """Means of neighbours keep the kind, but not of logarithms; the classes are axis 1."""
        before = self.before(edge[0].next_functions[0])
        if not isinstance(before, Activation) or before.kind in _EXPONENTIAL:
            return why_nothing_past(edge[0])
        dim = before.dim if before.dim in (0, 1) else None
        return replace(before, dim=dim, steps=(*before.steps, "interpolate"))

    def _joined(self, edge: tuple[Any, int]) -> Activation | str:
        """Tensors joined are of a kind if all of them are."""
        node, number = edge
        parts = [self.before(behind) for behind in node.next_functions]
        known = [part for part in parts if isinstance(part, Activation)]
        kinds = {part.kind for part in known}
        if len(kinds) != 1 or len(known) < len(parts):
            return "tensors of several or unknown kinds are joined in it"
        dims = {part.dim for part in known}
        dim = dims.pop() if len(dims) == 1 else None
        name = operation_of(node)
        if dim is not None and name != "Gather":
            along = saved_axis(node, "dim", rank_of(node, number))
            if along is None or (name == "Cat" and along == dim):
                dim = None
            elif name == "Stack" and along <= dim:
                dim += 1
        step = "stack" if name == "Stack" else "cat"
        return replace(known[0], dim=dim, steps=(*known[0].steps, step))

    def _distributed(self, edge: tuple[Any, int]) -> Activation | str:
        """DistributedDataParallel hands the outputs through a function of its own."""
        node, number = edge
        behind = node.next_functions
        return self.before(behind[number]) if number < len(behind) else why_nothing_past(node)


_SPECIAL: dict[str, Any] = {
    "Log": _Walk._logarithm,
    "Clamp": _Walk._clamp,
    "ClampMin": _Walk._clamp,
    "ClampMax": _Walk._clamp,
    "Div": _Walk._quotient,
    "Sub": _Walk._difference,
    "Add": _Walk._scaled,
    "Mul": _Walk._scaled,
    "Neg": _Walk._scaled,
    "MaskedFill": _Walk._masked,
    "UpsampleNearest1D": _Walk._resized,
    "UpsampleNearest2D": _Walk._resized,
    "UpsampleNearest3D": _Walk._resized,
    "UpsampleLinear1D": _Walk._resized,
    "UpsampleBilinear2D": _Walk._resized,
    "UpsampleTrilinear3D": _Walk._resized,
    "Cat": _Walk._joined,
    "Stack": _Walk._joined,
    "Gather": _Walk._joined,
    "_DDPSink": _Walk._distributed,
}


def _is_parameter(edge: tuple[Any, int]) -> bool:
    return operation_of(edge[0]) == "AccumulateGrad"


def _is_number(edge: tuple[Any, int]) -> bool:
    """Whether it is a constant, or one number that is learnt."""
    node, number = edge
    return node is None or shape_of(node, number) == ()


def _after(found: Activation | str, edge: tuple[Any, int]) -> Activation | str:
    """What is known of numbers once an operation has moved them."""
    if isinstance(found, str):
        return found
    node, number = edge
    words, moved = AXES[operation_of(node)]
    dim = found.dim
    if dim is not None:
        behind, at = node.next_functions[0]
        given, gives = shape_of(behind, at), shape_of(node, number)
        dim = moved(node, dim, given, gives) if given is not None and gives is not None else None
    return replace(found, dim=dim, steps=(*found.steps, words))


def _is_wide(clamp: Any) -> bool:
    """Whether a clamp only keeps probabilities from 0 and 1, against the logarithm of 0."""
    name = operation_of(clamp)
    least = None if name == "ClampMax" else saved_number(clamp, "min")
    most = None if name == "ClampMin" else saved_number(clamp, "max")
    if least is False or most is False:
        return False
    return (least is None or least < 0.01) and (most is None or most > 0.99)

"""Calls of libraries: torch's functions and layers, losses, metrics, and training frameworks."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from xent.wiring._flow import _builtin_calls as builtin_calls
from xent.wiring._flow import _frameworks as frameworks
from xent.wiring._flow import _objects as objects
from xent.wiring._flow import _tensors as tensors
from xent.wiring._flow._events import LossCall
from xent.wiring._flow._function_calls import let_out
from xent.wiring._flow._losses import OPTIONS, Loss, loss_function, loss_layer
from xent.wiring._flow._names import canonical
from xent.wiring._flow._producers import (
    SIZES,
    Effect,
    function_effect,
    gives_its_argument,
    layer_effect,
    method_effect,
)
from xent.wiring._flow._values import (
    BATCHED,
    PLAIN,
    UNKNOWN,
    Container,
    Contents,
    Frame,
    Layer,
    Partial,
    Tensor,
    Value,
)
from xent.wiring._places import Site

if TYPE_CHECKING:
    from xent.wiring._flow._interpreter import Interpreter

OPERATION_OF_LAYER = {
    "Softmax": "softmax", "Softmax2d": "softmax", "Softmin": "softmin", "Sigmoid": "sigmoid",
    "LogSoftmax": "log_softmax", "LogSigmoid": "logsigmoid",
}  # fmt: skip
_SEQUENCES = {
    "torch.nn.Sequential": "sequential",
    "torch.nn.ModuleList": "modules",
    "torch.nn.ModuleDict": "module-dict",
}
# Metrics of predicted probabilities: the position of the predictions, and whether order is all.
METRICS = {
    "sklearn.metrics.log_loss": (1, False),
    "sklearn.metrics.brier_score_loss": (1, False),
    "sklearn.calibration.calibration_curve": (1, False),
    "sklearn.metrics.roc_auc_score": (1, True),
    "sklearn.metrics.average_precision_score": (1, True),
}
_OF_PYTHON = frozenset(
    {"collections.OrderedDict", "collections.namedtuple", "dataclasses.field", "functools.partial"}
)
_METRIC_KEYWORDS = ("y_pred", "y_prob", "y_proba", "y_score")
# Models of torchvision that end in scores, with the attribute that holds the last layers.
_HEADS = (
    (re.compile(r"^torchvision\.models\.(resnet|resnext|wide_resnet|googlenet|inception|"
                r"shufflenet|regnet)\w*$"), "fc"),
    (re.compile(r"^torchvision\.models\.(vgg|alexnet|densenet|mobilenet|efficientnet|squeezenet|"
                r"mnasnet|convnext)\w*$"), "classifier"),
)  # fmt: skip


def call(
    run: Interpreter,
    name: str,
    arguments: Sequence[Value],
    keywords: Mapping[str, Value],
    site: Site,
    frame: Frame,
) -> Value:
    """What a function or class of a library gives."""
    if name.startswith("builtins."):
        return builtin_calls.call(run, name[9:], arguments, keywords, site, frame)
    known = canonical(name)
    loss = loss_function(known)
    if loss is not None:
        _note_loss(run, loss, known.rpartition(".")[2], arguments, keywords, None, site)
        return PLAIN
    effect = function_effect(known)
    if effect is not None:
        return _function(run, effect, known, arguments, keywords, site)
    if known in _SEQUENCES:
        return _sequence(run, known, arguments, site)
    if gives_its_argument(known):
        return arguments[0] if arguments else UNKNOWN
    if known in METRICS:
        _note_metric(run, known, arguments, keywords, site)
        return UNKNOWN
    if known in _OF_PYTHON:
        return _of_python(run, known, arguments, keywords, site, frame)
    if _is_class_of_torch(known) or _head_of(known):
        return _layer(run, known, arguments, keywords, site)
    if known.startswith("torch.Tensor."):
        return UNKNOWN
    frameworks.note_training(run, known, arguments, keywords, site, frame)
    let_out(run, arguments, keywords)
    return UNKNOWN


def _of_python(
    run: Interpreter,
    name: str,
    arguments: Sequence[Value],
    keywords: Mapping[str, Value],
    site: Site,
    frame: Frame,
) -> Value:
    """What a function of Python's library gives through which layers and losses go."""
    if name == "collections.OrderedDict":
        return builtin_calls.call(run, "dict", arguments, keywords, site, frame)
    if name == "collections.namedtuple":
        return objects.named_tuple(run, arguments, site, frame)
    if name == "dataclasses.field":
        maker = keywords.get("default_factory")
        if maker is None:
            return keywords.get("default", UNKNOWN)
        return run.call(maker, (), {}, site, frame)
    return Partial(arguments[0], tuple(arguments[1:]), dict(keywords)) if arguments else UNKNOWN


def _is_class_of_torch(name: str) -> bool:
    module, _, last = name.rpartition(".")
    return module == "torch.nn" and last[:1].isupper()


def _function(
    run: Interpreter,
    effect: tuple[str, Effect],
    name: str,
    arguments: Sequence[Value],
    keywords: Mapping[str, Value],
    site: Site,
) -> Value:
    operation, kind = effect
    given = next((keywords[key] for key in ("input", "x", "tensors", "a") if key in keywords),
                 arguments[0] if arguments else UNKNOWN)  # fmt: skip
    rest = list(arguments[1:])
    guesses = operation in ("softmax", "log_softmax") and name.startswith("torch.nn.functional.")
    if guesses and not tensors.axis_of(operation, rest, keywords)[0] and "**" not in keywords:
        run.note_axis_left_out(operation, site)
    if kind is Effect.SCORES:
        return tensors.scores(None, given, operation, site)
    # NumPy has no fused function that a note on a logarithm could name.
    is_noted = kind is not Effect.LOG or not name.startswith(("numpy.", "scipy."))
    return tensors.apply(run, operation, kind, given, rest, keywords, site, is_noted=is_noted)


def _sequence(run: Interpreter, name: str, arguments: Sequence[Value], site: Site) -> Value:
    flavour = _SEQUENCES[name]
    if name == "torch.nn.Sequential":
        return run.container(flavour, layers_given(run, arguments), site)
    if not arguments:
        return run.container(flavour, Contents(), site)
    given = arguments[0]
    if not isinstance(given, Container):
        return run.container(flavour, Contents(None, UNKNOWN), site)
    contents = run.contents(given)
    if flavour == "modules" and contents.items is not None:
        contents = Contents(tuple((i, value) for i, (_, value) in enumerate(contents.items)))
    return run.container(flavour, contents, site)


def layers_given(run: Interpreter, arguments: Sequence[Value]) -> Contents:
    """The layers of ``nn.Sequential(...)``: given one by one or as an OrderedDict."""
    if len(arguments) == 1 and isinstance(arguments[0], Container):
        only = arguments[0]
        if only.flavour == "dict":
            return run.contents(only)
        if only.flavour == "*":
            return Contents(None, UNKNOWN)
    items: list[tuple[str, Value]] = []
    for value in arguments:
        unknown = isinstance(value, Container) and value.flavour == "*"
        items.append((str(len(items)), UNKNOWN if unknown else value))
    return Contents(tuple(items))


def _layer(
    run: Interpreter,
    name: str,
    arguments: Sequence[Value],
    keywords: Mapping[str, Value],
    site: Site,
) -> Value:
    if name == "torch.nn.Parameter":  # whatever it starts from, training changes it
        return PLAIN
    made = Layer(name, site, tuple(arguments), dict(keywords))
    known = layer_effect(name)
    guesses = known is not None and known[0] in ("Softmax", "LogSoftmax", "Softmin")
    if guesses and not tensors.axis_of("", arguments, keywords)[0] and "**" not in keywords:
        run.note_axis_left_out(name.rpartition(".")[2], site)
    return made


def size_of(layer: Layer, operation: str) -> int | None:
    """How many numbers a layer gives for each sample."""
    if operation not in SIZES:
        return None
    return tensors.whole(layer.argument(*SIZES[operation]))


# Losses.


def call_loss_layer(
    run: Interpreter,
    layer: Layer,
    arguments: Sequence[Value],
    keywords: Mapping[str, Value],
    site: Site,
) -> bool:
    """Record the call of a loss object; whether the layer is one."""
    loss = loss_layer(layer.name)
    if loss is None:
        return False
    label = canonical(layer.name).rpartition(".")[2]
    _note_loss(run, loss, label, arguments, keywords, layer, site)
    return True


def _note_loss(
    run: Interpreter,
    loss: Loss,
    label: str,
    arguments: Sequence[Value],
    keywords: Mapping[str, Value],
    layer: Layer | None,
    site: Site,
) -> None:
    given = keywords.get("input", arguments[0] if arguments else UNKNOWN)
    if "input" not in keywords and "inputs" in keywords:
        given = keywords["inputs"]
    target = keywords.get("target", arguments[1] if len(arguments) > 1 else UNKNOWN)
    names = OPTIONS.get(loss.name, ())
    options: dict[str, Value] = {}
    if layer is None:
        options.update(zip(names, arguments[2:], strict=False))
        options.update(keywords)
    else:
        options.update(zip(names, layer.arguments, strict=False))
        options.update(layer.keywords)
    where = site, tuple(run.sites), run.evaluating
    tensor = tensors.as_tensor(given)
    negated = site.node in run.negated
    run.events.append(LossCall(*where, loss, label, tensor, target, options, layer, negated))


def _note_metric(
    run: Interpreter,
    name: str,
    arguments: Sequence[Value],
    keywords: Mapping[str, Value],
    site: Site,
) -> None:
    position, of_ranks = METRICS[name]
    given = next((keywords[key] for key in _METRIC_KEYWORDS if key in keywords), None)
    if given is None and len(arguments) > position:
        given = arguments[position]
    if given is not None:
        run.note_score(name.rpartition(".")[2], given, of_ranks, site)


# Methods of tensors, and layers that no table has.


def tensor_method(
    run: Interpreter,
    tensor: Tensor,
    name: str,
    arguments: Sequence[Value],
    keywords: Mapping[str, Value],
    site: Site,
) -> Value:
    """What ``tensor.name(...)`` gives."""
    effect = method_effect(name)
    if effect is not None:
        return tensors.apply(run, name, effect, tensor, arguments, keywords, site)
    limit = tensors.number(arguments[0]) if arguments else None
    if name in ("gt", "ge", "lt", "le") and limit is not None:
        run.note_comparison(tensor, limit, site)
        return PLAIN
    if name == "add" and limit is not None and abs(limit) <= tensors.SMALL:
        return tensor
    if name in ("sub", "sub_"):
        return tensors.DIFFERENCE
    if name == "masked_fill" and tensor.kind is not None:
        return tensor
    if name in ("size", "dim", "numel", "backward", "requires_grad", "is_floating_point"):
        return UNKNOWN
    return tensor.forgotten()


def _head_of(name: str) -> str:
    return next((head for pattern, head in _HEADS if pattern.match(name)), "")


def call_other_layer(
    run: Interpreter, layer: Layer, given: Value, site: Site, frame: Frame
) -> Value:
    """What a layer gives that has no row in the table."""
    if layer.name.startswith("torchvision."):
        return _call_backbone(run, layer, site, frame)
    batched = isinstance(given, Tensor) and given.batched
    return BATCHED if batched else UNKNOWN


def _call_backbone(run: Interpreter, layer: Layer, site: Site, frame: Frame) -> Value:
    """A model of torchvision gives what its last layers give; they are often replaced."""
    if run.store.get((layer, "[]")) is not None:
        return UNKNOWN
    head = run.store.get((layer, _head_of(layer.name)))
    if head is None:
        return UNKNOWN
    return run.tagged(run.call(head, (BATCHED,), {}, site, frame), layer)

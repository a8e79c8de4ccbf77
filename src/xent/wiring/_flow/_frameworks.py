"""Frameworks that take a model and a loss and do the training themselves.

Each row says which arguments hold the two; the model's output then goes into the loss as it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from xent.wiring._flow import _losses
from xent.wiring._flow._values import (
    BATCHED,
    UNKNOWN,
    ClassValue,
    Container,
    External,
    Frame,
    Instance,
    Layer,
    Value,
)
from xent.wiring._places import Site

if TYPE_CHECKING:
    from xent.wiring._flow._interpreter import Interpreter

# Position and name of the model, position and names of the loss.
_FRAMEWORKS: dict[str, tuple[tuple[int, str], tuple[int, tuple[str, ...]]]] = {
    "skorch.NeuralNet": ((0, "module"), (1, ("criterion",))),
    "skorch.NeuralNetClassifier": ((0, "module"), (9, ("criterion",))),
    "skorch.NeuralNetBinaryClassifier": ((0, "module"), (9, ("criterion",))),
    "skorch.net.NeuralNet": ((0, "module"), (1, ("criterion",))),
    "skorch.classifier.NeuralNetClassifier": ((0, "module"), (9, ("criterion",))),
    "skorch.classifier.NeuralNetBinaryClassifier": ((0, "module"), (9, ("criterion",))),
    "skorch.helper.NeuralNetClassifier": ((0, "module"), (9, ("criterion",))),
    "fastai.learner.Learner": ((1, "model"), (2, ("loss_func",))),
    "fastai.vision.all.Learner": ((1, "model"), (2, ("loss_func",))),
    "fastai.basics.Learner": ((1, "model"), (2, ("loss_func",))),
    "fastai.tabular.all.Learner": ((1, "model"), (2, ("loss_func",))),
    "fastai.text.all.Learner": ((1, "model"), (2, ("loss_func",))),
    "ignite.engine.create_supervised_trainer": ((0, "model"), (2, ("loss_fn",))),
    "poutyne.Model": ((0, "network"), (2, ("loss_function",))),
    "poutyne.framework.model.Model": ((0, "network"), (2, ("loss_function",))),
    "torchbearer.Trial": ((0, "model"), (2, ("criterion",))),
}


def note_training(
    run: Interpreter,
    name: str,
    arguments: Sequence[Value],
    keywords: Mapping[str, Value],
    site: Site,
    frame: Frame,
) -> None:
    """Record the loss that a framework will call."""
    row = _FRAMEWORKS.get(name)
    if row is None:
        return
    (model_at, model_name), (loss_at, loss_names) = row
    model = _argument(arguments, keywords, model_at, (model_name,))
    loss = _argument(arguments, keywords, loss_at, loss_names)
    if isinstance(loss, External) and _losses.loss_layer(loss.name):
        loss = Layer(loss.name, site)
    if not isinstance(loss, Layer):
        if name.endswith("NeuralNetBinaryClassifier"):
            loss = Layer("torch.nn.BCEWithLogitsLoss", site)  # its default
        else:
            return
    known = _losses.loss_layer(loss.name)
    if known is None or ("skorch" in name and known.name == "nll_loss"):
        return  # skorch takes the logarithm itself before NLLLoss
    if isinstance(model, ClassValue):
        model = _made(run, model, keywords)
    if isinstance(model, Instance | Container | Layer):
        output = run.call(model, (BATCHED,), {}, site, frame)
        if isinstance(output, Container) and output.flavour == "tuple":
            output = dict(run.contents(output).items or ()).get(0, UNKNOWN)
        run.call(loss, (output, UNKNOWN), {}, site, frame)


def _made(run: Interpreter, model: ClassValue, keywords: Mapping[str, Value]) -> Value:
    """A model that is given as a class, with its arguments as ``module__hidden=...``."""
    given = {
        key.removeprefix("module__"): value
        for key, value in keywords.items()
        if key.startswith("module__")
    }
    return run.call(model, (), given, run.site(model.node), model.frame)


def _argument(
    arguments: Sequence[Value], keywords: Mapping[str, Value], position: int, names: Sequence[str]
) -> Value:
    for name in names:
        if name in keywords:
            return keywords[name]
    return arguments[position] if position < len(arguments) else UNKNOWN

"""The losses that a wire may end in, and what each takes: read from the contracts of the losses."""

from __future__ import annotations

from dataclasses import dataclass

from xent._contracts import CONTRACTS
from xent.wiring._flow._names import canonical

LOGITS, PROBABILITY, LOG_PROBABILITY = "logit", "probability", "log-probability"


@dataclass(frozen=True)
class Loss:
    """A loss.

    Args:
        name: the function, such as ``cross_entropy``.
        takes: the domain of its input: ``logit``, ``probability`` or ``log-probability``.
        of_rows: whether it takes one class out of several for each row.
    """

    name: str
    takes: str
    of_rows: bool


def _table() -> tuple[dict[str, Loss], dict[str, Loss]]:
    functions: dict[str, Loss] = {}
    layers: dict[str, Loss] = {}
    for contract in CONTRACTS.values():
        form = contract.argument("input").forms[0]
        loss = Loss(contract.name, form.domain.name, "classes" in form.shape)
        for name in contract.also_known_as:
            (layers if name.rpartition(".")[2][0].isupper() else functions)[name] = loss
        functions[f"torch.nn.functional.{contract.name}"] = loss
    divergence = Loss("kl_div", LOG_PROBABILITY, True)
    functions["torch.nn.functional.kl_div"] = functions["torch.kl_div"] = divergence
    layers["torch.nn.KLDivLoss"] = divergence
    # Of xent alone, under the names that canonical gives them.
    layers["torch.nn.SoftmaxFocalLoss"] = functions["torch.nn.functional.softmax_focal_loss"]
    layers["torch.nn.SigmoidFocalLoss"] = functions["torch.nn.functional.sigmoid_focal_loss"]
    # The same cross-entropy for several targets or labels at once.
    layers["torch.nn.MultiLabelSoftMarginLoss"] = Loss("multilabel_soft_margin_loss", LOGITS, False)
    functions["torch.nn.functional.multilabel_soft_margin_loss"] = layers[
        "torch.nn.MultiLabelSoftMarginLoss"
    ]
    functions["torch.nll_loss"] = functions["torch.nn.functional.nll_loss"]
    for old in ("nll_loss2d",):
        functions[f"torch.nn.functional.{old}"] = functions["torch.nn.functional.nll_loss"]
    layers["torch.nn.NLLLoss2d"] = layers["torch.nn.NLLLoss"]
    return functions, layers


FUNCTIONS, LAYERS = _table()

# Where each option stands among the arguments of a function and of a layer.
OPTIONS = {
    "cross_entropy": ("weight", "size_average", "ignore_index", "reduce", "reduction",
                      "label_smoothing"),
    "nll_loss": ("weight", "size_average", "ignore_index", "reduce", "reduction"),
    "kl_div": ("size_average", "reduce", "reduction", "log_target"),
}  # fmt: skip


def loss_function(name: str) -> Loss | None:
    """The loss of that full name.

    >>> loss_function("torch.nn.functional.nll_loss").takes
    'log-probability'
    """
    return FUNCTIONS.get(canonical(name))


def loss_layer(name: str) -> Loss | None:
    """The loss whose class has that full name.

    >>> loss_layer("torch.nn.modules.loss.BCEWithLogitsLoss").takes
    'logit'
    >>> loss_layer("paddle.nn.CrossEntropyLoss") is None
    True
    """
    return LAYERS.get(canonical(name))

"""The losses as modules, with the names, signatures and state of ``torch.nn``.

``import xent.nn as nn`` in place of ``import torch.nn as nn`` is enough: what xent doesn't have,
such as ``nn.Linear``, comes from PyTorch. The four that PyTorch has are subclasses of its own, so
that ``isinstance``, saved states and copies keep working. Each calls the function of its kind in
``xent.functional``, whose page has the formula, the shapes and the numerics. What belongs to one
batch, ``sample_weight`` and ``normalizer``, is given by name in the call.
"""

from __future__ import annotations

from typing import Any, ClassVar

from torch import Tensor
from torch import nn as torch_nn

from xent import functional

__all__ = [
    "BCELoss",
    "BCEWithLogitsLoss",
    "CrossEntropyLoss",
    "NLLLoss",
    "SigmoidFocalLoss",
    "SoftmaxFocalLoss",
    "functional",
]


class _WithExtras(torch_nn.Module):
    """A loss with options that PyTorch's doesn't have: its text form shows those that are set."""

    # Their names and defaults.
    extras: ClassVar[dict[str, object]] = {}

    def extra_repr(self) -> str:
        shown = [super().extra_repr()]
        for name, default in self.extras.items():
            value = getattr(self, name)
            if isinstance(value, Tensor):
                shown.append(f"{name}=tensor of shape {tuple(value.shape)}")
            elif value != default:
                shown.append(f"{name}={value!r}")
        return ", ".join(filter(None, shown))


class BCELoss(_WithExtras, torch_nn.BCELoss):
    """Cross-entropy between target and predicted probabilities, each element by itself.

    Args:
        weight: weight of each element, of a shape that broadcasts to that of the input; a buffer.
        size_average: deprecated in PyTorch; use ``reduction``.
        reduce: deprecated in PyTorch; use ``reduction``.
        reduction: "none" for the loss of each element, "mean" or "sum".
        pos_weight: weight of the term of 1, broadcast like ``weight``; a buffer.
        label_smoothing: share of the target that is moved to one half, in [0, 1].
        ignore_index: elements with this target are left out; None for none.
        all_ignored: the mean over nothing, "nan" as in PyTorch or "zero".

    Raises:
        ContractError: when called, where ``functional.binary_cross_entropy`` raises it.

    See Also:
        BCEWithLogitsLoss: takes logits, and keeps every digit in both tails.
        CrossEntropyLoss: takes one class out of several for each row.

    >>> import torch
    >>> BCELoss()(torch.tensor([0.7, 0.3]), torch.tensor([1.0, 0.0]))
    tensor(0.3567)
    """

    extras: ClassVar[dict[str, object]] = {
        "pos_weight": None,
        "label_smoothing": 0.0,
        "ignore_index": None,
        "all_ignored": "nan",
    }

    pos_weight: Tensor | None

    def __init__(
        self,
        weight: Tensor | None = None,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
        *,
        pos_weight: Tensor | None = None,
        label_smoothing: float = 0.0,
        ignore_index: int | None = None,
        all_ignored: str = "nan",
    ) -> None:
        super().__init__(weight, size_average, reduce, reduction)
        self.register_buffer("pos_weight", pos_weight)
        self.label_smoothing = label_smoothing
        self.ignore_index = ignore_index
        self.all_ignored = all_ignored

    def forward(
        self,
        input: Tensor,
        target: Tensor,
        *,
        sample_weight: Tensor | None = None,
        normalizer: float | Tensor | None = None,
    ) -> Tensor:
        """The loss of a batch, as ``functional.binary_cross_entropy`` gives it."""
        return functional.binary_cross_entropy(
            input,
            target,
            self.weight,
            reduction=self.reduction,
            pos_weight=self.pos_weight,
            label_smoothing=self.label_smoothing,
            ignore_index=self.ignore_index,
            sample_weight=sample_weight,
            normalizer=normalizer,
            all_ignored=self.all_ignored,
        )


class BCEWithLogitsLoss(_WithExtras, torch_nn.BCEWithLogitsLoss):
    """Cross-entropy between target probabilities and sigmoid(input), each element by itself.

    Args:
        weight: weight of each element, of a shape that broadcasts to that of the input; a buffer.
        size_average: deprecated in PyTorch; use ``reduction``.
        reduce: deprecated in PyTorch; use ``reduction``.
        reduction: "none" for the loss of each element, "mean" or "sum".
        pos_weight: weight of the term of 1, broadcast like ``weight``; a buffer.
        label_smoothing: share of the target that is moved to one half, in [0, 1].
        ignore_index: elements with this target are left out; None for none.
        all_ignored: the mean over nothing, "nan" as in PyTorch or "zero".

    Raises:
        ContractError: when called, where ``functional.binary_cross_entropy_with_logits`` raises it.

    See Also:
        BCELoss: takes probabilities: apply no sigmoid for this one.
        CrossEntropyLoss: takes one class out of several for each row.
        SigmoidFocalLoss: gives elements that are already right less weight.

    >>> import torch
    >>> loss = BCEWithLogitsLoss(label_smoothing=0.1)
    >>> loss
    BCEWithLogitsLoss(label_smoothing=0.1)
    >>> loss(torch.tensor([2.0, -1.0]), torch.tensor([1, 0]))
    tensor(0.2951)
    """

    extras: ClassVar[dict[str, object]] = {
        "label_smoothing": 0.0,
        "ignore_index": None,
        "all_ignored": "nan",
    }

    def __init__(
        self,
        weight: Tensor | None = None,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
        pos_weight: Tensor | None = None,
        *,
        label_smoothing: float = 0.0,
        ignore_index: int | None = None,
        all_ignored: str = "nan",
    ) -> None:
        super().__init__(weight, size_average, reduce, reduction, pos_weight)
        self.label_smoothing = label_smoothing
        self.ignore_index = ignore_index
        self.all_ignored = all_ignored

    def forward(
        self,
        input: Tensor,
        target: Tensor,
        *,
        sample_weight: Tensor | None = None,
        normalizer: float | Tensor | None = None,
    ) -> Tensor:
        """The loss of a batch, as ``functional.binary_cross_entropy_with_logits`` gives it."""
        return functional.binary_cross_entropy_with_logits(
            input,
            target,
            self.weight,
            reduction=self.reduction,
            pos_weight=self.pos_weight,
            label_smoothing=self.label_smoothing,
            ignore_index=self.ignore_index,
            sample_weight=sample_weight,
            normalizer=normalizer,
            all_ignored=self.all_ignored,
        )


class CrossEntropyLoss(_WithExtras, torch_nn.CrossEntropyLoss):
    """Cross-entropy between the target and softmax(input), one class out of several a row.

    Args:
        weight: weight of each class, ``(C,)``; a buffer.
        size_average: deprecated in PyTorch; use ``reduction``.
        ignore_index: rows with this target are left out. For class indices only.
        reduce: deprecated in PyTorch; use ``reduction``.
        reduction: "none" for the loss of each row, "mean" or "sum".
        label_smoothing: share of the target that is spread evenly over the classes, in [0, 1].
        class_dim: axis of the classes; None is PyTorch's rule, 1, or 0 for a single row.
        all_ignored: the mean over nothing, "nan" as in PyTorch or "zero".
        z_loss: coefficient of the squared log-sum-exp that is added to the loss of a row.
        softcap: bound of the logits.
        temperature: what the logits are divided by, after ``softcap``; a number, or a 0-d tensor,
            which becomes a buffer, or as ``Parameter`` a parameter that is learned.
        logit_adjustment: what is added to the logits of each class, last: ``(C,)``; a buffer.

    Raises:
        ContractError: when called, where ``functional.cross_entropy`` raises it.

    See Also:
        NLLLoss: takes log-probabilities: this one is NLLLoss of log_softmax(input).
        BCEWithLogitsLoss: takes a yes or no for each element, so that several classes may be right
            at once.
        SoftmaxFocalLoss: gives rows that are already right less weight.

    >>> import torch
    >>> loss = CrossEntropyLoss(class_dim=-1)
    >>> loss(torch.zeros(2, 5, 4), torch.zeros(2, 5, dtype=torch.int32))
    tensor(1.3863)
    """

    extras: ClassVar[dict[str, object]] = {
        "class_dim": None,
        "all_ignored": "nan",
        "z_loss": 0.0,
        "softcap": None,
        "temperature": 1.0,
        "logit_adjustment": None,
    }

    logit_adjustment: Tensor | None

    def __init__(
        self,
        weight: Tensor | None = None,
        size_average: bool | None = None,
        ignore_index: int = -100,
        reduce: bool | None = None,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
        *,
        class_dim: int | None = None,
        all_ignored: str = "nan",
        z_loss: float = 0.0,
        softcap: float | None = None,
        temperature: float | Tensor = 1.0,
        logit_adjustment: Tensor | None = None,
    ) -> None:
        super().__init__(weight, size_average, ignore_index, reduce, reduction, label_smoothing)
        self.class_dim = class_dim
        self.all_ignored = all_ignored
        self.z_loss = z_loss
        self.softcap = softcap
        if isinstance(temperature, Tensor) and not isinstance(temperature, torch_nn.Parameter):
            self.register_buffer("temperature", temperature)
        else:
            self.temperature = temperature
        self.register_buffer("logit_adjustment", logit_adjustment)

    def forward(
        self,
        input: Tensor,
        target: Tensor,
        *,
        sample_weight: Tensor | None = None,
        normalizer: float | Tensor | None = None,
    ) -> Tensor:
        """The loss of a batch, as ``functional.cross_entropy`` gives it."""
        return functional.cross_entropy(
            input,
            target,
            self.weight,
            ignore_index=self.ignore_index,
            reduction=self.reduction,
            label_smoothing=self.label_smoothing,
            class_dim=self.class_dim,
            sample_weight=sample_weight,
            normalizer=normalizer,
            all_ignored=self.all_ignored,
            z_loss=self.z_loss,
            softcap=self.softcap,
            temperature=self.temperature,
            logit_adjustment=self.logit_adjustment,
        )


class NLLLoss(_WithExtras, torch_nn.NLLLoss):
    """Negative log-likelihood of the target, read from log-probabilities.

    Args:
        weight: weight of each class, ``(C,)``; a buffer.
        size_average: deprecated in PyTorch; use ``reduction``.
        ignore_index: rows with this target are left out.
        reduce: deprecated in PyTorch; use ``reduction``.
        reduction: "none" for the loss of each row, "mean" or "sum".
        class_dim: axis of the classes; None is PyTorch's rule, 1, or 0 for a single row.
        all_ignored: the mean over nothing, "nan" as in PyTorch or "zero".

    Raises:
        ContractError: when called, where ``functional.nll_loss`` raises it.

    See Also:
        CrossEntropyLoss: takes logits: apply no log_softmax for this one.
        BCELoss: takes probabilities, not their logarithms, and a yes or no for each element.

    >>> import torch
    >>> NLLLoss()(torch.tensor([[0.75, 0.25]]).log(), torch.tensor([0]))
    tensor(0.2877)
    """

    extras: ClassVar[dict[str, object]] = {"class_dim": None, "all_ignored": "nan"}

    def __init__(
        self,
        weight: Tensor | None = None,
        size_average: bool | None = None,
        ignore_index: int = -100,
        reduce: bool | None = None,
        reduction: str = "mean",
        *,
        class_dim: int | None = None,
        all_ignored: str = "nan",
    ) -> None:
        super().__init__(weight, size_average, ignore_index, reduce, reduction)
        self.class_dim = class_dim
        self.all_ignored = all_ignored

    def forward(
        self,
        input: Tensor,
        target: Tensor,
        *,
        sample_weight: Tensor | None = None,
        normalizer: float | Tensor | None = None,
    ) -> Tensor:
        """The loss of a batch, as ``functional.nll_loss`` gives it."""
        return functional.nll_loss(
            input,
            target,
            self.weight,
            ignore_index=self.ignore_index,
            reduction=self.reduction,
            class_dim=self.class_dim,
            sample_weight=sample_weight,
            normalizer=normalizer,
            all_ignored=self.all_ignored,
        )


class SigmoidFocalLoss(_WithExtras):
    """Binary cross-entropy of logits, weighted down where the prediction is already right.

    Args:
        alpha: weight of the label 1, and 1 - alpha that of 0; negative or None for no weights.
        gamma: how fast elements lose weight as they become right; 0 for not at all.
        reduction: "none" for the loss of each element, "mean" or "sum".

    Raises:
        ContractError: when called, where ``functional.sigmoid_focal_loss`` raises it.

    See Also:
        BCEWithLogitsLoss: is this with gamma=0 and alpha=-1.
        SoftmaxFocalLoss: takes one class out of several for each row.

    >>> SigmoidFocalLoss(gamma=1.0)
    SigmoidFocalLoss(gamma=1.0)
    """

    extras: ClassVar[dict[str, object]] = {"alpha": 0.25, "gamma": 2.0, "reduction": "mean"}

    def __init__(
        self, alpha: float | None = 0.25, gamma: float = 2.0, reduction: str = "mean"
    ) -> None:
        super().__init__()
        self.alpha = alpha
        self.gamma = gamma
        self.reduction = reduction

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """The loss of a batch, as ``functional.sigmoid_focal_loss`` gives it."""
        return functional.sigmoid_focal_loss(input, target, self.alpha, self.gamma, self.reduction)


class SoftmaxFocalLoss(_WithExtras):
    """Cross-entropy of logits, weighted down in rows that are already right.

    Args:
        weight: weight of each class, ``(C,)``; a buffer.
        gamma: how fast rows lose weight as they become right; 0 for not at all.
        ignore_index: rows with this target are left out.
        reduction: "none" for the loss of each row, "mean" or "sum".
        class_dim: axis of the classes; None is PyTorch's rule, 1, or 0 for a single row.
        all_ignored: the mean over nothing, "nan" or "zero".

    Raises:
        ContractError: when called, where ``functional.softmax_focal_loss`` raises it.

    See Also:
        CrossEntropyLoss: is this with gamma=0.
        SigmoidFocalLoss: takes a yes or no for each element.

    >>> import torch
    >>> SoftmaxFocalLoss()(torch.tensor([[2.0, 0.0]]), torch.tensor([0]))
    tensor(0.0018)
    """

    extras: ClassVar[dict[str, object]] = {
        "gamma": 2.0,
        "ignore_index": -100,
        "reduction": "mean",
        "class_dim": None,
        "all_ignored": "nan",
    }

    weight: Tensor | None

    def __init__(
        self,
        weight: Tensor | None = None,
        gamma: float = 2.0,
        ignore_index: int = -100,
        reduction: str = "mean",
        *,
        class_dim: int | None = None,
        all_ignored: str = "nan",
    ) -> None:
        super().__init__()
        self.register_buffer("weight", weight)
        self.gamma = gamma
        self.ignore_index = ignore_index
        self.reduction = reduction
        self.class_dim = class_dim
        self.all_ignored = all_ignored

    def forward(
        self,
        input: Tensor,
        target: Tensor,
        *,
        sample_weight: Tensor | None = None,
        normalizer: float | Tensor | None = None,
    ) -> Tensor:
        """The loss of a batch, as ``functional.softmax_focal_loss`` gives it."""
        return functional.softmax_focal_loss(
            input,
            target,
            self.weight,
            self.gamma,
            self.ignore_index,
            self.reduction,
            class_dim=self.class_dim,
            sample_weight=sample_weight,
            normalizer=normalizer,
            all_ignored=self.all_ignored,
        )


def __getattr__(name: str) -> Any:
    # PyTorch's private names stay PyTorch's: nobody should come to depend on them through here.
    if name.startswith("_") or not hasattr(torch_nn, name):
        raise AttributeError(f"module 'xent.nn' has no attribute {name!r}")
    return getattr(torch_nn, name)


def __dir__() -> list[str]:
    public = (name for name in dir(torch_nn) if not name.startswith("_"))
    return sorted({*__all__, *public})

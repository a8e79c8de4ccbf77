"""The losses, as functions with the names and signatures of ``torch.nn.functional``.

``import xent.functional as F`` in place of ``import torch.nn.functional as F`` is enough: what
xent doesn't have, such as ``F.relu``, comes from PyTorch.

binary_cross_entropy              probabilities, each element a yes or no
binary_cross_entropy_with_logits  log-odds, each element a yes or no
cross_entropy                     logits, one class out of several for each row
nll_loss                          log-probabilities, one class out of several for each row
sigmoid_focal_loss                log-odds; what is already right counts less
softmax_focal_loss                logits of rows; what is already right counts less
cross_entropy_statistics          nll, log-sum-exp, entropy and prediction of each row
"""

from __future__ import annotations

from typing import Any

import torch.nn.functional as _torch_functional

from xent.functional._binary import binary_cross_entropy as binary_cross_entropy
from xent.functional._binary import (
    binary_cross_entropy_with_logits as binary_cross_entropy_with_logits,
)
from xent.functional._categorical import cross_entropy as cross_entropy
from xent.functional._categorical import nll_loss as nll_loss
from xent.functional._focal import sigmoid_focal_loss as sigmoid_focal_loss
from xent.functional._focal import softmax_focal_loss as softmax_focal_loss
from xent.functional._statistics import CrossEntropyStatistics as CrossEntropyStatistics
from xent.functional._statistics import cross_entropy_statistics as cross_entropy_statistics

__all__ = [
    "CrossEntropyStatistics",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "cross_entropy",
    "cross_entropy_statistics",
    "nll_loss",
    "sigmoid_focal_loss",
    "softmax_focal_loss",
]


def __getattr__(name: str) -> Any:
    # PyTorch's private names stay PyTorch's: nobody should come to depend on them through here.
    if name.startswith("_") or not hasattr(_torch_functional, name):
        raise AttributeError(f"module 'xent.functional' has no attribute {name!r}")
    return getattr(_torch_functional, name)


def __dir__() -> list[str]:
    public = (name for name in dir(_torch_functional) if not name.startswith("_"))
    return sorted({*__all__, *public})

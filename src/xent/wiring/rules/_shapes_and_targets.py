"""Shapes, dtypes and targets that a loss takes for something else."""

from __future__ import annotations

from collections.abc import Iterator

from xent.wiring._finding import ERROR
from xent.wiring._flow._record import Record
from xent.wiring._rule import BOTH, RUN_TIME, Fault, Rule
from xent.wiring.rules._shapes import class_axis, shape_mismatch, target_form


def at_run_time(_: Record) -> Iterator[Fault]:
    """What source doesn't show."""
    return iter(())


RULES = (
    Rule(
        "XE201",
        "bce-shape-mismatch",
        ERROR,
        "Input and target of a loss of elements have different shapes, such as (N, 1) and (N,).",
        "PyTorch's binary cross-entropy stops with an error. MSELoss and losses of one's own "
        "broadcast the two to (N, N) and hold each prediction against every target: the loss "
        "falls a little and stays there.",
        """
import torch.nn as nn
import torch.nn.functional as F

model = nn.Linear(20, 1)


def step(x, y):
    return F.binary_cross_entropy_with_logits(model(x).squeeze(), y.view(-1, 1))
""",
        """
import torch.nn as nn
import torch.nn.functional as F

model = nn.Linear(20, 1)


def step(x, y):
    return F.binary_cross_entropy_with_logits(model(x), y.view(-1, 1))
""",
        shape_mismatch,
        "In source only sizes that are written out are known, and of losses binary cross-entropy, "
        "which refuses them. xent.check sees those of a batch, and of losses that broadcast: a "
        "target that is repeated is a warning there, and one number for all a note.",
        found_in=BOTH,
    ),
    Rule(
        "XE202",
        "class-target-dtype",
        ERROR,
        "The target is in another form than the loss reads: class indices in a floating dtype, "
        "one-hot rows or yes and no in an integer dtype, indices with an axis of one.",
        "Class indices are whole numbers of shape (N,), class probabilities floating numbers of "
        "shape (N, C), and PyTorch's binary losses take floating numbers. In "
        "between PyTorch stops with an error that names dtypes and not the reason.",
        """
import torch.nn as nn
import torch.nn.functional as F

model = nn.Linear(20, 3)


def step(x, y):
    return F.cross_entropy(model(x), F.one_hot(y, 3))
""",
        """
import torch.nn as nn
import torch.nn.functional as F

model = nn.Linear(20, 3)


def step(x, y):
    return F.cross_entropy(model(x), y)
""",
        target_form,
        found_in=BOTH,
    ),
    Rule(
        "XE203",
        "soft-target-not-normalised",
        ERROR,
        "Class probabilities as the target of cross-entropy don't sum to 1 in each row.",
        "PyTorch takes them as they are: a row counts by its sum. Mostly these are labels of "
        "several classes at once, for which the classes compete in vain: the softmax of the "
        "output can't be 1 for two of them.",
        """
import torch
import xent

logits, labels = torch.randn(4, 3), torch.tensor([[1.0, 1.0, 0.0]] * 4)
xent.check("cross_entropy", logits, labels)
""",
        """
import torch
import xent

logits, labels = torch.randn(4, 3), torch.tensor([[1.0, 1.0, 0.0]] * 4)
xent.check("binary_cross_entropy_with_logits", logits, labels)
""",
        at_run_time,
        "Rows that are all 0, or hold one number that may be the weight of the row, are a warning.",
        found_in=RUN_TIME,
    ),
    Rule(
        "XE204",
        "class-axis",
        ERROR,
        "The classes are on another axis than the loss reads, or a weight has another length than "
        "there are classes.",
        "PyTorch has the classes on axis 1: (N, C, L), not (N, L, C). It stops with an error, or "
        "takes positions for classes where the two happen to be as many.",
        """
import torch
import torch.nn as nn

model = nn.Linear(20, 3)
criterion = nn.CrossEntropyLoss(weight=torch.tensor([1.0, 2.0]))


def step(x, y):
    return criterion(model(x), y)
""",
        """
import torch
import torch.nn as nn

model = nn.Linear(20, 3)
criterion = nn.CrossEntropyLoss(weight=torch.tensor([1.0, 2.0, 2.0]))


def step(x, y):
    return criterion(model(x), y)
""",
        class_axis,
        found_in=BOTH,
    ),
)

"""What only a batch shows, or a running loss: nothing of it can be read from source."""

from __future__ import annotations

from xent.wiring._finding import ERROR, NOTE, WARNING
from xent.wiring._rule import RUN_TIME, Rule
from xent.wiring.rules._shapes_and_targets import at_run_time


def _rule(
    code: str,
    name: str,
    level: str,
    what: str,
    why: str,
    example: str,
    instead: str,
    limits: str = "",
) -> Rule:
    texts = (what, why, example, instead)
    return Rule(code, name, level, *texts, at_run_time, limits, found_in=RUN_TIME)


RULES = (
    _rule(
        "XE601",
        "target-out-of-range",
        ERROR,
        "The target has class indices that no class has, or probabilities outside [0, 1].",
        "On a processor PyTorch names the index; on a GPU an assertion of the device fails, and "
        "every later line with it. Binary targets outside [0, 1], such as labels -1 and 1, pass "
        "in silence and give a loss without a lower bound.",
        """
import torch
import xent

logits, y = torch.randn(8, 3), torch.tensor([1, 2, 3, 1, 2, 3, 1, 2])
xent.check("cross_entropy", logits, y)
""",
        """
import torch
import xent

logits, y = torch.randn(8, 3), torch.tensor([1, 2, 3, 1, 2, 3, 1, 2])
xent.check("cross_entropy", logits, y - 1)
""",
        'With reduction="none", or weights of 0, nothing is said of binary targets: -1 may mark '
        "what is masked.",
    ),
    _rule(
        "XE602",
        "all-targets-ignored",
        ERROR,
        "Every target of the batch is the ignore_index.",
        "The mean over nothing is NaN. It spoils running means, and with a scaler or by "
        "accumulation the weights too.",
        """
import torch
import xent

logits, y = torch.randn(8, 3), torch.full((8,), -100)
xent.check("cross_entropy", logits, y)
""",
        """
import torch
import xent

logits, y = torch.randn(8, 3), torch.tensor([0, 1, 2, -100, 0, 1, 2, -100])
xent.check("cross_entropy", logits, y)
""",
    ),
    _rule(
        "XE603",
        "targets-of-one-class",
        NOTE,
        "All targets of the batch are of one class.",
        "Where classes are rare that is chance. Where the data are sorted by class and not "
        "shuffled, the model learns one class after the other and forgets the last.",
        """
import torch
import xent

logits, y = torch.randn(32, 3), torch.zeros(32, dtype=torch.long)
xent.check("cross_entropy", logits, y)
""",
        """
import torch
import xent

logits, y = torch.randn(32, 3), torch.arange(32) % 3
xent.check("cross_entropy", logits, y)
""",
    ),
    _rule(
        "XE604",
        "first-loss-above-guessing",
        WARNING,
        "The first loss is more than one nat, and three standard errors, above that of giving all "
        "classes the same probability, which is ln C, or ln 2 for yes or no.",
        "A new model knows nothing. A loss far above that of a guess says that it is sure "
        "nevertheless: the first steps of training go into taking that back.",
        """
import torch
import xent

logits, y = 30 * torch.cos(torch.arange(96.0)).reshape(32, 3), torch.arange(32) % 3
xent.check("cross_entropy", logits, y, initial=True)
""",
        """
import torch
import xent

logits, y = 0.1 * torch.cos(torch.arange(96.0)).reshape(32, 3), torch.arange(32) % 3
xent.check("cross_entropy", logits, y, initial=True)
""",
        "A loss near ln C is no proof: a double softmax begins there too. Losses with a margin, "
        "such as ArcFace, begin far above it and are left alone.",
    ),
    _rule(
        "XE605",
        "saturated-logits",
        WARNING,
        "Many predictions are wrong and so sure that their probability rounds to 0 or 1.",
        "The gradient of the classes that compete is 0 in the dtype, and that of the wrong class "
        "is as large as it gets: training is unstable, in half precision first.",
        """
import torch
import torch.nn.functional as F
import xent

y = torch.arange(32) % 3
xent.check("cross_entropy", 100.0 * F.one_hot((y + 1) % 3), y)
""",
        """
import torch
import torch.nn.functional as F
import xent

y = torch.arange(32) % 3
xent.check("cross_entropy", 100.0 * F.one_hot(y), y)
""",
        "Predictions that are sure and right are left alone, and so are losses with a margin, "
        "which lower the score of the target in every row.",
    ),
    _rule(
        "XE606",
        "not-finite-in-loss",
        ERROR,
        "The input or the target has NaN, or infinities that make the loss NaN or infinite.",
        "One such number makes the mean NaN, and after one step the weights.",
        """
import torch
import xent

logits, y = torch.randn(8, 3), torch.arange(8) % 3
logits[2] = float("-inf")
xent.check("cross_entropy", logits, y)
""",
        """
import torch
import xent

logits, y = torch.randn(8, 3), torch.arange(8) % 2
logits[:, 2] = float("-inf")
xent.check("cross_entropy", logits, y)
""",
        "Classes at -inf are masked, which is right unless a row has nothing else or its target is "
        "among them.",
    ),
    _rule(
        "XE607",
        "loss-at-double-softmax-floor",
        WARNING,
        "A running cross-entropy has settled right above ln(1 + (C - 1)/e).",
        "That is the least it can be when the input is probabilities rather than logits, as in "
        "XE101. It shows where the code can't be followed.",
        """
import xent.wiring

losses = [1.4612 + 0.8 * 0.9**step for step in range(200)]
xent.wiring.floor_finding(losses, 10)
""",
        """
import xent.wiring

losses = [0.4 + 1.8 * 0.9**step for step in range(200)]
xent.wiring.floor_finding(losses, 10)
""",
        "The loss of a right model may pass there, or scatter around it; neither is meant.",
    ),
    _rule(
        "XE608",
        "dead-gradient",
        WARNING,
        "Wrong predictions lie where the activation before the loss has no slope.",
        "A sigmoid that rounds to 0 or 1, and a ReLU below 0, pass no gradient back: what is "
        "wrong there stays wrong.",
        """
import torch
import xent

y = torch.arange(32) % 2.0
xent.check("binary_cross_entropy", torch.sigmoid(200 * (0.5 - y) * 2), y)
""",
        """
import torch
import xent

y = torch.arange(32) % 2.0
xent.check("binary_cross_entropy_with_logits", torch.cos(y), y)
""",
    ),
    _rule(
        "XE609",
        "one-class-predicted",
        NOTE,
        "The same class is the most likely one in every row, though the targets differ.",
        "A new model does that, and one that never sees the features goes on doing it.",
        """
import torch
import xent

logits, y = torch.tensor([[0.2, -0.1, 0.1]] * 32), torch.arange(32) % 3
xent.check("cross_entropy", logits, y)
""",
        """
import torch
import torch.nn.functional as F
import xent

y = torch.arange(32) % 3
xent.check("cross_entropy", 3.0 * F.one_hot(y) - 1, y)
""",
    ),
)

"""The rules on live tensors: what a batch shows, from values first and ``grad_fn`` second.

Everything here needs torch, and nothing that reads source imports it: ``xent.check`` and
``xent.watch`` load it when they are used.
"""

from __future__ import annotations

from xent.wiring._live._batch import Batch as Batch
from xent.wiring._live._batch import batch_of as batch_of
from xent.wiring._live._check import check as check
from xent.wiring._live._findings import findings as findings
from xent.wiring._live._loss_values import dead_gradient_finding as dead_gradient_finding
from xent.wiring._live._loss_values import floor_finding as floor_finding
from xent.wiring._live._loss_values import initial_loss_finding as initial_loss_finding
from xent.wiring._live._report import LiveFinding as LiveFinding
from xent.wiring._live._report import LiveReport as LiveReport
from xent.wiring._live._watch import Watch as Watch
from xent.wiring._live._watch import watch as watch
from xent.wiring._live._watch_report import WatchFinding as WatchFinding
from xent.wiring._live._watch_report import WatchReport as WatchReport

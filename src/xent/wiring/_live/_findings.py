"""Every test that applies to a batch, and the report of what they say."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch

from xent.wiring._live._batch import Batch
from xent.wiring._live._health import health
from xent.wiring._live._report import LiveReport, Outcome, Unknown, report_of
from xent.wiring._live._scales import scale
from xent.wiring._live._scoring import scoring
from xent.wiring._live._shapes import shapes
from xent.wiring._live._targets import targets

_TESTS: tuple[Callable[[Batch], Iterator[Outcome]], ...] = (
    shapes,
    targets,
    scale,
    scoring,
    health,
)


def findings(batch: Batch) -> LiveReport:
    """What a batch shows. It computes no gradient and changes nothing.

    Args:
        batch: from ``batch_of``.

    Raises:
        ContractError: if an argument is none that any loss could take, such as input and target
            swapped.

    >>> from xent.wiring._live import batch_of
    >>> findings(batch_of("nll_loss", torch.eye(3), torch.tensor([0, 1, 2]))).codes
    ('XE106',)
    """
    with torch.no_grad():
        return report_of(str(batch), _outcomes(batch))


def _outcomes(batch: Batch) -> Iterator[Outcome]:
    for test in _TESTS:
        yield from test(batch)
    if not batch.has_values:
        yield Unknown(("XE1", "XE6"), "There are no values that can be looked at.")
    elif batch.rows.is_part:
        seen = f"{len(batch.rows):,} of {batch.rows.total:,} rows were looked at, evenly spread."
        yield Unknown(("XE1", "XE6"), seen)

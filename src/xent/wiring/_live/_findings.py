"""Every test that applies to a batch, and the report of what they say."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

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
# One fault shows in several tests, and is told once: what a finding explains is left out.
_EXPLAINS = {
    "XE110": {"XE203", "XE601"},
    "XE206": {"XE101", "XE103", "XE104", "XE107", "XE301"},
}


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
        report = report_of(str(batch), _outcomes(batch))
    faults = {each.code for each in report.faults}
    explained = set[str]().union(*(_EXPLAINS.get(code, ()) for code in faults))
    return replace(
        report,
        findings=tuple(each for each in report.findings if each.code not in explained),
        not_checked=tuple(each for each in report.not_checked if not explained >= {*each.codes}),
    )


def _outcomes(batch: Batch) -> Iterator[Outcome]:
    for test in _TESTS:
        yield from test(batch)
    if not batch.has_values:
        yield Unknown(("XE1", "XE6"), "There are no values that can be looked at.")
    elif batch.rows.is_part:
        seen = f"{len(batch.rows):,} of {batch.rows.total:,} rows were looked at, evenly spread."
        yield Unknown(("XE1", "XE6"), seen)

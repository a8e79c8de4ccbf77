"""What every loss asks of its arguments and what it promises: one row for each loss.

Validation raises from this table, tests draw their inputs from it, and the reference pages and
``xent explain`` print it. It needs nothing but the standard library. A new loss is a new row.
"""

from __future__ import annotations

from xent._contracts._contract import Argument as Argument
from xent._contracts._contract import Contract as Contract
from xent._contracts._contract import Form as Form
from xent._contracts._contract import Reference as Reference
from xent._contracts._contract import Sibling as Sibling
from xent._contracts._domains import DTYPE_GROUPS as DTYPE_GROUPS
from xent._contracts._domains import Domain as Domain
from xent._contracts._faults import Fault as Fault
from xent._contracts._sigmoid_family import (
    BINARY_CROSS_ENTROPY,
    BINARY_CROSS_ENTROPY_WITH_LOGITS,
    SIGMOID_FOCAL_LOSS,
)
from xent._contracts._softmax_family import (
    CROSS_ENTROPY,
    CROSS_ENTROPY_STATISTICS,
    NLL_LOSS,
    SOFTMAX_FOCAL_LOSS,
)

CONTRACTS: dict[str, Contract] = {
    contract.name: contract
    for contract in (
        BINARY_CROSS_ENTROPY,
        BINARY_CROSS_ENTROPY_WITH_LOGITS,
        CROSS_ENTROPY,
        NLL_LOSS,
        SIGMOID_FOCAL_LOSS,
        SOFTMAX_FOCAL_LOSS,
        CROSS_ENTROPY_STATISTICS,
    )
}

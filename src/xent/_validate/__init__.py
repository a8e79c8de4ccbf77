"""Form of the arguments of a loss: shapes, dtypes, devices and options, never values.

Nothing here reads an element of a tensor, so it costs no synchronisation and runs the same on
fake tensors, while torch.compile traces, and under vmap. What a kernel sees out of range on its
way through the values is worded by ``out_of_range``. What PyTorch accepts and means something
passes; the texts are those of the contract table.
"""

from __future__ import annotations

from xent._validate._elements import check_elements as check_elements
from xent._validate._options import legacy_reduction as legacy_reduction
from xent._validate._rows import check_rows as check_rows
from xent._validate._tensors import under_autocast as under_autocast
from xent._validate._values import out_of_range as out_of_range

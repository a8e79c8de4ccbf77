"""Finds mis-wired losses: in code that is read and never run.

check_paths  files and folders
check_text   code that is in no file
fix_paths    the same files with what can be repaired repaired, in memory
fix_text     likewise
RULES        what is looked for, by code

and on live tensors, ``xent.check``, of which the parts are here. They need torch and load on use.

batch_of       what a loss is given
findings       the report of a batch
floor_finding  whether a running loss has settled where a double softmax does
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from xent.wiring._check import Report as Report
from xent.wiring._check import check_paths as check_paths
from xent.wiring._check import check_text as check_text
from xent.wiring._explanations import Explanation as Explanation
from xent.wiring._finding import Edit as Edit
from xent.wiring._finding import Finding as Finding
from xent.wiring._finding import Fix as Fix
from xent.wiring._finding import Related as Related
from xent.wiring._places import Place as Place
from xent.wiring._rule import Repair as Repair
from xent.wiring._rule import Rule as Rule
from xent.wiring.rules import RULES as RULES

if TYPE_CHECKING:
    from xent.wiring._fixes._fixing import Fixed as Fixed
    from xent.wiring._fixes._fixing import fix_paths as fix_paths
    from xent.wiring._fixes._fixing import fix_text as fix_text
    from xent.wiring._live import batch_of as batch_of
    from xent.wiring._live import findings as findings
    from xent.wiring._live import floor_finding as floor_finding

# Not needed for a check of files, and slow to load.
_LATER = dict.fromkeys(("batch_of", "findings", "floor_finding"), "_live") | dict.fromkeys(
    ("Fixed", "fix_paths", "fix_text"), "_fixing"
)


def __getattr__(name: str) -> object:
    if name not in _LATER:
        raise AttributeError(f"module 'xent.wiring' has no attribute {name!r}")
    return getattr(import_module(f"xent.wiring.{_LATER[name]}"), name)

"""Finds mis-wired losses: in code that is read and never run.

check_paths  files and folders
check_text   code that is in no file
RULES        what is looked for, by code
"""

from __future__ import annotations

from xent.wiring._check import Report as Report
from xent.wiring._check import check_paths as check_paths
from xent.wiring._check import check_text as check_text
from xent.wiring._explanations import Explanation as Explanation
from xent.wiring._finding import Finding as Finding
from xent.wiring._finding import Related as Related
from xent.wiring._places import Place as Place
from xent.wiring._rule import Rule as Rule
from xent.wiring.rules import RULES as RULES

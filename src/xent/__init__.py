"""Cross-entropy for PyTorch, done right.

The losses are in ``xent.functional`` and ``xent.nn``, which are imported by name. Here are the
verbs of the package; each loads on first use, so that importing ``xent`` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from xent._errors import ContractError as ContractError
    from xent._errors import InputError as InputError
    from xent._errors import LossWarning as LossWarning
    from xent._errors import MissingExtraError as MissingExtraError
    from xent._errors import WiringError as WiringError
    from xent._errors import XentError as XentError
    from xent._links import LINKS as LINKS
    from xent._links import Link as Link
    from xent.kernels import empty_cache as empty_cache
    from xent.study import Comparison as Comparison
    from xent.study import Formulation as Formulation
    from xent.study import PredictionComparison as PredictionComparison
    from xent.study import Sweep as Sweep
    from xent.study import compare as compare
    from xent.study import compare_predictions as compare_predictions
    from xent.study import sweep as sweep
    from xent.walkthrough import Agreement as Agreement
    from xent.walkthrough import Choice as Choice
    from xent.walkthrough import Explanation as Explanation
    from xent.walkthrough import explain as explain
    from xent.walkthrough import verify as verify
    from xent.walkthrough import which as which
    from xent.wiring._live import LiveReport as LiveReport
    from xent.wiring._live import WatchReport as WatchReport
    from xent.wiring._live import check as check
    from xent.wiring._live import watch as watch

__version__ = "0.1.0"

_HOMES = {
    "Agreement": "xent.walkthrough",
    "Choice": "xent.walkthrough",
    "Comparison": "xent.study",
    "Formulation": "xent.study",
    "ContractError": "xent._errors",
    "Explanation": "xent.walkthrough",
    "InputError": "xent._errors",
    "Sweep": "xent.study",
    "LINKS": "xent._links",
    "Link": "xent._links",
    "LiveReport": "xent.wiring._live",
    "LossWarning": "xent._errors",
    "MissingExtraError": "xent._errors",
    "PredictionComparison": "xent.study",
    "WatchReport": "xent.wiring._live",
    "WiringError": "xent._errors",
    "XentError": "xent._errors",
    "check": "xent.wiring._live",
    "compare": "xent.study",
    "compare_predictions": "xent.study",
    "empty_cache": "xent.kernels",
    "explain": "xent.walkthrough",
    "sweep": "xent.study",
    "verify": "xent.walkthrough",
    "watch": "xent.wiring._live",
    "which": "xent.walkthrough",
}

__all__ = [
    "LINKS",
    "Agreement",
    "Choice",
    "Comparison",
    "ContractError",
    "Explanation",
    "Formulation",
    "InputError",
    "Link",
    "LiveReport",
    "LossWarning",
    "MissingExtraError",
    "PredictionComparison",
    "Sweep",
    "WatchReport",
    "WiringError",
    "XentError",
    "__version__",
    "check",
    "compare",
    "compare_predictions",
    "empty_cache",
    "explain",
    "sweep",
    "verify",
    "watch",
    "which",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'xent' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)

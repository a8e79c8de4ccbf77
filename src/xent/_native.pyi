"""The native extension. It is optional: see ``xent.scoring._histogram`` for its NumPy twin."""

import numpy as np
from numpy.typing import NDArray

def log_odds_histogram(
    score: NDArray[np.float64],
    label: NDArray[np.uint8],
    weight: NDArray[np.float64] | None,
    probability: NDArray[np.float64],
    limit: float,
    bins: int,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return Σ w, Σ w y and Σ w p per bin of the score; ValueError if a score is NaN."""

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

def sigmoid_sums(
    logits: int,
    coefficients: int,
    total: int,
    slope: int,
    values: int,
    members: int,
    outputs: int,
    columns: int,
    coefficient_stride: int,
    coefficient_member: int,
    total_member: int,
    threads: int,
) -> None:
    """Sum the losses of independent sigmoids per member; pointers are addresses, 0 for none."""

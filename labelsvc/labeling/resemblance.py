"""Do calibration rows and pool look alike? Two tests that read no label; where one fails, no certificate is valid.

Both compare what a model says of calibration inputs with what it says of the pool, after the gate for unknown classes.
Each is done at half of ``LEVEL``, so that of pools that are alike one in a hundred is refused at the most.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2_contingency, fisher_exact

LEVEL = 0.01
FEWEST = 5  # rows of a class that are expected among the calibration rows; rarer classes count together


def classes_differ(calibration: NDArray[np.int64], pool: NDArray[np.int64]) -> float | None:
    """Return the p-value of a chi-squared test if two counts by predicted class [classes] differ at the level.

    >>> classes_differ(np.array([50, 50]), np.array([5000, 5200]))
    >>> round(classes_differ(np.array([50, 50]), np.array([9000, 1000])), 6)
    0.0
    """
    expected = (calibration + pool) * calibration.sum() / max((calibration + pool).sum(), 1)
    common = expected >= FEWEST
    table = np.array([[*counts[common], counts[~common].sum()] for counts in (calibration, pool)])
    table = table[:, table.sum(axis=0) > 0]
    if table.shape[1] < 2 or not table.sum(axis=1).all():
        return None
    return _if_small(float(chi2_contingency(table, correction=False).pvalue))


def acceptance_differs(accepted: tuple[int, int], rows: tuple[int, int]) -> float | None:
    """Return the p-value of Fisher's exact test if two acceptance rates differ at the level; calibration, then pool.

    >>> acceptance_differs((90, 4500), (100, 5000))
    >>> round(acceptance_differs((90, 2500), (100, 5000)), 6)
    0.0
    """
    table = [[yes, total - yes] for yes, total in zip(accepted, rows, strict=True)]
    return _if_small(float(fisher_exact(table).pvalue))


def _if_small(p_value: float) -> float | None:
    return p_value if p_value < LEVEL / 2 else None

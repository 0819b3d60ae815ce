"""Unknown is never safer than known: what a value that nobody knows counts as.

Trees send missing values wherever the past put them, so that leaving an item out can approve an
applicant whom the item would decline. In a column whose business sign is known, an unknown value
therefore counts as one beyond the riskiest that there is; with the monotone constraint no known value
can then be riskier. In columns without a sign it goes to the riskier side of each split
(:func:`~lendsafe.risk.model.trees.unknown_to_riskier`), which holds for each tree alone.

Where there is no credit file, that is a known fact with a feature of its own, and the items of the file
are left to the trees.
"""

import numpy as np
from numpy.typing import NDArray

from lendsafe.risk.config import RiskConfig
from lendsafe.risk.features import FeatureSet

Floats = NDArray[np.float64]
BEYOND = 1e18  # riskier than any value that a file may hold


def filled(values: Floats, features: FeatureSet, config: RiskConfig) -> Floats:
    """Encoded rows as the trees see them.

    Args:
        values: Encoded rows, ``(n, columns)``, NaN where not known.
        features: Their declarations.
        config: Whether unknown values count as risky, and whether the trees are monotone.
    """
    unknown = np.isnan(values)
    if not (config.unknown_is_riskier and config.monotone) or not unknown.any():
        return values
    columns = features.columns
    signs = np.array([column.constraint for column in columns], dtype=np.float64)
    unknown &= signs != 0
    for at, flag in enumerate(columns):
        if flag.no_file:
            explained = np.array([column.report for column in columns])
        elif flag.stands_for:  # a code says what its value would not
            explained = np.array([column.name.split("=")[0] == flag.stands_for for column in columns])
        else:
            continue
        unknown &= ~((values[:, at] > 0)[:, None] & explained)
    return np.where(unknown, BEYOND * signs, values)

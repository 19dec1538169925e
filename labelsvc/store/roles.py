"""How newly labeled rows get their roles, and how many of each class become validation and calibration rows.

The rule. A unit is all newly labeled rows of a group, or one such row that has no group; its class is the most
frequent one of its rows, of equally frequent ones that of the lowest code. Within a class, units stand in the order
of their hashes, that of the group's name or that of the content: the order of rows decides nothing. Where the user
splits by a column, units stand in the order of their largest value in it, the largest first, and validation and
calibration change places: what is promised rests on the latest rows. With ``start``
rows before it and ``rows`` of its own, a unit becomes

    validation     where start + rows / 2 <= quota.validation,
    calibration    else, where start + rows / 2 <= quota.validation + quota.calibration,
    train          else, and where it is the last of its class.

So a group is never split, and where every unit is one row, exactly the quotas are drawn. A row whose group had a
labeled row before takes that one's role. Roles are decided once: a sample of the pool that is labeled later counts as
train, whatever its group.

Here is pure arithmetic on counts: whole numbers throughout, so that no share is lost to rounding. Knows no table; that
is ``assignment``'s.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from labelsvc.errors import UsageError

DEFAULTS_FROM = 500  # labeled rows; below that every labeled row is needed for training
VALIDATION_SHARE, CALIBRATION_SHARE = 0.1, 0.2


@dataclass(frozen=True)
class Shares:
    """What is set aside of newly labeled rows: below 1 a share, from 1 on a count over all classes, 0 none.

    ``None`` is the default: from 500 newly labeled rows on 10% validation and 20% calibration, else none.
    """

    validation: float | int | None = None
    calibration: float | int | None = None

    def __post_init__(self) -> None:
        for name, value in (("validation", self.validation), ("calibration", self.calibration)):
            if value is not None and not _is_share_or_count(value):
                raise UsageError(f"--{name} {value:g} is neither a share (0 to below 1) nor a whole number of rows")


@dataclass(frozen=True)
class Quota:
    """How many rows of one class are set aside."""

    validation: int
    calibration: int


def quotas(labeled: Mapping[int, int], shares: Shares) -> dict[int, Quota]:
    """Return what each class sets aside, in proportion to its rows; each class keeps a row to train on.

    Args:
        labeled: newly labeled rows of each class code.
        shares: what was asked for.

    Raises:
        UsageError: more is asked for than the classes can spare.

    >>> quotas({0: 6, 1: 4}, Shares(validation=2, calibration=3))
    {0: Quota(validation=1, calibration=2), 1: Quota(validation=1, calibration=1)}
    """
    rows = sum(labeled.values())
    spare = {code: count - 1 for code, count in sorted(labeled.items())}
    validation = _rows_asked(shares.validation, VALIDATION_SHARE, rows, sum(spare.values()))
    calibration = _rows_asked(shares.calibration, CALIBRATION_SHARE, rows, sum(spare.values()) - validation)
    if validation + calibration > sum(spare.values()):
        raise UsageError(
            f"{validation} validation and {calibration} calibration rows are more than the {rows} newly "
            f"labeled rows of {len(labeled)} classes can spare, of which each keeps one to train on; "
            "ask for less with --validation and --calibration, or bring more labels"
        )
    for_validation = _apportion(validation, labeled, spare)
    left = {code: spare[code] - for_validation[code] for code in spare}
    for_calibration = _apportion(calibration, labeled, left)
    return {code: Quota(for_validation[code], for_calibration[code]) for code in spare}


def _is_share_or_count(value: float) -> bool:
    return math.isfinite(value) and value >= 0 and (value < 1 or value == int(value))


def _rows_asked(asked: float | None, default: float, rows: int, spare: int) -> int:
    if asked is None:
        return min(round(default * rows), max(spare, 0)) if rows >= DEFAULTS_FROM else 0
    return round(asked * rows) if asked < 1 else int(asked)


def _apportion(total: int, sizes: Mapping[int, int], limits: Mapping[int, int]) -> dict[int, int]:
    """Return ``total`` dealt over classes in proportion to ``sizes``, none above its limit.

    Largest remainder; ties go to the lower code. What a full class cannot take goes round again.
    """
    rows = max(sum(sizes.values()), 1)
    taken = {code: min(total * sizes[code] // rows, limit) for code, limit in limits.items()}
    order = sorted(limits, key=lambda code: (-(total * sizes[code] % rows), code))
    missing = total - sum(taken.values())
    while missing:
        for code in order:
            step = 1 if missing and taken[code] < limits[code] else 0
            taken[code] += step
            missing -= step
    return taken

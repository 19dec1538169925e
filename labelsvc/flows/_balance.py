"""label --adjust-prior: words that allow for how frequent each class is in the pool, or a note that this would matter.

Reads stored predictions and the labels of train rows. Asks no network, and knows of no other label.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from labelsvc.errors import InputError
from labelsvc.flows._session import Session
from labelsvc.flows._words import Task, Words
from labelsvc.labeling.pool import Answers, answers, candidates, write_predictions
from labelsvc.labeling.prior import adjust, estimate_prior, is_shifted
from labelsvc.labeling.select import among, is_familiar
from labelsvc.records import Progress
from labelsvc.store import samples

ROWS = 50_000  # of the pool that its balance is estimated on, at most
THOROUGH = 5_000_000  # probabilities, rows × classes, that an adjustment is estimated on, at most
CHEAP = 500_000  # that a note is: under four seconds
TOLD = 3  # classes that a note names


@dataclass(frozen=True)
class _Balance:
    """How many train rows have each class, and how frequent it is by estimate in the pool, from so many rows."""

    labeled: NDArray[np.float64]
    pool: NDArray[np.float64]
    rows: int

    def said(self, classes: tuple[str, ...]) -> str:
        """Name the classes that differ most; the pool's shares are estimates."""
        labeled = self.labeled / self.labeled.sum()
        most = np.argsort(-np.abs(self.pool - labeled), kind="stable")[:TOLD]
        return "; ".join(
            f"{classes[k]!r} is {labeled[k]:.1%} of the labels and {self.pool[k]:.1%} of the pool" for k in most
        )


def trained_balance(task: Task) -> tuple[int, ...] | None:
    """Return how many train rows have each class, if it matters: where the prior is adjusted."""
    return tuple(int(count) for count in _labeled(task)) if task.config.adjust_prior else None


def balanced(session: Session, task: Task, said: Words) -> Words:
    """Return the model's words adjusted to the pool's balance, where that was asked for; else say if it would matter.

    Raises:
        InputError: no train row has a label, so that there is no balance to adjust from.
    """
    if task.config.adjust_prior:
        return _adjusted(session, task, said)
    found = _balance(task, said, CHEAP)
    if found is not None and is_shifted(found.labeled, found.pool, found.rows):
        task.listener.note(
            "classes seem to be more or less frequent in the pool than among the labels "
            f"(by estimate {found.said(_names(task))}); --adjust-prior allows for that"
        )
    return said


def _adjusted(session: Session, task: Task, said: Words) -> Words:
    found = _balance(task, said, THOROUGH)
    if found is None:
        raise InputError("--adjust-prior compares the pool with the labels, and no train row has one; leave it out")
    task.listener.note(
        f"the prior is adjusted, as estimated from {found.rows:,} rows of the pool: {found.said(_names(task))}"
    )
    path, whole = session.folder / "adjusted.parquet", len(task.rows.numbers)
    for done in write_predictions(path, _weighed(task, said, found), _names(task)):
        task.listener.progress(Progress("adjust", done, whole))
    balance = {"labeled": found.labeled.tolist(), "pool": found.pool.tolist(), "rows": found.rows}
    session.outcome |= {"adjusted": session.workspace.relative(path), "balance": balance}
    return replace(said, path=path, score=f"{said.score}, prior adjusted")


def _weighed(task: Task, said: Words, found: _Balance) -> Iterator[Answers]:
    """Yield the model's answers in a world of the pool's balance; a row stays as familiar as it was."""
    for block, scores in answers(said.path, _names(task)):
        adjusted = adjust(scores, found.labeled, found.pool)
        yield replace(candidates(block.numbers, adjusted), familiarity=block.familiarity), adjusted


def _balance(task: Task, said: Words, values: int) -> _Balance | None:
    """Return both balances, the pool's from so many probabilities at most; None where no train row has a label."""
    labeled = _labeled(task)
    if not labeled.sum():
        return None
    classes = len(_names(task))
    rows = min(ROWS, max(values // classes, 1))
    some = np.sort(np.random.default_rng(0).permutation(task.rows.pool)[:rows])
    parts = [np.empty((0, classes))]
    for block, scores in answers(said.path, _names(task)):
        parts.append(scores[among(block.numbers, some) & is_familiar(block, said.least_familiarity)])
    scores = np.concatenate(parts)
    return _Balance(labeled, estimate_prior(scores, labeled), len(scores))


def _labeled(task: Task) -> NDArray[np.float64]:
    classes = len(_names(task))
    codes = samples.given(task.store, "train").classes
    return np.bincount(codes, minlength=classes)[:classes].astype(np.float64)


def _names(task: Task) -> tuple[str, ...]:
    return task.model.classes

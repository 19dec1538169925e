"""Real rows on which a student's file is tried before anybody uses it: some of the pool, and the validation rows.

Knows which rows and how to show them to a file; leaves it to others what follows from the answers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from labelsvc.data.inputs import Inputs
from labelsvc.flows._inputs import open_inputs
from labelsvc.records import Decoded, LabeledSamples, SampleNumbers
from labelsvc.store import samples
from labelsvc.store.database import Store
from labelsvc.student.infer import Student
from labelsvc.student.metadata import Words, best_of
from labelsvc.student.speed import BATCHES
from labelsvc.workspace import Workspace

SHOWN_ROWS = 4096  # of the pool, drawn once and for all
CHECKED_ROWS = 256  # of the train rows, and again of the pool, on which a file must answer as its network does
RANGE_ROWS = 512  # of the pool, from which int8 takes its ranges
BLOCK = 32  # rows that a file is shown at once


@dataclass(frozen=True)
class Rehearsal:
    """The rows. Where there is no pool, the train rows stand in for it."""

    inputs: Inputs
    train: SampleNumbers
    pool: SampleNumbers  # some of it, in a random order
    validation: LabeledSamples

    @classmethod
    def open(cls, place: Workspace, store: Store) -> Rehearsal:
        """Choose the rows of a workspace, always the same ones as long as it has the same."""
        train = samples.given(store, "train").numbers
        everything = samples.pool(store)
        pool = np.random.default_rng(0).permutation(everything if len(everything) else train)[:SHOWN_ROWS]
        validation = samples.given(store, "validation")
        train = train[:CHECKED_ROWS]
        numbers = np.unique(np.concatenate([train, pool, validation.numbers]))
        return cls(open_inputs(place, store, numbers), train, pool, validation)

    @property
    def checked(self) -> Decoded:
        """The inputs on which a file is compared with its network."""
        return self.inputs.gather(np.concatenate([self.train, self.pool[:CHECKED_ROWS]]))

    def ranges(self) -> Iterator[Decoded]:
        """Yield the inputs from which int8 takes its ranges, block by block."""
        for _, rows in self.inputs.blocks(self.pool[:RANGE_ROWS], BLOCK):
            yield rows

    def timed(self, batch: int) -> Decoded:
        """Return as many inputs as a batch has, some of them twice where there are too few."""
        assert batch in BATCHES
        return self.inputs.gather(np.resize(self.pool, batch))

    def words(self, answers: NDArray[np.float32]) -> Words:
        """Return in counts what a file said of the pool."""
        return Words.of(*best_of(answers), answers.shape[1])

    def pool_answers(self, student: Student) -> NDArray[np.float32]:
        """Return a file's probabilities [rows, classes] of the rows of the pool."""
        return self._answers(student, self.pool)

    def validation_answers(self, student: Student) -> NDArray[np.float32]:
        """Return a file's probabilities [rows, classes] of the validation rows."""
        return self._answers(student, self.validation.numbers)

    def right(self, answers: NDArray[np.float32]) -> tuple[int, int]:
        """Return how many of a file's answers to the validation rows are right, and how many there are."""
        return int((answers.argmax(axis=1) == self.validation.classes).sum()), len(self.validation)

    def _answers(self, student: Student, numbers: SampleNumbers) -> NDArray[np.float32]:
        none = np.empty((0, len(student.classes)), np.float32)
        said = [student.probabilities(rows) for _, rows in self.inputs.blocks(numbers, BLOCK)]
        self.inputs.release()
        return np.concatenate([none, *said])

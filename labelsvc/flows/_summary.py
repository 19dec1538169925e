"""What a label set comes to, class by class: how much of the pool each got and, on validation rows, how often right."""

from __future__ import annotations

import numpy as np

from labelsvc.flows._promise import Ruling
from labelsvc.flows._words import Task, Words
from labelsvc.labeling.pool import joined, prediction_blocks
from labelsvc.labeling.select import among, is_accepted, thresholds_by_class
from labelsvc.labeling.summary import Checked, ClassSummary, Tally, summarise
from labelsvc.store import samples


def summaries(task: Task, said: Words, ruling: Ruling) -> tuple[ClassSummary, ...]:
    """Return a line for each class of what a rule accepts of a model's words."""
    classes = task.model.classes
    thresholds = thresholds_by_class(ruling.threshold, ruling.class_thresholds, classes)
    tally, exam = Tally.empty(len(classes)), []
    for block in prediction_blocks(said.path, classes):
        pool = block.where(among(block.numbers, task.rows.pool))
        tally = tally.add(pool.classes, is_accepted(pool, thresholds, said.least_familiarity), pool.confidence)
        exam.append(block.where(among(block.numbers, task.rows.exam)))
    given, seen = samples.given(task.store, "validation"), joined(exam)
    if not len(seen):
        return summarise(tally, classes)
    truth = given.classes[np.searchsorted(given.numbers, seen.numbers)]
    accepted = is_accepted(seen, thresholds, said.least_familiarity)
    return summarise(tally, classes, Checked(seen.classes, accepted, truth))

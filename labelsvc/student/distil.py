"""What a student learns from, and how: a fresh network, supervised, on given and accepted labels in strong views."""

from __future__ import annotations

import numpy as np

from labelsvc.methods.supervised import Supervised
from labelsvc.optim.recipe import Recipe
from labelsvc.records import LabeledSamples, PseudoLabels

STUDENT = Supervised(
    smoothing=0.05,
    labeled_view="strong",
    recipe=Recipe(learning_rate=0.15, schedule="one-cycle", ema_decay=0.996, labeled_batch=256),
)


def syllabus(given: LabeledSamples, *accepted: PseudoLabels) -> LabeledSamples:
    """Join given labels with accepted ones; where a sample has both, the given one counts."""
    numbers = np.concatenate([given.numbers, *(labels.numbers for labels in accepted)])
    classes = np.concatenate([given.classes, *(labels.classes for labels in accepted)])
    numbers, first = np.unique(numbers, return_index=True)
    return LabeledSamples(numbers, classes[first])

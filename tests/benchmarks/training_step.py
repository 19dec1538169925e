"""A training step as the loop takes it, against the same step on batches made beforehand.

What lies between the two is all that a perfect data pipeline could save: drawing rows, and their views.
Run: ``uv run python tests/benchmarks/training_step.py``
"""

from __future__ import annotations

import numpy as np
import torch
from record import keep, paired

from labelsvc import networks, views
from labelsvc.methods import make
from labelsvc.networks import Classifier
from labelsvc.records import PictureShape, Pixels, Preprocessing, SampleNumbers
from labelsvc.training.device import find_device, prepare
from labelsvc.training.lesson import Lesson, Sampler
from labelsvc.training.loop import Plan, begin, take_step
from labelsvc.training.rows import open_rows

LABELED, POOL, CLASSES, STEPS, ROUNDS = 1_000, 20_000, 10, 10, 8
SHAPE = PictureShape(28, 28, 1)


class Noise:
    """Pictures of noise: a step's time does not depend on what it sees."""

    shape = SHAPE

    def __init__(self, rows: int) -> None:
        self._pixels = np.random.default_rng(0).integers(0, 256, (rows, 28, 28, 1), dtype=np.uint8)

    def gather(self, numbers: SampleNumbers) -> Pixels:
        """Return rows."""
        return self._pixels[numbers]

    def release(self) -> None:
        """Keep them: they are in memory anyway."""


def main() -> None:
    """Measure and keep."""
    device = find_device("auto")
    prepare(device)
    source = Noise(LABELED + POOL)
    labeled = open_rows(np.arange(LABELED), source, device, 784)
    pool = open_rows(np.arange(LABELED, LABELED + POOL), source, device, 784)
    prior = torch.full((CLASSES,), 1 / CLASSES)
    lesson = Lesson(labeled, torch.arange(LABELED) % CLASSES, pool, views.find("glyphs"), prior)
    plan = Plan(make("softmatch"), 10**6, 0, device)
    state = begin(_network, lesson, plan)
    sampler = Sampler(lesson, plan.method, steps=plan.steps, seed=plan.seed)
    ready = [sampler.draw(step, state.generator) for step in range(STEPS)]

    def ours() -> None:
        for _ in range(STEPS):
            take_step(state, sampler.draw(state.step, state.generator), plan)
        _wait(device)

    def limit() -> None:
        for batch in ready:
            take_step(state, batch, plan)
        _wait(device)

    seconds = paired(ours, limit, rounds=ROUNDS)
    rows = STEPS * (plan.method.recipe.labeled_batch + plan.method.recipe.pool_batch)
    keep("training_step", ours=seconds[0], limit=seconds[1], rows=rows, what="the step on ready batches", aim=0.8)


def _network(number: int) -> Classifier:
    return networks.build("convnet", Preprocessing(SHAPE, (0.5,), (0.3,)), CLASSES, seed=number)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


if __name__ == "__main__":
    main()

"""A problem that a tiny network learns in seconds: pictures with a bright bar, whose place is the class."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from labelsvc import networks, views
from labelsvc.data.inputs import InputPart, Inputs
from labelsvc.methods import make
from labelsvc.methods.contract import Method
from labelsvc.networks import Classifier
from labelsvc.records import ClassCodes, PictureShape, Pixels, Preprocessing
from labelsvc.training.lesson import Lesson
from labelsvc.training.loop import Plan, State, begin, run
from labelsvc.training.rows import Rows, open_rows

CPU = torch.device("cpu")
CLASSES = 3
SHAPE = PictureShape(8, 8, 1)
PREPROCESSING = Preprocessing(SHAPE, mean=(0.3,), std=(0.3,))
SMALL_BATCHES = {"labeled_batch": "8", "pool_batch": "16"}


def bars(count: int, *, seed: int = 0) -> tuple[Pixels, ClassCodes]:
    """Return ``count`` noisy pictures and the classes that their bars tell, in turn."""
    pixels = np.random.default_rng(seed).integers(0, 90, (count, 8, 8, 1), np.uint8)
    classes = (np.arange(count) % CLASSES).astype(np.int32)
    for row, code in enumerate(classes):
        pixels[row, :, 1 + 2 * code : 3 + 2 * code] += 160
    return pixels, classes


def inputs_of(pixels: Pixels) -> Inputs:
    """Return pictures as inputs whose sample numbers are 10, 11, ..."""
    places = np.arange(len(pixels), dtype=np.int64)
    return Inputs([InputPart(places + 10, places, pixels)])


def rows_of(pixels: Pixels, device: torch.device = CPU) -> Rows:
    """Return all pictures as rows in their order."""
    numbers = np.arange(len(pixels), dtype=np.int64) + 10
    return open_rows(numbers, inputs_of(pixels), device, row_bytes=64)


def lesson(*, labeled: int = 12, pool: int = 30, device: torch.device = CPU) -> Lesson:
    """Return a lesson in bars, with what a stored teacher says of the pool, now and then wrongly; 0 rows are none."""
    pixels, classes = bars(labeled)
    return Lesson(
        labeled=rows_of(pixels, device),
        classes=torch.from_numpy(classes.astype(np.int64)),
        pool=rows_of(bars(pool, seed=1)[0], device) if pool else None,
        views=views.find("glyphs"),
        prior=torch.full((CLASSES,), 1 / CLASSES),
        targets=words(pool) if pool else None,
    )


def words(pool: int) -> Float[Tensor, "pool classes"]:
    """Return what a teacher says of the pool's bars: the right class at 80%, of every seventh row another one."""
    classes = torch.from_numpy(bars(pool, seed=1)[1].astype(np.int64))
    classes[::7] = (classes[::7] + 1) % CLASSES
    return 0.1 + 0.7 * torch.eye(CLASSES)[classes]


def network(number: int = 0, *, seed: int = 0) -> Classifier:
    """Return a fresh small convnet, the same for the same number and seed."""
    seed += 100 * number
    return networks.build("convnet", PREPROCESSING, CLASSES, seed=seed)


def small(name: str, **settings: str) -> Method:
    """Return a method with small batches."""
    return make(name, {**SMALL_BATCHES, **settings})


def plan(method: Method, steps: int, *, seed: int = 0, device: torch.device = CPU) -> Plan:
    """Return a plan that pauses only at its end."""
    return Plan(method, steps, seed, device)


def trained(lesson: Lesson, plan: Plan, *pauses: int) -> tuple[State, list[float]]:
    """Train a fresh network to the end; return what is left, and the loss of each interval."""
    plan = replace(plan, pauses=frozenset(pauses))
    state = begin(network, lesson, plan)
    return state, [interval.figures["loss"] for interval in run(state, lesson, plan)]

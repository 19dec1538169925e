"""The prepared place of a training: which network learns from which rows, in which views, on which device.

Knows what is asked of it and opens the inputs; takes no step.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from labelsvc import networks, views
from labelsvc.config import TrainConfig
from labelsvc.data.inputs import Inputs
from labelsvc.flows._inputs import open_inputs
from labelsvc.flows._session import Session
from labelsvc.methods.contract import Method
from labelsvc.networks import Classifier, weights
from labelsvc.records import LabeledSamples, Listener, ModelRole, PictureShape, Preprocessing, SampleNumbers
from labelsvc.store import samples
from labelsvc.training.device import find_device, prepare
from labelsvc.training.lesson import Lesson
from labelsvc.training.rows import Rows, mixed, open_rows

STATISTICS_ROWS = 4096  # from which the inputs' mean and deviation are taken


@dataclass(frozen=True)
class Assignment:
    """What a network is to learn, and as whose successor."""

    role: ModelRole
    method_name: str
    method: Method
    labeled: LabeledSamples
    pool: SampleNumbers
    config: TrainConfig
    parent_id: str | None = None
    round: int = 1
    elder: tuple[SampleNumbers, NDArray[np.float64]] | None = None  # its parent's probabilities of some samples
    targets: NDArray[np.float32] | None = None  # a stored teacher's probabilities [pool, classes] of the pool
    is_baseline: bool = False  # a teacher to measure another one by
    budget_share: float = 1.0  # of the config's budget
    outputs: int | None = None  # of its network; None: one for each class
    origin: Path | None = None  # weights that its network begins with, as far as they fit
    temperature: float | None = None  # from labeled rows held out in folds; validation rows go before it

    @property
    def name(self) -> str:
        """What it is called while it learns."""
        if self.outputs is not None:
            return "representation"
        return "baseline" if self.is_baseline else self.role


@dataclass(frozen=True)
class Room:
    """The prepared place of a training: what it learns from, and how the network is made."""

    session: Session
    assignment: Assignment
    listener: Listener
    device: torch.device
    inputs: Inputs
    preprocessing: Preprocessing
    classes: tuple[str, ...]
    validation: LabeledSamples
    network: str
    views: str

    def make_network(self, number: int = 0) -> Classifier:
        """Return the network as it is before the first step, always the same; other numbers have other weights."""
        seed = self.assignment.config.seed
        seed = mixed(seed, number) if number else seed
        outputs = self.assignment.outputs or len(self.classes)
        network = networks.build(self.network, self.preprocessing, outputs, seed=seed)
        if self.assignment.origin is not None:
            weights.begin_from(network, self.assignment.origin)
        return network

    def rows(self, numbers: SampleNumbers) -> Rows:
        """Return the inputs of samples on the device."""
        return open_rows(numbers, self.inputs, self.device, self.inputs.shape.bytes)

    @cached_property
    def exam(self) -> Rows:
        """The inputs of the validation rows."""
        return self.rows(self.validation.numbers)

    def lesson(self) -> Lesson:
        """Return what there is to learn from, as the loop takes it."""
        labeled = self.assignment.labeled
        counts = np.bincount(labeled.classes, minlength=len(self.classes))
        prior = np.ones_like(counts) if self.assignment.config.balanced else counts
        targets = self.assignment.targets
        return Lesson(
            labeled=self.rows(labeled.numbers),
            classes=torch.from_numpy(labeled.classes.astype(np.int64)),
            pool=self.rows(self.assignment.pool) if self.assignment.method.needs_pool else None,
            views=views.find(self.views, self.inputs.shape),
            prior=torch.from_numpy(prior / max(prior.sum(), 1)).float(),
            targets=None if targets is None else torch.from_numpy(targets),
        )


def enter(session: Session, assignment: Assignment, listener: Listener) -> Room:
    """Prepare the place of a training, choosing network and views where the config leaves them open."""
    config = assignment.config
    device = find_device(config.device)
    prepare(device)
    validation = samples.given(session.store, "validation")
    if assignment.outputs is not None:  # which are no classes, so that there is nothing to examine
        validation = validation.none()
    parts = [assignment.labeled.numbers, assignment.pool, validation.numbers]
    parts += [assignment.elder[0]] if assignment.elder else []
    numbers = np.unique(np.concatenate(parts))
    inputs = open_inputs(session.workspace, session.store, numbers)
    network, view = config.network, config.views
    if network == "auto":
        choice = networks.choose(inputs.shape, device, config.seconds)
        network = choice.name
        listener.note(f"network {network}: {choice.reason}")
    if view == "auto":
        view, reason = views.choose(inputs.shape)
        listener.note(f"views {view}: {reason}")
    return Room(
        session,
        assignment,
        listener,
        device,
        inputs,
        _preprocessing(network, inputs, numbers, config.seed),
        samples.class_names(session.store),
        validation,
        network,
        view,
    )


def _preprocessing(network: str, inputs: Inputs, numbers: SampleNumbers, seed: int) -> Preprocessing:
    """Measure mean and deviation per channel of pictures, in units of [0, 1], on a few thousand of them."""
    shape = inputs.shape
    if not isinstance(shape, PictureShape):
        return Preprocessing(shape)
    if network in networks.SCALING_ITSELF:
        return Preprocessing(shape, (0.0,) * shape.channels, (1.0,) * shape.channels)
    some = np.random.default_rng(seed).permutation(numbers)[:STATISTICS_ROWS]
    pixels = inputs.gather(some).reshape(-1, shape.channels) / 255.0
    mean, std = pixels.mean(axis=0), pixels.std(axis=0).clip(min=1e-3)
    return Preprocessing(shape, tuple(map(float, mean)), tuple(map(float, std)))

"""train, of tables and vectors: labels spread over the rows, and a network learns what arrived.

Neighbours are near where the rows lie: as they are, or among the features of a network that learnt first, in a run of
its own below the training's. In rounds, a network in passing learns what arrived and labels spread again over its
features (Iscen, Tolias, Avrithis and Chum, "Label Propagation for Deep Semi-Supervised Learning", CVPR 2019; theirs is
one network that goes on learning, weighs rows by their entropy and has no mean over the rounds). What arrives at a row,
on the scale that labeled rows held out in folds told, is what the teacher learns of it; so the teacher answers for rows
that the graph never held, and has an ONNX graph.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from scipy.special import softmax

from labelsvc import networks, views
from labelsvc.classical.lesson import Features, Lesson
from labelsvc.config import TrainConfig
from labelsvc.flows._methods import NETWORK, ROWS, SPREADING
from labelsvc.flows._models import open_network
from labelsvc.flows._room import Assignment
from labelsvc.flows._session import Session
from labelsvc.flows._taught import COMPARED_ROWS, own_teacher
from labelsvc.labeling.calibrate import probabilities
from labelsvc.labeling.consistency import Spreading
from labelsvc.methods import make
from labelsvc.networks import Classifier
from labelsvc.records import Listener, Preprocessing
from labelsvc.training import lesson as training
from labelsvc.training.device import find_device
from labelsvc.training.loop import Plan, trained
from labelsvc.training.predict import answers_to
from labelsvc.training.rows import rows_in_memory

LEARNER = "distillation"  # how the teacher learns what arrived
VIEWS = "noise"  # in which it sees rows, unless it is told: what arrived is of the row as it is
ROUND_STEPS = 500  # of a network in passing, among whose features labels spread again

Learn = Callable[[Lesson, Features], Classifier]  # a network that learnt what arrived at a pool [pool, classes]


def arrived(
    way: Spreading, network: Classifier | None, lesson: Lesson, learn: Learn, *, is_balanced: bool = False
) -> Features:
    """Return what arrives at the rows of a pool from the labeled rows, as log probabilities [pool, classes].

    After the first of several rounds a network learns what arrived, and among its features labels spread again. What
    arrives is then the mean of all rounds and of what their networks say: the rounds alone confirm their mistakes.

    Args:
        way: how labels spread, and how many times.
        network: among whose features they spread first; None: over the rows as they are.
        lesson: the labeled rows and the pool.
        learn: makes a network of what arrived.
        is_balanced: whether all classes are equally frequent.
    """
    rows = np.concatenate([lesson.labeled, lesson.pool])
    sources = np.arange(len(lesson.labeled))

    def spread(places: Features) -> Features:
        logs = way.spread(places, sources, lesson.classes, lesson.class_count, is_balanced=is_balanced)
        return np.exp(logs[len(sources) :])

    arrivals = [spread(rows if network is None else answers_to(network, rows)[1])]
    said: list[Features] = []
    for _ in range(way.rounds - 1):
        logits, places = answers_to(learn(lesson, arrivals[-1]), rows)
        said.append(softmax(logits[len(sources) :], axis=1).astype(np.float32))
        arrivals.append(spread(places))
    mean: Features = np.log(np.mean(arrivals + said, axis=0))
    return mean


def learner(config: TrainConfig) -> Learn:
    """Return what makes a network in passing of what arrived at a pool."""
    device = find_device(config.device)
    steps = ROUND_STEPS if config.steps is None else min(ROUND_STEPS, config.steps)
    plan = Plan(make(LEARNER), steps, config.seed, device)

    def learn(lesson: Lesson, words: Features) -> Classifier:
        labeled, pool = (rows_in_memory(rows, device) for rows in (lesson.labeled, lesson.pool))
        task = training.Lesson(
            labeled,
            torch.from_numpy(lesson.classes.astype(np.int64)),
            pool,
            views.find(VIEWS, pool.source.shape),
            prior=torch.full((lesson.class_count,), 1 / lesson.class_count),
            targets=torch.from_numpy(words),
        )
        seen = Preprocessing(pool.source.shape)
        return trained(lambda _: networks.build(NETWORK, seen, lesson.class_count, seed=config.seed), task, plan)

    return learn


def spread_first(
    session: Session,
    assignment: Assignment,
    way: Spreading,
    *,
    first_steps: int | None,
    lesson: Lesson,
    listener: Listener,
) -> Assignment:
    """Return ``assignment`` with what arrives at each row of its pool, whose features are the lesson's.

    Args:
        session: of the training.
        assignment: what the teacher is to learn; its temperature is that of what arrives.
        way: how labels spread; over ``ROWS``, or the features of a network that learns first by the method it names.
        first_steps: of that network; None: half of the budget.
        lesson: the labeled rows and the pool of the assignment, in its order.
        listener: is told.
    """
    first, share, config = None, assignment.budget_share, assignment.config
    if way.over != ROWS:
        share = share / 2
        first = own_teacher(session, _first(assignment, way.over, first_steps, share), listener)
    network = None if first is None else open_network(session.workspace, first)
    places = "the rows as they are" if first is None else f"the features of {first.model_id}"
    again = f", then {way.rounds - 1} times over what a network made of that" if way.rounds > 1 else ""
    listener.note(f"labels spread over {places}{again}")
    logs = arrived(way, network, lesson, learner(config), is_balanced=config.balanced)
    words = probabilities(logs.astype(np.float64), assignment.temperature or 1.0)
    return replace(
        assignment,
        method_name=SPREADING,
        method=make(LEARNER),
        config=replace(config, views=VIEWS if config.views == "auto" else config.views),
        parent_id=None if first is None else first.model_id,
        elder=(assignment.pool[:COMPARED_ROWS], words[:COMPARED_ROWS]),
        targets=words.astype(np.float32),
        budget_share=share,
    )


def _first(assignment: Assignment, over: str, steps: int | None, share: float) -> Assignment:
    """Return what the network learns among whose features labels then spread."""
    budget = None if steps is not None else (assignment.config.seconds or 0.0) * share
    config = replace(assignment.config, method=over, settings={}, steps=steps, budget=budget)
    return replace(assignment, method_name=over, method=make(over), config=config, temperature=None, budget_share=1.0)

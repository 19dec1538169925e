"""train, of tables and vectors: labels spread over the rows, and a network learns what arrived.

Neighbours are near where the rows lie: as they are, or among the features of a network that learnt first, in a run of
its own below the training's. What arrives at a row, on the scale that labeled rows held out in folds told, is what the
teacher learns of it; so the teacher answers for rows that the graph never held, and has an ONNX graph.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from labelsvc.classical.lesson import Features, Lesson
from labelsvc.flows._methods import SPREADING
from labelsvc.flows._models import open_network
from labelsvc.flows._room import Assignment
from labelsvc.flows._session import Session
from labelsvc.flows._taught import COMPARED_ROWS, own_teacher
from labelsvc.labeling.calibrate import probabilities
from labelsvc.labeling.consistency import Spreading
from labelsvc.methods import make
from labelsvc.networks import Classifier
from labelsvc.records import Listener
from labelsvc.training.predict import answers_to

ROWS = "rows"  # the way that needs no network
LEARNER = "distillation"  # how the teacher learns what arrived
VIEWS = "noise"  # in which it sees rows, unless it is told: what arrived is of the row as it is


def arrived(way: Spreading, network: Classifier | None, lesson: Lesson) -> Features:
    """Return what arrives at the rows of a pool from the labeled rows, as log probabilities [pool, classes]."""
    rows = np.concatenate([lesson.labeled, lesson.pool])
    places = rows if network is None else answers_to(network, rows)[1]
    sources = np.arange(len(lesson.labeled))
    return way.spread(places, sources, lesson.classes, lesson.class_count)[len(sources) :]


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
    listener.note(
        f"labels spread over {'the rows as they are' if first is None else f'the features of {first.model_id}'}"
    )
    logs = arrived(way, network, lesson).astype(np.float64)
    words = probabilities(logs, assignment.temperature or 1.0)
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

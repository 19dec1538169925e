"""What train and distill do alike: fit one network to labeled rows and a pool, keep its weights and its curves."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from labelsvc.flows._follow import follow, pauses
from labelsvc.flows._room import Assignment, Room, enter
from labelsvc.flows._session import Session
from labelsvc.labeling.calibrate import fit_temperature, match_temperature
from labelsvc.networks import weights
from labelsvc.records import Listener, MetricPoint, Model
from labelsvc.store import models, runs
from labelsvc.store.identifiers import new_id
from labelsvc.training.checkpoint import load
from labelsvc.training.lesson import Lesson
from labelsvc.training.loop import Plan, State, begin
from labelsvc.training.predict import logits_of
from labelsvc.training.probe import steps_for
from labelsvc.workspace import written_beside

RESOLVED = "config.json"  # of a run: its config with everything that was left open
CURVES = pa.schema([("step", pa.int64()), ("name", pa.string()), ("value", pa.float64()), ("round", pa.int32())])


def teach(session: Session, assignment: Assignment, listener: Listener) -> Model:
    """Train as assigned, keep weights and curves in the run's folder, and return the recorded model.

    A run that was interrupted goes on from its last checkpoint, with the steps that it was planned with.
    """
    known = models.by_run(session.store, session.run_id) if session.resumed else ()
    if known:  # interrupted between its last write and its end
        return _concluded(session, known[-1], _planned_before(session) or 0)
    room = enter(session, assignment, listener)
    state = fit(room)
    return _concluded(session, _keep(room, state), state.step)


def fit(room: Room) -> State:
    """Train as assigned to the last step, keeping the curves; what was interrupted goes on from its checkpoint."""
    session = room.session
    checkpoint = session.workspace.checkpoint_path(session.run_id)
    lesson = room.lesson()
    plan = _plan(room, lesson)
    _write_plan(room, plan)
    session.outcome = {"steps": plan.steps}
    state = begin(room.make_network, lesson, plan)
    points = load(state, checkpoint) if checkpoint.exists() else []
    room.listener.note(_opening(room, lesson, plan, done=state.step))
    follow(room, state, lesson, plan, points)
    _write_curves(room, points)
    runs.add_metrics(session.store, session.run_id, points)
    return state


def _concluded(session: Session, model: Model, steps: int) -> Model:
    session.stop_reason = f"all {steps:,} steps done"
    session.outcome |= {"steps": steps, "model": model.model_id}
    session.workspace.checkpoint_path(session.run_id).unlink(missing_ok=True)
    return model


def _plan(room: Room, lesson: Lesson) -> Plan:
    config, method = room.assignment.config, room.assignment.method
    steps = _planned_before(room.session) if room.session.resumed else None
    if steps is None and config.seconds is not None:
        seconds = config.seconds * room.assignment.budget_share
        steps = steps_for(seconds, room.make_network, lesson, Plan(method, 1, config.seed, room.device))
    steps = config.steps or 0 if steps is None else steps
    return Plan(method, steps, config.seed, room.device, pauses(steps, config.keep_moments))


def _planned_before(session: Session) -> int | None:
    """Return how many steps an interrupted run was planned with, None where it did not come that far."""
    return int(resolved(session)["steps"]) if (session.folder / RESOLVED).exists() else None


def resolved(session: Session) -> dict[str, Any]:
    """Return a run's config with everything that was left open, as it was written before the first step."""
    read: dict[str, Any] = json.loads((session.folder / RESOLVED).read_text(encoding="utf-8"))
    return read


def _opening(room: Room, lesson: Lesson, plan: Plan, *, done: int) -> str:
    if done:
        return f"going on with run {room.session.run_id} at step {done:,} of {plan.steps:,}"
    said = f"{plan.steps:,} steps of {room.assignment.method_name} with {room.network} on {room.device}"
    published = plan.method.published_steps(lesson.course(plan.method, plan.steps))
    if published is None or published == plan.steps:
        return said
    return f"{said}; the schedule of {published:,} steps, as published, is scaled by {plan.steps / published:.3g}"


def _write_plan(room: Room, plan: Plan) -> None:
    assignment = room.assignment
    settled = {
        **asdict(assignment.config),
        "steps": plan.steps,
        "network": room.network,
        "views": room.views,
        "device": str(room.device),
        "method": {"name": assignment.method_name, **asdict(assignment.method)},  # type: ignore[call-overload]
        "labeled": len(assignment.labeled),
        "pool": len(assignment.pool),
    }
    write_resolved(room.session, settled)


def write_resolved(session: Session, settled: Mapping[str, Any]) -> None:
    """Write a run's config with everything that was left open into its folder."""
    with written_beside(session.folder / RESOLVED) as partial:
        partial.write_text(json.dumps(settled, indent=2, sort_keys=True), encoding="utf-8")


def _write_curves(room: Room, points: Sequence[MetricPoint]) -> None:
    """Keep the curves beside the weights, before the store is asked to take them."""
    with written_beside(room.session.folder / "metrics.parquet") as partial:
        pq.write_table(pa.Table.from_pylist([asdict(point) for point in points], schema=CURVES), partial)


def _temperature(room: Room, state: State) -> tuple[float, str]:
    """Return the temperature, and where it is from: validation rows, else the parent's scale, else nowhere."""
    elder = room.assignment.elder
    if len(room.validation):
        logits = logits_of(state.average.network, room.exam)
        return fit_temperature(logits, room.validation.classes), f"fitted on {len(room.validation)} validation rows"
    told = room.assignment.temperature
    if elder is not None and len(elder[0]):
        logits = logits_of(state.average.network, room.rows(elder[0]))
        calibrated = (
            "no validation rows, so uncalibrated" if told is None else "whose scale labels held out in folds told"
        )
        return match_temperature(logits, elder[1]), f"as sure as its teacher on {len(elder[0]):,} inputs; {calibrated}"
    if told is not None:
        return told, "fitted on labeled rows held out in folds"
    return 1.0, "no validation rows, the confidence is uncalibrated"


def _keep(room: Room, state: State) -> Model:
    """Write the averaged weights, calibrate them where there are validation rows, and record the model."""
    session, assignment = room.session, room.assignment
    path = session.folder / f"{assignment.name}.safetensors"
    sha256 = weights.save(state.average.network, path)
    temperature, origin = _temperature(room, state)
    room.listener.note(f"temperature {temperature:.3f}: {origin}")
    model = Model(
        model_id=new_id(),
        run_id=session.run_id,
        role=assignment.role,
        method=assignment.method_name,
        network=room.network,
        path=session.workspace.relative(path),
        sha256=sha256,
        classes=room.classes,
        preprocessing=room.preprocessing,
        temperature=temperature,
        calibrated=len(room.validation) > 0 or assignment.temperature is not None,
        parent_id=assignment.parent_id,
        round=assignment.round,
    )
    models.add(session.store, model)
    return model

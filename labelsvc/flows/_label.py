"""label: the newest model predicts the pool, a policy selects, and a label set is written."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path

from labelsvc.config import LabelConfig, digest
from labelsvc.errors import PromiseError, UsageError
from labelsvc.flows._adopt import adopt
from labelsvc.flows._balance import balanced, trained_balance
from labelsvc.flows._models import newest
from labelsvc.flows._promise import Ruling, promise, provisional
from labelsvc.flows._session import Session, open_store, recorded, versions
from labelsvc.flows._summary import summaries
from labelsvc.flows._words import Task, Words, shown, words
from labelsvc.labeling.pool import joined, prediction_blocks, read_predictions
from labelsvc.labeling.rounds import Round
from labelsvc.labeling.select import accept, among, check_thresholds, thresholds_by_class
from labelsvc.labeling.summary import ClassSummary
from labelsvc.records import SILENCE, Certificate, LabelSet, Listener, Model, Policy, PseudoLabels, RowCount
from labelsvc.store import calibration, certificates, label_sets, runs
from labelsvc.store.identifiers import new_id
from labelsvc.store.runs import NewRun, RunRecord
from labelsvc.training.device import describe, find_device
from labelsvc.workspace import find

ONE_ROUND = "one round done"
NO_PROMISE = "the promise cannot be made"
NEXT = 'labelsvc query "SELECT label, source, count(*) FROM labels GROUP BY ALL ORDER BY ALL"'
NEXT_WITHOUT = "labelsvc suggest"  # where no row was sure enough


@dataclass(frozen=True)
class LabelOutcome:
    """A written label set, what became of the pool and, where more than one was asked for, each round."""

    run_id: str
    label_set: LabelSet
    model: Model
    rows: RowCount
    next_command: str
    repeated: bool = False
    stop_reason: str | None = ONE_ROUND
    rounds: tuple[Round, ...] = ()
    certificates: tuple[Certificate, ...] = ()
    refusal: str | None = None  # why nothing is promised of the labels, where a promise was asked for
    classes: tuple[ClassSummary, ...] = ()  # coverage and precision of each


def label(
    workspace: str | Path,
    config: LabelConfig | None = None,
    *,
    listener: Listener = SILENCE,
    parent_run: str | None = None,
) -> LabelOutcome:
    """Predict the pool with the newest model and write the labels that reach the threshold as a label set.

    With ``predictions`` the words are those of the file, another program's model of which nothing else is known.

    The set becomes ``current``. Calibration inputs are predicted too, but never written as labels. With a
    ``precision`` the threshold is the lowest one for which it can be promised, and the certificate is stored beside
    the labels. With several ``rounds`` a student is distilled from the set and labels the pool in its turn, and so on,
    until a reason to stop is found. The same call again, on the same pool and model, returns the same set.

    Raises:
        InputError: nothing was ingested or trained, or the file of predictions is not what it must be.
        PromiseError: the asked precision cannot be promised; ``current`` is as it was, the predictions are kept.
        UsageError: a threshold is no probability, or names an unknown class; steps and a budget are both given, or a
            model and predictions.
    """
    config = config or LabelConfig()
    if config.predictions is not None:
        if config.model is not None:
            raise UsageError("--from names a model, and --from-predictions brings another's words; give one of them")
        adopted = adopt(workspace, config.predictions, listener=listener, parent_run=parent_run)
        config = replace(config, model=adopted.model_id)
    if config.rounds > 1:
        from labelsvc.flows._rounds import label_in_rounds  # which is made of single rounds

        return label_in_rounds(workspace, config, listener=listener, parent_run=parent_run)
    if (config.steps, config.budget) != (None, None):
        listener.note("--steps and --budget are for the students between rounds, and one round has none")
    return label_once(workspace, config, listener=listener, parent_run=parent_run)


def label_once(
    workspace: str | Path,
    config: LabelConfig,
    *,
    listener: Listener,
    parent_run: str | None,
    in_passing: bool = False,
) -> LabelOutcome:
    """Do one round: predict, select, write. Raises as ``label`` does.

    ``in_passing`` is a round before the last of several that end with a promise: it selects at what validation rows
    suggest, promises nothing, and leaves ``current`` where it is.
    """
    place = find(Path(workspace))
    store = open_store(place)
    model = newest(store, config.model)
    check_thresholds(config.accepted_from, config.class_thresholds, model.classes)
    task = Task(store, config, model, shown(store), listener)
    config_hash = digest(_rule(task, in_passing=in_passing), model.model_id, task.rows.digest)
    done = runs.find_done(store, "label", config_hash)
    if done is not None:
        return _repeated(task, done, make_current=not in_passing)
    device = describe(find_device(config.device))
    run = NewRun("label", asdict(config), config_hash, None, versions(), device, parent_run)
    label_set = None
    with recorded(place, run) as session:
        said = balanced(session, task, words(session, task))
        ruling = _ruling(session, task, said, in_passing=in_passing)
        session.rows = RowCount(given=len(task.rows.pool), abstained=len(task.rows.pool))
        session.stop_reason = NO_PROMISE if ruling.refusal else ONE_ROUND
        session.outcome["refusal"] = ruling.refusal
        if ruling.refusal is None or config.uncertified:
            label_set = _write(session, task, said, ruling, make_current=not in_passing)
            session.rows = replace(session.rows, labeled=label_set.rows, abstained=session.rows.given - label_set.rows)
            classes = summaries(task, said, ruling)
            session.outcome |= {"label_set": label_set.label_set_id, "classes": [asdict(one) for one in classes]}
    if label_set is None:
        raise PromiseError(_refused(ruling.refusal))
    promised = certificates.of_label_set(store, label_set.label_set_id)
    return LabelOutcome(
        session.run_id,
        label_set,
        model,
        session.rows,
        _next(session.rows),
        certificates=promised,
        refusal=ruling.refusal,
        classes=classes,
    )


def _next(rows: RowCount) -> str:
    return NEXT_WITHOUT if rows.given and not rows.labeled else NEXT


def _rule(task: Task, *, in_passing: bool) -> tuple[object, ...]:
    """Return all that decides which labels are written but the model and the rows."""
    config, balance = task.config, trained_balance(task)
    if config.precision is None:
        return (config.accepted_from, config.class_thresholds, config.gate, balance)
    asked = (config.precision, config.confidence, config.per_class, config.uncertified, config.gate, in_passing)
    return (*asked, balance, calibration.labels_digest(task.store))


def _repeated(task: Task, done: RunRecord, *, make_current: bool) -> LabelOutcome:
    """Return what a run that was told the same found: its label set, or its refusal."""
    if "label_set" not in done.outcome:
        task.listener.note(f"run {done.run_id} was asked this; nothing has changed since")
        raise PromiseError(_refused(done.outcome["refusal"]))
    task.listener.note(f"run {done.run_id} wrote these very labels; nothing to do")
    find_set = label_sets.rollback if make_current else label_sets.get  # an older one is current again
    label_set = find_set(task.store, done.outcome["label_set"])
    say_kept(label_set, task.config.message, task.listener)
    promised = certificates.of_label_set(task.store, label_set.label_set_id)
    return LabelOutcome(
        done.run_id,
        label_set,
        task.model,
        done.rows,
        _next(done.rows),
        repeated=True,
        certificates=promised,
        refusal=done.outcome["refusal"],
        classes=tuple(ClassSummary(**one) for one in done.outcome["classes"]),
    )


def _refused(why: str | None) -> str:
    return (
        f"{why}. The predictions are kept and `current` is where it was; --uncertified writes labels all the same, "
        "which `labelsvc audit` can then certify"
    )


def _ruling(session: Session, task: Task, said: Words, *, in_passing: bool) -> Ruling:
    """Return from which confidence on labels are written, and what is promised of them."""
    if task.config.precision is None:
        return Ruling(task.config.accepted_from, dict(task.config.class_thresholds))
    everything = read_predictions(said.path, task.model.classes)
    if in_passing:
        return provisional(task, everything, said.least_familiarity)
    return promise(session, task, everything, said.least_familiarity)


def round_of(model: Model) -> int:
    """Return the round whose labels ``model`` writes: a teacher's the first, a student's the one after its own."""
    return model.round + 1 if model.role == "student" else 1


def say_kept(label_set: LabelSet, message: str, listener: Listener) -> None:
    """Tell the listener that a set that was written before keeps its message, where another was given now."""
    if message and message != label_set.message:
        kept = f"the message {label_set.message!r}" if label_set.message else "no message"
        listener.note(f"label set {label_set.label_set_id} has {kept}, which stays: a label set is never changed")


def _write(session: Session, task: Task, said: Words, ruling: Ruling, *, make_current: bool) -> LabelSet:
    config = task.config
    accepted = _accepted(task, said, ruling)
    if config.precision is None and len(task.rows.pool) and not len(accepted):
        task.listener.note(_none_reached(task, said, ruling))
    policy = Policy(
        policy_id=new_id(),
        run_id=session.run_id,
        model_id=task.model.model_id,
        threshold=ruling.threshold,
        class_thresholds=ruling.class_thresholds,
        score=said.score,
        target_precision=config.precision,
        confidence_level=None if config.precision is None else config.confidence,
        least_familiarity=said.least_familiarity,
    )
    current = label_sets.current(session.store)
    label_set = LabelSet(
        label_set_id=new_id(),
        run_id=session.run_id,
        model_id=task.model.model_id,
        policy_id=policy.policy_id,
        rows=len(accepted),
        digest="",
        round=round_of(task.model),
        parent_id=current.label_set_id if current else None,
        message=config.message,
    )
    return label_sets.write(
        session.store, label_set, policy, accepted, make_current=make_current, promised=ruling.certificates
    )


def _accepted(task: Task, said: Words, ruling: Ruling) -> PseudoLabels:
    classes, pool = task.model.classes, task.rows.pool
    thresholds = thresholds_by_class(ruling.threshold, ruling.class_thresholds, classes)
    blocks = (accept(block, thresholds, said.least_familiarity) for block in prediction_blocks(said.path, classes))
    return joined(block.where(among(block.numbers, pool)) for block in blocks)


def _none_reached(task: Task, said: Words, ruling: Ruling) -> str:
    everything = read_predictions(said.path, task.model.classes)
    surest = everything.where(among(everything.numbers, task.rows.pool)).confidence.max()
    return (
        f"no row of the pool got a label at {ruling.threshold:g}; the surest has {surest:.3f}. --threshold can ask for "
        "less, and `labelsvc suggest` shows the rows whose labels would teach most"
    )

"""label --rounds: label, then distill and label again, until there is a reason to stop; nothing is done twice."""

from __future__ import annotations

import shutil
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from labelsvc import flows
from labelsvc.config import IngestConfig, LabelConfig
from labelsvc.errors import UsageError
from labelsvc.flows._label import LabelOutcome
from labelsvc.records import Progress
from labelsvc.store import label_sets, models

from .digits import NINETY, QUICK, Digits, Heard, ask, newest, store_of

THREE = replace(NINETY, rounds=3, steps=8)
UNWATCHED = IngestConfig(validation=0, calibration=20)
CHILDREN = "SELECT command, count(*) FROM run WHERE parent_id = '{}' AND status = 'done' GROUP BY ALL"

pytestmark = pytest.mark.seconds  # a training for each round


@pytest.fixture(scope="module")
def unwatched_once(digits: Digits, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train a teacher where no row is kept for validation."""
    place = tmp_path_factory.mktemp("unwatched") / "workspace"
    flows.ingest(place, [digits.labeled, digits.unlabeled], config=UNWATCHED)
    flows.train(place, QUICK)
    return place


@dataclass(frozen=True)
class Turned:
    """A workspace after three rounds, and what they came to."""

    workspace: Path
    said: LabelOutcome
    heard: Heard


@pytest.fixture(scope="module")
def turned_once(unwatched_once: Path, tmp_path_factory: pytest.TempPathFactory) -> Turned:
    """Label in three rounds."""
    place, heard = tmp_path_factory.mktemp("turned") / "workspace", Heard()
    shutil.copytree(unwatched_once, place)
    return Turned(place, flows.label(place, THREE, listener=heard), heard)


@pytest.fixture
def unwatched(unwatched_once: Path, tmp_path: Path) -> Path:
    """Give a workspace of one's own with a teacher and no validation rows."""
    return shutil.copytree(unwatched_once, tmp_path / "workspace")


@pytest.fixture
def turned(turned_once: Turned, tmp_path: Path) -> Turned:
    """Give a workspace of one's own after three rounds."""
    return replace(turned_once, workspace=shutil.copytree(turned_once.workspace, tmp_path / "workspace"))


def runs_by_command(workspace: Path) -> Counter[str]:
    """Return how many runs there were of each command."""
    return Counter(dict(ask(workspace, "SELECT command, count(*) FROM run GROUP BY ALL")))


def test_rounds_are_steps_of_one_run(turned: Turned) -> None:
    """Three labelings and the two students between them are children of one run, which says why it stopped."""
    assert dict(ask(turned.workspace, CHILDREN.format(turned.said.run_id))) == {"label": 3, "distill": 2}
    whole = ask(turned.workspace, f"SELECT command, stop_reason FROM run WHERE run_id = '{turned.said.run_id}'")
    assert whole == [("rounds", "3 rounds done")]
    assert turned.said.stop_reason == "3 rounds done"


def test_every_round_leaves_its_set(turned: Turned) -> None:
    """Each round's labels stay as a label set, each the child of the one before, and the last one is current."""
    store = store_of(turned.workspace)
    sets = label_sets.listing(store)
    assert [one.label_set_id for one in sets] == [one.label_set_id for one in turned.said.rounds]
    assert [one.parent_id for one in sets] == [None, sets[0].label_set_id, sets[1].label_set_id]
    assert label_sets.current(store) == turned.said.label_set == sets[-1]


def test_rounds_are_counted_by_who_labels(turned: Turned) -> None:
    """A teacher's set is of round 1, a student of the round of the set that it learnt from, its own set of the next."""
    sets = ask(turned.workspace, "SELECT round, model_role FROM label_sets")
    assert sets == [(1, "teacher"), (2, "student"), (3, "student")]
    assert ask(turned.workspace, "SELECT round FROM model WHERE role = 'student' ORDER BY created_at") == [(1,), (2,)]


def test_a_round_says_what_it_changed(turned: Turned) -> None:
    """A round's labels and its differences from the set before are those of the store."""
    first, second, third = turned.said.rounds
    assert (first.gained, first.changed, first.withdrawn) == (first.labels, 0, 0)
    for before, after in ((first, second), (second, third)):
        assert before.label_set_id is not None
        assert after.label_set_id is not None
        found = flows.diff_labels(turned.workspace, before.label_set_id, after.label_set_id)
        assert (after.gained, after.changed, after.withdrawn) == (found.gained, found.changed, found.withdrawn)
        assert after.labels == before.labels + after.gained - after.withdrawn == found.after.rows
    assert turned.said.rows.labeled == third.labels


def test_without_validation_rows_that_is_said_once(turned: Turned) -> None:
    """Where no row can show that a student is worse, the listener is told so once, and no accuracy is."""
    assert sum("no validation rows:" in note for note in turned.heard.notes) == 1
    assert {one.accuracy for one in turned.said.rounds} == {None}


def test_a_student_takes_the_steps_it_is_told(turned: Turned) -> None:
    """``steps`` are for each student between rounds, and the seed is that of distill."""
    told = ask(turned.workspace, "SELECT outcome->>'$.steps', seed FROM run WHERE command = 'distill'")
    assert told == [("8", 0), ("8", 0)]


def test_the_same_rounds_again_do_nothing(turned: Turned) -> None:
    """The second call trains and writes nothing, says so, and returns what the first one did."""
    heard, before = Heard(), runs_by_command(turned.workspace)
    again = flows.label(turned.workspace, THREE, listener=heard)
    assert again == replace(turned.said, repeated=True)
    assert any("nothing to do" in note for note in heard.notes)
    assert not heard.stages
    assert runs_by_command(turned.workspace) == before


def test_rounds_again_are_current_again(turned: Turned) -> None:
    """After a rollback the same call points ``current`` at the last round's set, as labeling again does."""
    flows.rollback_labels(turned.workspace)
    flows.label(turned.workspace, THREE)
    assert label_sets.current(store_of(turned.workspace)) == turned.said.label_set


def test_fewer_or_more_rounds_share_what_is_done(turned: Turned) -> None:
    """Another number of rounds begins with the same model: fewer train nothing, more train what is missing."""
    fewer = flows.label(turned.workspace, replace(THREE, rounds=2))
    assert (fewer.repeated, fewer.rounds) == (True, turned.said.rounds[:2])
    assert label_sets.current(store_of(turned.workspace)) == fewer.label_set
    more = flows.label(turned.workspace, replace(THREE, rounds=4))
    assert (more.repeated, more.rounds[:3]) == (False, turned.said.rounds)
    made = runs_by_command(turned.workspace)
    assert (made["distill"], made["label"]) == (3, 4)


def test_what_was_done_one_by_one_is_not_repeated(unwatched: Path) -> None:
    """Label and distill before it are the first steps of the rounds."""
    teacher = newest(unwatched)
    flows.label(unwatched, NINETY)
    student = flows.distill(unwatched, flows.TrainConfig(steps=8, device="cpu")).model
    outcome = flows.label(unwatched, replace(THREE, rounds=2, model=teacher.model_id))
    assert [one.model_id for one in outcome.rounds] == [teacher.model_id, student.model_id]
    assert runs_by_command(unwatched)["distill"] == 1


def test_interrupted_rounds_go_on_where_they_were(unwatched: Path) -> None:
    """What was done before an interruption stays done: the same call does the rest, from the same first model."""
    first = newest(unwatched).model_id

    def interrupt(progress: Progress) -> None:
        students = ask(unwatched, "SELECT count(*) FROM model WHERE role = 'student'")
        if progress.stage == "train student" and students == [(1,)]:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        flows.label(unwatched, THREE, listener=Heard(interrupt))
    before = flows.list_labels(unwatched)
    assert len(before) == 2
    said = flows.label(unwatched, THREE)
    assert [one.label_set_id for one in said.rounds[:2]] == [one.label_set.label_set_id for one in before]
    assert (said.rounds[0].model_id, len(said.rounds)) == (first, 3)
    made = ask(unwatched, "SELECT command, count(*) FROM run WHERE status = 'done' GROUP BY ALL ORDER BY ALL")
    assert made == [("distill", 2), ("ingest", 1), ("label", 3), ("rounds", 1), ("train", 1)]


def test_a_worse_student_writes_nothing(taught: Path) -> None:
    """A student with fewer right answers on validation rows ends the rounds, and ``current`` stays where it was."""
    heard = Heard()
    said = flows.label(taught, replace(THREE, steps=1), listener=heard)
    first, last = said.rounds
    assert first.validation_right is not None
    assert last.validation_right is not None
    assert last.validation_right < first.validation_right <= first.validation_rows == 20
    assert said.stop_reason is not None
    assert said.stop_reason.startswith("validation accuracy fell from ")
    assert (last.label_set_id, last.labels) == (None, 0)
    assert [one.label_set for one in flows.list_labels(taught)] == [said.label_set]
    assert label_sets.current(store_of(taught)) == said.label_set
    assert said.next_command.endswith(f"--from {first.model_id}")
    again = flows.label(taught, replace(THREE, steps=1))
    assert again == replace(said, repeated=True)


def test_a_right_answer_is_counted_as_evaluate_counts(taught: Path) -> None:
    """The right answers of a teacher on validation rows are those of its last exam in training."""
    said = flows.label(taught, replace(THREE, rounds=2, steps=1)).rounds[0]
    curve = ask(
        taught, "SELECT value FROM curves WHERE name = 'validation accuracy' AND command = 'train' AND step = 40"
    )
    assert curve == [(said.accuracy,)]


def test_a_labeled_pool_needs_no_student(taught: Path) -> None:
    """Where the first round labels all of the pool, no student is trained."""
    said = flows.label(taught, replace(THREE, threshold=0.0))
    assert (said.stop_reason, len(said.rounds)) == ("all of the pool is labeled", 1)
    assert models.newest(store_of(taught), "student") is None


def test_rounds_that_change_nothing_stop(unwatched: Path) -> None:
    """Under a threshold that no row reaches, the second set is as empty as the first: that is enough."""
    said = flows.label(unwatched, replace(THREE, threshold=1.0, rounds=9, steps=1))
    assert (said.stop_reason, len(said.rounds)) == ("under 0.1% of the pool changed", 2)


def test_a_student_takes_as_many_steps_as_its_teacher(unwatched: Path) -> None:
    """Without steps or a budget, each student learns as long as the model before it."""
    flows.train(unwatched, replace(QUICK, steps=3))
    flows.label(unwatched, replace(THREE, steps=None))
    assert ask(unwatched, "SELECT DISTINCT outcome->>'$.steps' FROM run WHERE command = 'distill'") == [("3",)]


def test_one_round_is_label_as_it_was(taught: Path) -> None:
    """A single round has no parent run and no list of rounds; steps that it has no use for are pointed out."""
    heard = Heard()
    said = flows.label(taught, replace(NINETY, steps=5), listener=heard)
    assert (said.rounds, said.stop_reason) == ((), "one round done")
    assert runs_by_command(taught)["rounds"] == 0
    assert any("one round has none" in note for note in heard.notes)


@pytest.mark.parametrize(
    "config", [replace(THREE, budget=5.0), replace(THREE, steps=-1), replace(THREE, threshold=2.0)]
)
def test_wrong_rounds_are_refused(taught: Path, config: LabelConfig) -> None:
    """Steps with a budget, negative steps and impossible thresholds are usage errors, and leave no run."""
    before = runs_by_command(taught)
    with pytest.raises(UsageError):
        flows.label(taught, config)
    assert runs_by_command(taught) == before


def test_the_message_of_a_repeated_set_stays(labeled: Path) -> None:
    """Another message on a repeated call changes nothing, and that is said; the same one needs no word."""
    heard = Heard()
    assert flows.label(labeled, replace(NINETY, message="sure"), listener=heard).label_set.message == ""
    assert any("has no message, which stays" in note for note in heard.notes)
    flows.label(labeled, replace(NINETY, threshold=0.95, message="sure"))
    heard = Heard()
    flows.label(labeled, replace(NINETY, threshold=0.95, message="sure"), listener=heard)
    assert not any("stays" in note for note in heard.notes)

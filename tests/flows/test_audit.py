"""audit: what is drawn, what verdicts become, and that asking again does not help."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from labelsvc import flows
from labelsvc.config import AuditConfig
from labelsvc.errors import InputError, PromiseError, UsageError
from labelsvc.labeling.bounds import lower_bound
from labelsvc.records import RowCount
from labelsvc.store import audits, label_sets

from .audited import counts, drawn, first_ids, judged, knowing, rows_of, saved, truth_of, verdicts, write_labels
from .digits import Digits, Heard, ask, decide, store_of


@pytest.fixture
def right(ingested: Path, digits: Digits) -> Path:
    """Give a workspace whose 300 labels are all right."""
    write_labels(ingested, digits)
    return ingested


@pytest.fixture
def poor(ingested: Path, digits: Digits) -> Path:
    """Give a workspace of whose 300 labels 90 are wrong."""
    write_labels(ingested, digits, wrong=90)
    return ingested


def certified(workspace: Path) -> list[tuple[Any, ...]]:
    """Return the certificates' facts, oldest first."""
    return ask(
        workspace,
        "SELECT kind, checked, wrong, promised_precision, confidence, look, valid FROM certificate "
        "ORDER BY certificate_id",
    )


def page_data(path: str | None) -> dict[str, Any]:
    """Return the JSON that a page holds."""
    found = re.search(r'id="data">(.*?)</script>', Path(path or "").read_text(encoding="utf-8"), re.DOTALL)
    assert found
    data: dict[str, Any] = json.loads(found[1])
    return data


def test_a_sample_is_drawn_from_the_written_labels(labeled: Path) -> None:
    """Of a label set, n rows are drawn, each once, of those with a written label, and the page shows them all."""
    outcome = drawn(labeled, 0.9, n=40)
    label_set = label_sets.current(store_of(labeled))
    assert label_set is not None
    assert outcome.rows == RowCount(given=label_set.rows, labeled=40, abstained=label_set.rows - 40)
    sample = {number for (number,) in ask(labeled, "SELECT sample_no FROM audit_row")}
    written = set(label_sets.accepted(store_of(labeled), label_set.label_set_id).numbers.tolist())
    assert len(sample) == 40
    assert sample <= written
    data = page_data(outcome.page)
    assert [row["id"] for row in data["rows"]] == [row[0] for row in rows_of(labeled, outcome) if row[1] == 1]
    assert sum(len(row["places"]) for row in data["rows"]) == 44
    assert all(row["picture"].startswith("data:image/png;base64,") for row in data["rows"])
    assert ask(labeled, "SELECT command, status, rows_given, rows_labeled FROM run WHERE command = 'audit'") == [
        ("audit", "done", label_set.rows, 40)
    ]


@pytest.mark.seconds
def test_the_same_audit_is_drawn_once(right: Path) -> None:
    """The same settings give the same audit and rewrite its page, without a trace; another seed draws other rows."""
    heard = Heard()
    first = drawn(right)
    page = Path(first.page or "").read_bytes()
    Path(first.page or "").unlink()
    before = counts(right)
    again = drawn(right)
    assert (again.audit, again.repeated, again.run_id) == (first.audit, True, first.run_id)
    assert Path(again.page or "").read_bytes() == page
    assert counts(right) == before
    other = flows.audit(right, AuditConfig(0.95, seed=1), right.parent / "other.html", listener=heard)
    assert not other.repeated
    assert {row[0] for row in rows_of(right, other)} != {row[0] for row in rows_of(right, first)}
    assert f"audit {first.audit.audit_id} was drawn from these labels before and is not judged" in " ".join(heard.notes)


@pytest.mark.parametrize(
    ("confidence", "calibrated", "said"),
    [
        (0.99, False, "as few as can prove it, since the model's confidence is uncalibrated"),
        (0.93, True, "as few as can prove it; the labels' mean confidence is 0.9300, too low"),
        (0.985, True, "so many that labels as right as their mean confidence, 0.9850, pass in 9 of 10 draws; --n"),
    ],
)
def test_the_size_is_explained(ingested: Path, digits: Digits, confidence: float, calibrated: bool, said: str) -> None:
    """Before anything is judged it is said why so many rows, and with how many wrong ones the audit passes."""
    write_labels(ingested, digits, confidence=confidence, calibrated=calibrated)
    heard = Heard()
    outcome = flows.audit(ingested, AuditConfig(0.95), ingested.parent / "audit.html", listener=heard)
    assert any(said in note for note in heard.notes)
    assert outcome.said.endswith(
        f"of 300 labels passes with at most {outcome.allowed[0]} wrong of {outcome.audit.plan.sizes[0]}; "
        "unsure and no class count as wrong"
    )


def test_verdicts_become_decisions_and_a_certificate(ingested: Path, digits: Digits) -> None:
    """Right confirms, wrong relabels or rejects, no class rejects, unsure says nothing; the bound is hypergeometric."""
    label_set = write_labels(ingested, digits)
    outcome = drawn(ingested, 0.9, n=80)
    one, two, three, four, *_ = first_ids(rows_of(ingested, outcome), 4)
    truth = truth_of(digits)
    other = str((int(truth[one]) + 1) % 10)
    words = {one: ("wrong", other), two: ("wrong", None), three: ("none", None), four: ("unsure", None)}
    taken = judged(ingested, outcome, knowing(digits, words))
    assert taken.rows == RowCount(given=88, labeled=80, abstained=8)
    assert taken.promised == 0.9
    said = dict(ask(ingested, "SELECT decision, count(*) FROM decision GROUP BY ALL"))
    assert said == {"confirm": 76, "relabel": 1, "reject": 2, "unsure": 1}
    assert ask(ingested, "SELECT DISTINCT actor, label_set_id, lead_time_s FROM decision") == [
        ("ada", label_set.label_set_id, 1.5)
    ]
    shown = {row[0]: row[1:] for row in ask(ingested, "SELECT sample_id, label, source FROM labels")}
    assert [shown[name] for name in (one, two, three)] == [(other, "decision"), (None, "decision"), (None, "decision")]
    assert shown[four] == (truth[four], "pseudo")
    assert certified(ingested) == [("audit", 80, 4, 0.9, 0.95, 1, True)]
    assert ask(ingested, "SELECT rows_digest, label_set_id, class FROM certificate") == [
        (label_set.digest, label_set.label_set_id, None)
    ]
    assert ask(ingested, "SELECT certified FROM label_sets") == [(True,)]
    conclusion = taken.conclusion
    assert conclusion is not None
    assert conclusion.bound == lower_bound(80, 4, 1 - 0.95, 300)
    assert (conclusion.tally.unsure, conclusion.tally.none) == (1, 1)
    assert "at least 0.9 are right" in taken.said
    assert "80 checked, 4 wrong (1 unsure and 1 of no class among them)" in taken.said


def test_consistency_is_measured_and_stored(right: Path, digits: Digits) -> None:
    """Repeats that are judged otherwise are counted, told and kept; the first verdict is the one that counts."""
    outcome = drawn(right, 0.9, n=60)
    again = next(row[0] for row in rows_of(right, outcome) if row[1] == 2)

    def wavering(row: tuple[str, int, str]) -> tuple[str, str | None]:
        return ("unsure", None) if (row[0], row[1]) == (again, 2) else knowing(digits)(row)

    heard = Heard()
    file = saved(right.parent / "verdicts.json", verdicts(right, outcome, wavering))
    taken = flows.take_verdicts(right, file, actor="ada", listener=heard)
    assert taken.conclusion is not None
    assert (taken.conclusion.tally.wrong, taken.conclusion.tally.repeats, taken.conclusion.tally.agreed) == (0, 6, 5)
    assert "the judge said the same of 5 of 6 rows that were shown twice (83%)" in heard.notes
    kept = ask(right, "SELECT outcome->>'$.tally.agreed' FROM run ORDER BY run_id DESC LIMIT 1")
    assert kept == [("5",)]
    assert ask(right, "SELECT count(*), count(*) FILTER (occurrence = 2) FROM audit_verdict") == [(66, 6)]


def test_the_same_verdicts_change_nothing(right: Path, digits: Digits) -> None:
    """Verdicts that were taken are told to be; other ones on the same stage are refused."""
    outcome = drawn(right)
    content = verdicts(right, outcome, knowing(digits))
    file = saved(right.parent / "v.json", content)
    first = flows.take_verdicts(right, file, actor="ada")
    before, heard = counts(right), Heard()
    again = flows.take_verdicts(right, file, actor="bob", listener=heard)
    assert any("these verdicts were taken before; nothing changed" in note for note in heard.notes)
    assert (again.repeated, again.run_id, again.said) == (True, first.run_id, first.said)
    assert again.rows == RowCount(given=first.rows.given, skipped=first.rows.given)
    content["verdicts"][0] |= {"verdict": "unsure", "label": None}
    with pytest.raises(InputError, match="1 verdict is not what was taken on stage 1 before; a stage is judged once"):
        flows.take_verdicts(right, saved(file, content), actor="ada")
    assert counts(right) == before


@pytest.mark.seconds
def test_a_failure_that_is_told_again_stays_one(poor: Path, digits: Digits) -> None:
    """The verdicts of a failed audit, handed in again, change nothing and fail with the same words."""
    outcome = drawn(poor, 0.9, n=100)
    said = []
    for _ in range(2):
        with pytest.raises(PromiseError) as found:
            judged(poor, outcome, knowing(digits))
        said.append((str(found.value), counts(poor)))
    assert said[0] == said[1]


def test_a_failed_audit_says_what_it_proves(poor: Path, digits: Digits) -> None:
    """Exit 4: checked, wrong, the best promise now, what the asked one would have needed; all is kept."""
    outcome = drawn(poor, 0.9, n=100)
    with pytest.raises(PromiseError) as found:
        judged(poor, outcome, knowing(digits))
    ((checked, wrong),) = ask(poor, "SELECT checked, wrong FROM certificate")
    best = lower_bound(checked, wrong, 1 - 0.95, 300)
    assert f"a precision of 0.9 is not proven: 100 checked, {wrong} wrong; the best promise available now" in str(
        found.value
    )
    assert f"at 0.95 confidence is {int(best * 10_000) / 10_000:g}." in str(found.value)
    assert "more verdicts would" in str(found.value)
    assert "inconclusive for good, as its declared plan is used up: label anew" in str(found.value)
    assert certified(poor) == [("audit", 100, wrong, 0.9, 0.95, 1, False)]
    assert "which proves" in ask(poor, "SELECT reason FROM certificate")[0][0]
    assert ask(poor, "SELECT certified FROM label_sets") == [(False,)]
    assert ask(poor, "SELECT count(*) FROM decision") == [(100,)]
    assert ask(poor, "SELECT status, stop_reason FROM run WHERE run_id = (SELECT max(run_id) FROM run)") == [
        ("done", "inconclusive")
    ]


@pytest.mark.seconds
def test_asking_until_it_passes_is_refused(poor: Path, digits: Digits) -> None:
    """After a failed audit no other sample is drawn or read, for any precision that it does not prove."""
    pending = drawn(poor, 0.9, n=50, seed=1)
    outcome = drawn(poor, 0.9, n=100)
    with pytest.raises(PromiseError):
        judged(poor, outcome, knowing(digits))
    before = counts(poor)
    for told in ({"n": 100}, {"n": 100, "seed": 2}, {"n": 120}, {"stages": 2}):
        with pytest.raises(PromiseError, match=r"Asking until a sample passes breaks the promise.*label anew$"):
            drawn(poor, 0.9, **told)
    for precision in (0.95, 0.89):
        with pytest.raises(PromiseError, match=r"was audited for 0\.9 by audit"):
            drawn(poor, precision)
    with pytest.raises(PromiseError, match=r"was audited for 0\.9 by audit"):
        judged(poor, pending, knowing(digits))
    assert counts(poor) == before
    write_labels(poor, digits)
    assert not drawn(poor, 0.9, n=100).repeated, "another label set is another question"


def test_what_is_proven_needs_no_other_sample(poor: Path, digits: Digits) -> None:
    """A lower precision that a failed audit's verdicts prove is certified by them, once, at no higher confidence."""
    outcome = drawn(poor, 0.9, n=100)
    with pytest.raises(PromiseError):
        judged(poor, outcome, knowing(digits))
    taken = drawn(poor, 0.5)
    assert (taken.promised, taken.page, taken.repeated) == (0.5, None, False)
    assert "says so already" in taken.said
    assert "at least 0.5 are right" in taken.said
    assert certified(poor)[-1][3:] == (0.5, 0.95, 1, True)
    again = drawn(poor, 0.5)
    assert (again.repeated, again.run_id) == (True, taken.run_id)
    assert len(certified(poor)) == 2
    with pytest.raises(PromiseError, match="Asking until a sample passes"):
        drawn(poor, 0.5, confidence=0.99)


@pytest.mark.seconds
def test_an_inconclusive_stage_goes_on_by_its_plan(ingested: Path, digits: Digits) -> None:
    """A stage that proves nothing is extended by new rows only; all verdicts together then prove the precision."""
    write_labels(ingested, digits)
    outcome = drawn(ingested, 0.9, stages=3)
    doubtful = first_ids(rows_of(ingested, outcome), 1)[0]
    first = judged(ingested, outcome, knowing(digits, {doubtful: ("unsure", None)}))
    assert (first.promised, first.next_command) == (None, f"labelsvc audit --extend {outcome.audit.audit_id[-8:]}")
    assert "stage 1 of 3" in first.said
    assert "1 wrong (1 unsure among them), which proves" in first.said
    with pytest.raises(PromiseError, match=r"judge the declared extension, `labelsvc audit --extend .*, or label anew"):
        drawn(ingested, 0.9)
    extended = flows.extend_audit(ingested, outcome.audit.audit_id[-8:], ingested.parent / "audit.html")
    assert extended.stage == 2
    shown = {row[0] for row in rows_of(ingested, extended)}
    assert len(shown) == outcome.audit.plan.sizes[1] - outcome.audit.plan.sizes[0]
    assert not shown & {row[0] for row in rows_of(ingested, outcome)}
    assert drawn(ingested, 0.9, stages=3).stage == 2, "the same call writes the page that is due"
    second = judged(ingested, extended, knowing(digits))
    assert second.promised == 0.9
    size = outcome.audit.plan.sizes
    assert certified(ingested) == [
        ("audit", size[0], 1, 0.9, 0.95, 1, False),
        ("audit", size[1], 1, 0.9, 0.95, 2, True),
    ]
    with pytest.raises(UsageError, match=r"has proven 0.9; there is nothing to extend"):
        flows.extend_audit(ingested, "latest", ingested.parent / "audit.html")


@pytest.mark.seconds
def test_stages_are_judged_in_their_order(poor: Path, digits: Digits) -> None:
    """A stage before its turn, of another plan or after the end of all hope is refused, and says what to do."""
    outcome = drawn(poor, 0.9, stages=2)
    with pytest.raises(
        UsageError, match=r"is not judged yet; give its verdicts first: `labelsvc audit --verdicts audit-"
    ):
        flows.extend_audit(poor, "latest")
    file = poor.parent / "v.json"
    content = verdicts(poor, outcome, knowing(digits))
    for stage, expected in ((2, "not in this stage's sample"), (3, "is of stage 3, and audit .* has only 2")):
        with pytest.raises(InputError, match=expected):
            flows.take_verdicts(poor, saved(file, content | {"stage": stage}), actor="ada")
    rows = audits.sheet(store_of(poor), outcome.audit, 2)
    early = [
        {"id": row.sample_id, "occurrence": turn, "verdict": "unsure"}
        for row in rows
        for turn in range(1, len(row.places) + 1)
    ]
    with pytest.raises(InputError, match="is of stage 2, and stage 1 is not judged yet"):
        flows.take_verdicts(poor, saved(file, content | {"stage": 2, "verdicts": early}), actor="ada")
    with pytest.raises(PromiseError, match="inconclusive for good, as no later stage of its plan could pass"):
        judged(poor, outcome, knowing(digits))
    with pytest.raises(PromiseError, match="inconclusive for good"):
        flows.extend_audit(poor, "latest")


def test_decisions_since_do_not_matter(ingested: Path, digits: Digits) -> None:
    """The judge confirms what the audited set says, whatever is current or was decided meanwhile."""
    audited = write_labels(ingested, digits)
    outcome = drawn(ingested, 0.9, n=60)
    write_labels(ingested, digits, wrong=300)
    name = first_ids(rows_of(ingested, outcome), 1)[0]
    decide(ingested, name, "reject")
    taken = judged(ingested, outcome, knowing(digits))
    assert taken.label_set == audited
    assert ask(ingested, f"SELECT label, source FROM labels WHERE sample_id = '{name}'") == [
        (truth_of(digits)[name], "decision")
    ]
    assert ask(ingested, "SELECT certified FROM label_sets ORDER BY created_at") == [(True,), (False,)]


def test_a_set_without_labels_has_nothing_to_judge(ingested: Path, digits: Digits) -> None:
    """No current set, and one that accepted nothing, are input errors that say what to do."""
    with pytest.raises(InputError, match="no label set is current; write one with `labelsvc label`"):
        drawn(ingested)
    write_labels(ingested, digits, range(0))
    with pytest.raises(InputError, match="has no labels to judge; write one with `labelsvc label`"):
        drawn(ingested)


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ({"precision": 1.0}, "--precision 1 must lie between 0 and 1"),
        ({"precision": 0.9, "confidence": 0.0}, "--confidence 0 must lie between 0 and 1"),
        ({"precision": 0.9, "n": 0}, "--n 0 must be at least 1"),
        ({"precision": 0.9, "stages": 0}, "--stages 0 must be at least 1"),
        ({"precision": 0.9, "seed": -1}, "--seed -1 must not be negative"),
    ],
)
def test_settings_have_bounds(told: dict[str, Any], expected: str) -> None:
    """A setting outside its bounds is a wrong call."""
    with pytest.raises(UsageError, match=expected):
        AuditConfig(**told)


def test_hidden_labels_are_not_in_the_page(right: Path, digits: Digits) -> None:
    """Where labels are hidden the page holds neither them nor scores; the picked class is compared when it is read."""
    outcome = drawn(right, 0.9, n=60, show_labels=False)
    data = page_data(outcome.page)
    assert not data["shows_labels"]
    assert all({"proposed", "score"}.isdisjoint(row) for row in data["rows"])
    truth = truth_of(digits)
    taken = judged(right, outcome, lambda row: ("class", truth[row[0]]))
    assert taken.conclusion is not None
    assert (taken.conclusion.tally.wrong, taken.promised) == (0, 0.9)
    assert dict(ask(right, "SELECT decision, count(*) FROM decision GROUP BY ALL")) == {"confirm": 60}


def test_bounds_hold_for_real_audits(ingested: Path, digits: Digits) -> None:
    """What an audit of a set with a known share of wrong labels proves is below that share of right ones."""
    write_labels(ingested, digits, wrong=30)
    outcome = drawn(ingested, 0.7, n=150, seed=int(np.random.default_rng(3).integers(100)))
    taken = judged(ingested, outcome, knowing(digits))
    assert taken.conclusion is not None
    assert 0.7 <= taken.conclusion.bound <= 0.9

"""A sample's history reads as a person would tell it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from labelsvc.report.story import tell
from labelsvc.store.questions import Decision, GivenLabel, SampleHistory, SourceRow, Verdict

EARLY, NOON, LATE = (datetime(2026, 11, 20, hour, 3) for hour in (9, 12, 14))


def history(**parts: Any) -> SampleHistory:  # noqa: ANN401 - any field
    """Return a pool sample of which nothing was said, but for ``parts``."""
    nothing: dict[str, Any] = {"given": (), "verdicts": (), "decisions": (), "label": None, "source": "none"}
    source = SourceRow("digits", "train", "/data/digits.parquet", 17)
    return SampleHistory(
        **{
            "sample_no": 1,
            "sample_id": "p3",
            "content_hash": "h",
            "role": "pool",
            "sources": (source,),
            **nothing,
            **parts,
        }
    )


def verdict(**parts: Any) -> Verdict:  # noqa: ANN401 - any field
    """Return what the current label set said, but for ``parts``."""
    usual: dict[str, Any] = {
        "label_set_id": "0199-cd34",
        "created_at": LATE,
        "round": 1,
        "current": True,
        "label": "7",
        "confidence": 0.9931,
        "runner_up": "1",
        "runner_up_probability": 0.0042,
        "policy_id": "0199-ef56",
        "threshold": 0.95,
        "model_id": "0199-ab12",
        "model_role": "teacher",
        "method": "softmatch",
        "run_id": "0199-0000",
    }
    return Verdict(**{**usual, **parts})


def test_an_accepted_label_is_told_with_all_that_it_rests_on() -> None:
    """Model, confidence, runner-up, threshold and label set are in one sentence."""
    assert tell(history(verdicts=(verdict(),), label="7", source="pseudo")) == [
        "Sample p3 is row 17 (from 0) of /data/digits.parquet. It came without a label, into the pool.",
        "On 2026-11-20 14:03 UTC the softmatch teacher …ab12 said 7 with confidence 0.993 (runner-up 1 at 0.004), "
        "not below the threshold 0.95; label set …cd34 took it as 7. It is the current label.",
        "Now its label is 7: a pseudo-label.",
    ]


def test_abstaining_is_told_too() -> None:
    """A label set that left the sample without a label says so."""
    silent = verdict(label=None, confidence=None, runner_up=None, runner_up_probability=None)
    told = tell(history(verdicts=(silent,)))
    assert told[1].endswith("was sure of no class by the threshold 0.95; label set …cd34 left it without a label.")
    assert told[-1] == "Now it has no label."


def test_a_promise_is_told_with_the_set() -> None:
    """What is promised of the set's labels, and by which certificate, is in its sentence; a void one is no promise."""
    promised = verdict(certificate="audit", promised_precision=0.95, certificate_confidence=0.9, certified=True)
    assert (
        tell(history(verdicts=(promised,)))[1]
        .split("; ")[1]
        .startswith("label set …cd34, right 0.95 of the time at 0.9 confidence by its audit certificate, took it as 7.")
    )
    void = verdict(certificate="calibration", promised_precision=0.95, certificate_confidence=0.95, certified=False)
    assert "label set …cd34, which holds no promise, took it as 7." in tell(history(verdicts=(void,)))[1]


def test_a_row_without_a_label_may_have_been_like_none() -> None:
    """Where the policy asks for familiarity too, and where only some classes have a threshold, it is told so."""
    silent: dict[str, Any] = {"label": None, "confidence": None, "runner_up": None, "runner_up_probability": None}
    gated = tell(history(verdicts=(verdict(**silent, least_familiarity=0.4),)))[1]
    assert "was sure of no class by the threshold 0.95, or found it like none of the labeled rows; label set" in gated
    by_class = tell(history(verdicts=(verdict(**silent, threshold=2.0),)))[1]
    assert "was sure of no class of those that have a promise; label set" in by_class


def test_sentences_stand_in_the_order_of_time() -> None:
    """What was said first is told first, whoever said it."""
    told = tell(
        history(
            given=(GivenLabel("1", "digits", NOON),),
            verdicts=(verdict(current=False, created_at=EARLY),),
            decisions=(Decision("relabel", "9", "ada", "0199-cd34", LATE),),
            label="9",
            source="decision",
        )
    )
    assert [sentence.split()[2] for sentence in told[1:-1]] == ["09:03", "12:03", "14:03"]
    assert "the current label" not in " ".join(told)
    assert told[-1] == "Now its label is 9: a person's decision."


def test_a_newer_given_label_names_the_older() -> None:
    """A label that gave way is still told."""
    given = (GivenLabel("1", "first", EARLY), GivenLabel("7", "second", NOON))
    told = tell(history(given=given, role="train", label="7", source="given"))
    assert told[2] == "On 2026-11-20 12:03 UTC dataset second gave it the label 7, instead of 1."


def test_every_decision_has_its_words() -> None:
    """Confirming, relabeling, rejecting and being unsure are told apart."""
    for decision, words in {
        "confirm": "ada confirmed the label 7, shown label set …cd34.",
        "relabel": "ada relabeled it 7, shown label set …cd34.",
        "reject": "ada rejected its label without naming another, shown label set …cd34.",
        "unsure": "ada was unsure, which changes nothing, shown label set …cd34.",
    }.items():
        said = Decision(decision, "7", "ada", "0199-cd34", NOON)
        assert tell(history(decisions=(said,)))[1] == f"On 2026-11-20 12:03 UTC {words}"


def test_a_rejected_label_is_no_label() -> None:
    """A reject is in force, and says why there is nothing."""
    told = tell(history(decisions=(Decision("reject", None, "ada", None, NOON),), source="decision"))
    assert told[-1] == "Now it has no label, as a person rejected it."


def test_almost_sure_is_not_told_as_sure() -> None:
    """A confidence below one never reads as 1.000."""
    assert "confidence 0.99996 " in tell(history(verdicts=(verdict(confidence=0.99996),)))[1]

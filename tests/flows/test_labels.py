"""labels list, tag, diff, rollback, export: sets are named, compared and handed on, and never lost."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from labelsvc import flows
from labelsvc.errors import UsageError
from labelsvc.records import Certificate, LabelSet
from labelsvc.store import certificates, label_sets
from labelsvc.store.identifiers import new_id

from .digits import NINETY, ask, decide, newest, store_of


@pytest.fixture
def two(labeled: Path) -> tuple[Path, LabelSet, LabelSet]:
    """Give a workspace with two label sets: at 0.9, and the current one at 0.99."""
    first = flows.list_labels(labeled)[0].label_set
    return labeled, first, flows.label(labeled, replace(NINETY, threshold=0.99)).label_set


def current(workspace: Path) -> LabelSet | None:
    """Return the set that is shown."""
    return label_sets.current(store_of(workspace))


def test_sets_are_listed_with_their_names(two: tuple[Path, LabelSet, LabelSet]) -> None:
    """Every set is listed, oldest first, with the names that point to it."""
    workspace, first, second = two
    flows.tag_labels(workspace, "wide", first.label_set_id)
    listed = [(named.label_set, named.names) for named in flows.list_labels(workspace)]
    assert listed == [(first, ("wide",)), (second, ("current",))]


def test_a_tag_stays_where_it_is(two: tuple[Path, LabelSet, LabelSet]) -> None:
    """A tag names a set everywhere, is not moved unless told, and ``current`` is not for users to give."""
    workspace, first, second = two
    assert flows.tag_labels(workspace, "good") == second
    with pytest.raises(UsageError, match="--force"):
        flows.tag_labels(workspace, "good", first.label_set_id)
    assert flows.tag_labels(workspace, "good", first.label_set_id, force=True) == first
    assert flows.rollback_labels(workspace, "good") == first
    with pytest.raises(UsageError):
        flows.tag_labels(workspace, "current", second.label_set_id)


def test_a_difference_counts_every_label(two: tuple[Path, LabelSet, LabelSet]) -> None:
    """Kept and withdrawn labels add up to the older set's, kept and gained ones to the newer's, by class as in all."""
    workspace, first, second = two
    found = flows.diff_labels(workspace, first.label_set_id)
    assert (found.before, found.after) == (first, second)
    assert found.unchanged + found.withdrawn + found.changed == first.rows
    assert found.unchanged + found.gained + found.changed == second.rows
    assert sum(found.classes["withdrawn"].to_pylist()) == found.withdrawn
    turned = flows.diff_labels(workspace, second.label_set_id, first.label_set_id)
    assert (turned.gained, turned.withdrawn) == (found.withdrawn, found.gained)


def test_rolling_back_and_forth_loses_nothing(two: tuple[Path, LabelSet, LabelSet]) -> None:
    """Rollback moves a name: what is shown changes and comes back, and the store's rows stay as they were."""
    workspace, first, second = two
    rows = ask(workspace, "FROM pseudo_label ORDER BY ALL")
    shown = ask(workspace, "FROM labels ORDER BY ALL")
    assert flows.rollback_labels(workspace) == first == current(workspace)
    assert ask(workspace, "SELECT count(*) FROM labels WHERE source = 'pseudo'") == [(first.rows,)]
    assert flows.rollback_labels(workspace, second.label_set_id[-8:]) == second == current(workspace)
    assert ask(workspace, "FROM labels ORDER BY ALL") == shown
    assert ask(workspace, "FROM pseudo_label ORDER BY ALL") == rows


def test_there_is_nothing_before_the_first_set(labeled: Path) -> None:
    """Rolling back from the first set is an error, and it stays current."""
    before = current(labeled)
    with pytest.raises(UsageError, match="no label set was written before"):
        flows.rollback_labels(labeled)
    assert current(labeled) == before


def test_an_export_has_all_labels_and_their_origin(labeled: Path, tmp_path: Path) -> None:
    """Given, accepted and decided labels are in it with what wrote them; abstained and test rows are not."""
    decided = ask(labeled, "SELECT min(sample_id), max(sample_id) FROM labels WHERE source = 'pseudo'")[0]
    decide(labeled, decided[0], "relabel", "0")
    decide(labeled, decided[1], "reject")
    outcome = flows.export_labels(labeled, tmp_path / "out.parquet")
    rows = pq.read_table(tmp_path / "out.parquet").to_pylist()
    columns = ["id", "label", "source", "confidence", "label_set", "run", "model", "policy"]
    assert pq.read_schema(tmp_path / "out.parquet").names == columns
    shown = ask(labeled, "SELECT sample_id, label, source FROM labels WHERE label IS NOT NULL ORDER BY ALL")
    assert sorted((row["id"], row["label"], row["source"]) for row in rows) == shown
    assert {row["id"] for row in rows}.isdisjoint({f"digit-{row:04d}" for row in range(400, 600)} | {decided[1]})
    assert (decided[0], "0", "decision") in shown
    pseudo = [row for row in rows if row["source"] == "pseudo"]
    label_set = outcome.label_set
    assert label_set is not None
    assert {row["model"] for row in pseudo} == {newest(labeled).model_id}
    assert {(row["label_set"], row["run"], row["policy"]) for row in pseudo} == {
        (label_set.label_set_id, label_set.run_id, label_set.policy_id)
    }
    assert all(row["confidence"] is None and row["run"] is None for row in rows if row["source"] != "pseudo")
    assert outcome.rows.given == outcome.rows.labeled == len(rows)


def test_an_export_describes_itself(labeled: Path, tmp_path: Path) -> None:
    """The metadata tells Hugging Face's ``datasets`` the columns, and any reader the classes and the label set."""
    outcome = flows.export_labels(labeled, tmp_path / "out.parquet")
    schema = pq.read_schema(tmp_path / "out.parquet")
    features = json.loads(schema.metadata[b"huggingface"])["info"]["features"]
    assert list(features) == schema.names
    assert features["label"] == {"dtype": "string", "_type": "Value"}
    assert features["confidence"] == {"dtype": "float64", "_type": "Value"}
    ours = json.loads(schema.metadata[b"labelsvc"])
    assert outcome.label_set is not None
    assert (ours["class_names"], ours["label_set"]) == ([*"0123456789"], outcome.label_set.label_set_id)


def test_an_export_carries_its_certificates(two: tuple[Path, LabelSet, LabelSet], tmp_path: Path) -> None:
    """The set's valid certificates are in the metadata and the list, with the digest of what they cover."""
    workspace, first, second = two
    whole = Certificate(
        new_id(), "audit", 59, 0, 0.95, 0.95, 1, second.digest, valid=True, label_set_id=second.label_set_id
    )
    void = replace(whole, certificate_id=new_id(), valid=False, reason="why not")
    certificates.add(store_of(workspace), [whole, void])
    outcome = flows.export_labels(workspace, tmp_path / "out.parquet")
    ours = json.loads(pq.read_schema(tmp_path / "out.parquet").metadata[b"labelsvc"])
    assert outcome.certificates == (whole,)
    assert ours["certificates"] == [asdict(whole)]
    assert ours["certificates"][0]["rows_digest"] == second.digest
    assert [named.certificate for named in flows.list_labels(workspace)] == [None, whole]
    assert flows.export_labels(workspace, tmp_path / "out.parquet", label_set=first.label_set_id).certificates == ()


def test_an_export_shows_the_set_that_is_current_or_named(two: tuple[Path, LabelSet, LabelSet], tmp_path: Path) -> None:
    """After a rollback the older set is exported; a named one whenever it is named."""
    workspace, first, second = two

    def pseudo(**named: str) -> int:
        flows.export_labels(workspace, tmp_path / "out.parquet", **named)
        return pq.read_table(tmp_path / "out.parquet")["source"].to_pylist().count("pseudo")

    assert pseudo() == second.rows
    flows.rollback_labels(workspace)
    assert pseudo() == first.rows
    assert pseudo(label_set=second.label_set_id) == second.rows


def test_given_labels_can_be_exported_before_any_other(ingested: Path, tmp_path: Path) -> None:
    """Without a label set, an export holds the given labels."""
    outcome = flows.export_labels(ingested, tmp_path / "out.parquet")
    assert outcome.label_set is None
    assert outcome.rows.given == 100
    assert set(pq.read_table(tmp_path / "out.parquet")["source"].to_pylist()) == {"given"}


def test_exported_labels_are_a_file_of_truth(labeled: Path, tmp_path: Path) -> None:
    """What was exported is a file of (id, label), and against it the same labels are all right."""
    flows.export_labels(labeled, tmp_path / "out.parquet")
    found = flows.evaluate(labeled, truth=tmp_path / "out.parquet").score
    assert found.rows == found.labeled == found.right > 0

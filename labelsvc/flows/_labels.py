"""labels list, tag, diff, rollback, export: label sets as things that one names, compares and hands on."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from labelsvc import __version__
from labelsvc.flows._session import open_store
from labelsvc.records import Certificate, LabelSet, RowCount
from labelsvc.store import certificates, label_sets, samples
from labelsvc.store.comparison import LabelDiff
from labelsvc.store.export import EXPORT_SCHEMA, export_batches
from labelsvc.workspace import find, written_beside


@dataclass(frozen=True)
class NamedLabelSet:
    """A label set with the names that point to it, when it was written (UTC), at which threshold, and its promise."""

    label_set: LabelSet
    names: tuple[str, ...]
    created_at: datetime
    threshold: float
    certificate: Certificate | None = None  # the newest valid one of all its labels


@dataclass(frozen=True)
class LabelsExported:
    """A written file of labels."""

    path: str
    label_set: LabelSet | None
    rows: RowCount
    next_command: str = "labelsvc labels list"
    certificates: tuple[Certificate, ...] = ()  # the valid ones of the label set


def list_labels(workspace: str | Path) -> list[NamedLabelSet]:
    """Return all label sets, oldest first, with their aliases."""
    store = open_store(find(Path(workspace)))
    names, writings, promised = label_sets.names(store), label_sets.writings(store), certificates.of_label_sets(store)
    found = {label_set.label_set_id: label_set for label_set in label_sets.listing(store)}
    return [
        NamedLabelSet(label_set, names.get(key, ()), *writings[key], promised.get(key))
        for key, label_set in found.items()
    ]


def tag_labels(workspace: str | Path, name: str, label_set: str = "current", *, force: bool = False) -> LabelSet:
    """Give a label set a name of one's own.

    Raises:
        InputError: the current set is meant, and none was written yet.
        UsageError: the name is reserved, or taken and not ``force``; or there is no such set.
    """
    return label_sets.tag(open_store(find(Path(workspace))), name, label_set, force=force)


def diff_labels(workspace: str | Path, before: str, after: str = "current") -> LabelDiff:
    """Return what one label set says otherwise than another.

    Raises:
        InputError: the current set is meant, and none was written yet.
        UsageError: there is no such set.
    """
    return label_sets.diff(open_store(find(Path(workspace))), before, after)


def rollback_labels(workspace: str | Path, to: str | None = None) -> LabelSet:
    """Point ``current`` at an older label set, by default the one before; nothing is deleted.

    Raises:
        InputError: no set was written yet.
        UsageError: there is no such set, or none before the current one.
    """
    return label_sets.rollback(open_store(find(Path(workspace))), to)


def export_labels(workspace: str | Path, path: str | Path, *, label_set: str | None = None) -> LabelsExported:
    """Write every label (decisions, given and accepted ones) to Parquet that Hugging Face's ``datasets`` reads.

    Test rows are never in it. Columns: id, label, source, confidence, label_set, run, model, policy. The metadata holds
    the valid certificates of the label set: they cover its accepted labels as they were written, those whose digest
    they name, and promise nothing of given labels and decisions, nor of a part of the file.

    Raises:
        UsageError: there is no such label set.
    """
    store = open_store(find(Path(workspace)))
    chosen = label_sets.get(store, label_set) if label_set else label_sets.current(store)
    promised = () if chosen is None else certificates.of_label_set(store, chosen.label_set_id)
    valid = tuple(certificate for certificate in promised if certificate.valid)
    schema = _described(samples.class_names(store), chosen, valid)
    count = 0
    with (
        written_beside(Path(path)) as partial,
        pq.ParquetWriter(partial, schema, compression="zstd") as writer,
    ):
        for batch in export_batches(store, chosen):
            writer.write_batch(batch.replace_schema_metadata(schema.metadata))
            count += len(batch)
    return LabelsExported(str(path), chosen, RowCount(given=count, labeled=count), certificates=valid)


def _described(classes: tuple[str, ...], label_set: LabelSet | None, certified: tuple[Certificate, ...]) -> pa.Schema:
    """Return the export's schema with what Hugging Face's ``datasets`` and a later reader want to know of it.

    A label is a class name, which every tool understands; ``datasets`` takes a ``ClassLabel`` only from codes, so the
    names and their order are in metadata of our own.
    """
    features = {
        field.name: {"dtype": "float64" if field.type == pa.float64() else "string", "_type": "Value"}
        for field in EXPORT_SCHEMA
    }
    ours = {
        "class_names": classes,
        "label_set": label_set.label_set_id if label_set else None,
        "certificates": [asdict(certificate) for certificate in certified],
        "version": __version__,
    }
    metadata = {"huggingface": json.dumps({"info": {"features": features}}), "labelsvc": json.dumps(ours)}
    return pa.schema(EXPORT_SCHEMA, metadata=metadata)

"""What a workspace knows of a model, gathered for its card. Reads what runs recorded; touches no test row."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from labelsvc import __version__
from labelsvc.records import Model
from labelsvc.report.model_card import Ancestor, Dataset, Evaluated, ModelCard, Taught
from labelsvc.store import certificates, datasets, label_sets, models, runs, samples
from labelsvc.store.database import Store

if TYPE_CHECKING:
    from labelsvc.flows._export import ExportOutcome

ALL_RUNS = 1 << 31


def describe(store: Store, exported: ExportOutcome) -> ModelCard:
    """Gather the card of a file that was written."""
    return ModelCard(
        file=Path(exported.path).name,
        bytes=exported.bytes,
        dtype=exported.dtype,
        format=exported.format,
        version=__version__,
        line=tuple(_line(store, exported.model)),
        datasets=_datasets(store),
        roles=_roles(store),
        taught=_taught(store, exported.model),
        policy=exported.policy,
        certificates=certificates.of_model(store, exported.model.model_id),
        parity=exported.parity,
        validation=exported.validation,
        agreement=exported.agreement,
        tested=_tested(store, exported.model),
        loss=exported.loss,
        speeds=exported.speeds,
        device=exported.device,
    )


def _line(store: Store, model: Model) -> Iterator[Ancestor]:
    """Yield a model, the one that taught it, and so on to the first."""
    younger: Model | None = model
    while younger is not None:
        run = runs.get(store, younger.run_id)
        yield Ancestor(younger, run.outcome.get("steps"), run.seed)
        younger = models.get(store, younger.parent_id) if younger.parent_id else None


def _datasets(store: Store) -> tuple[Dataset, ...]:
    return tuple(Dataset(one.name, one.role, one.rows, one.digest) for one in datasets.datasets(store))


def _roles(store: Store) -> dict[str, int]:
    """Count rows by role; those of test as they were brought."""
    test = sum(one.rows for one in datasets.datasets(store) if one.role == "test")
    return {
        "train": len(samples.given(store, "train")),
        "validation": len(samples.given(store, "validation")),
        "calibration": len(samples.calibration_inputs(store)),
        "pool": len(samples.pool(store)),
        "test": test,
    }


def _taught(store: Store, model: Model) -> Taught | None:
    taught_by = runs.get(store, model.run_id).config.get("label_set")
    if taught_by is None:
        return None
    label_set = label_sets.get(store, taught_by)
    rule = label_sets.policy(store, label_set)
    return Taught(label_set, rule, certificates.of_label_set(store, label_set.label_set_id))


def _tested(store: Store, model: Model) -> Evaluated | None:
    """Return what the newest evaluation of a model on test rows found, None where there was none."""
    subject = f"{model.role} {model.model_id} on "
    for run in runs.listing(store, ALL_RUNS):  # newest first
        if (run.command, run.status) == ("evaluate", "done") and run.outcome.get("subject", "").startswith(subject):
            return Evaluated(run.outcome["score"]["right"], run.outcome["score"]["rows"])
    return None

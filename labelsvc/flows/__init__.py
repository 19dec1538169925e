"""The Python interface: one function for each verb of the command line, and what each one is told and returns.

    from labelsvc import flows

    flows.ingest("workspace", ["labeled.parquet", "unlabeled.parquet"], test=["test.parquet"])
    flows.train("workspace", flows.TrainConfig(budget=120))
    flows.label("workspace", flows.LabelConfig(threshold=0.95))

A flow reads and writes through the rooms below it; it never prints. Each is loaded when it is first named, so that
asking the store a question does not wait for torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from labelsvc.config import (
        AuditConfig,
        CertifyConfig,
        ExportConfig,
        IngestConfig,
        LabelConfig,
        PlanConfig,
        PredictConfig,
        ServeConfig,
        SuggestConfig,
        TrainConfig,
    )
    from labelsvc.flows._ask import list_runs, query, trace
    from labelsvc.flows._audit import audit, extend_audit
    from labelsvc.flows._certify import certify
    from labelsvc.flows._compare import compare
    from labelsvc.flows._decide import decide_labels
    from labelsvc.flows._distill import distill
    from labelsvc.flows._doctor import doctor
    from labelsvc.flows._evaluate import evaluate
    from labelsvc.flows._export import export
    from labelsvc.flows._ingest import ingest
    from labelsvc.flows._issues import issues
    from labelsvc.flows._label import label
    from labelsvc.flows._labels import diff_labels, export_labels, list_labels, rollback_labels, tag_labels
    from labelsvc.flows._pack import pack
    from labelsvc.flows._plan import plan
    from labelsvc.flows._predict import predict
    from labelsvc.flows._quickstart import quickstart
    from labelsvc.flows._resume import ToldRun, interrupted_rounds, interrupted_run, interrupted_training
    from labelsvc.flows._run import RunConfig, run
    from labelsvc.flows._serve import serve
    from labelsvc.flows._suggest import suggest
    from labelsvc.flows._train import train
    from labelsvc.flows._verdicts import take_verdicts

_PLACES = {
    "AuditConfig": "labelsvc.config",
    "CertifyConfig": "labelsvc.config",
    "ExportConfig": "labelsvc.config",
    "IngestConfig": "labelsvc.config",
    "LabelConfig": "labelsvc.config",
    "PlanConfig": "labelsvc.config",
    "PredictConfig": "labelsvc.config",
    "RunConfig": "labelsvc.flows._run",
    "ServeConfig": "labelsvc.config",
    "SuggestConfig": "labelsvc.config",
    "ToldRun": "labelsvc.flows._resume",
    "TrainConfig": "labelsvc.config",
    "audit": "labelsvc.flows._audit",
    "certify": "labelsvc.flows._certify",
    "compare": "labelsvc.flows._compare",
    "decide_labels": "labelsvc.flows._decide",
    "diff_labels": "labelsvc.flows._labels",
    "distill": "labelsvc.flows._distill",
    "doctor": "labelsvc.flows._doctor",
    "evaluate": "labelsvc.flows._evaluate",
    "export": "labelsvc.flows._export",
    "export_labels": "labelsvc.flows._labels",
    "extend_audit": "labelsvc.flows._audit",
    "ingest": "labelsvc.flows._ingest",
    "interrupted_rounds": "labelsvc.flows._resume",
    "interrupted_run": "labelsvc.flows._resume",
    "interrupted_training": "labelsvc.flows._resume",
    "issues": "labelsvc.flows._issues",
    "label": "labelsvc.flows._label",
    "list_labels": "labelsvc.flows._labels",
    "list_runs": "labelsvc.flows._ask",
    "pack": "labelsvc.flows._pack",
    "plan": "labelsvc.flows._plan",
    "predict": "labelsvc.flows._predict",
    "query": "labelsvc.flows._ask",
    "quickstart": "labelsvc.flows._quickstart",
    "rollback_labels": "labelsvc.flows._labels",
    "run": "labelsvc.flows._run",
    "serve": "labelsvc.flows._serve",
    "suggest": "labelsvc.flows._suggest",
    "tag_labels": "labelsvc.flows._labels",
    "take_verdicts": "labelsvc.flows._verdicts",
    "trace": "labelsvc.flows._ask",
    "train": "labelsvc.flows._train",
}

__all__ = [
    "AuditConfig",
    "CertifyConfig",
    "ExportConfig",
    "IngestConfig",
    "LabelConfig",
    "PlanConfig",
    "PredictConfig",
    "RunConfig",
    "ServeConfig",
    "SuggestConfig",
    "ToldRun",
    "TrainConfig",
    "audit",
    "certify",
    "compare",
    "decide_labels",
    "diff_labels",
    "distill",
    "doctor",
    "evaluate",
    "export",
    "export_labels",
    "extend_audit",
    "ingest",
    "interrupted_rounds",
    "interrupted_run",
    "interrupted_training",
    "issues",
    "label",
    "list_labels",
    "list_runs",
    "pack",
    "plan",
    "predict",
    "query",
    "quickstart",
    "rollback_labels",
    "run",
    "serve",
    "suggest",
    "tag_labels",
    "take_verdicts",
    "trace",
    "train",
]


def __getattr__(name: str) -> Any:  # noqa: ANN401 - a module's attributes are of any type
    """Load a flow when it is first named."""
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_PLACES[name]), name)

"""labelsvc ingest: Parquet files become samples with roles."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from labelsvc.config import IngestConfig
from labelsvc.errors import UsageError

from . import answer, closing, options, tables, terminal

if TYPE_CHECKING:
    from labelsvc.data.profile import Found


def ingest(  # noqa: PLR0913 - an option each
    files: options.Files = None,
    *,
    test: options.Test = None,
    id_column: options.IdColumn = None,
    label_column: options.LabelColumn = None,
    image_column: options.ImageColumn = None,
    group_column: options.GroupColumn = None,
    vector_column: options.VectorColumn = None,
    features: options.Features = None,
    exclude: options.Exclude = None,
    split_by: options.SplitBy = None,
    image_root: options.ImageRoot = None,
    shape: options.Shape = None,
    size: options.Size = None,
    labels: options.LabelsFile = None,
    classes: options.Classes = None,
    missing_label: options.MissingLabel = None,
    validation: options.Validation = None,
    calibration: options.Calibration = None,
    max_failed: options.MaxFailed = IngestConfig.max_failed,
    cache_gb: options.CacheGb = IngestConfig.cache_gb,
    workspace: options.Workspace = options.WORKSPACE,
    as_json: options.AsJson = False,
    show_config: options.ShowConfig = False,  # settings.Verb answers it
) -> None:
    """Read labeled, unlabeled and test rows into the workspace.

    With --labels alone, samples that are there already get their labels.
    """
    config = ingest_config(locals())  # before anything else has a name
    from labelsvc import flows

    with terminal.listening() as listener:
        outcome = flows.ingest(workspace, files or (), test=test or (), config=config, listener=listener)
    if as_json:
        answer.say("ingest", outcome)
    roles = ", ".join(f"{count:,} {role}" for role, count in outcome.roles.items() if count)
    terminal.note(f"new samples: {roles or 'none'}")
    if outcome.columns:
        _show_columns(outcome.columns)
    what = "pictures " if outcome.shape.kind == "image" else ""
    terminal.note(f"{len(outcome.classes)} classes ({', '.join(outcome.classes)}), {what}{outcome.shape}")
    closing.close(outcome, workspace, abstained="unlabeled")


def _show_columns(columns: Sequence[Found]) -> None:
    """Show on stderr what was made of each column of a table."""
    head = ["column", "taken as", "values", "nulls", ""]
    rows = [[one.name, one.kind or "left out", one.values, one.nulls, one.remark] for one in columns]
    tables.show(head, rows, sys.stderr)


def ingest_config(told: Mapping[str, Any]) -> IngestConfig:
    """Return what a verb with the options of ``ingest`` was told, by the names of its parameters."""
    read = {
        "shape": options.sides(told["shape"], "--shape"),
        "size": height_and_width(told["size"]),
        "classes": options.class_names(told["classes"]),
        "features": options.names(told["features"]),
        "exclude": options.names(told["exclude"]),
    }
    return IngestConfig(**{name: told[name] for name in IngestConfig.__dataclass_fields__} | read)


def height_and_width(size: str | None) -> tuple[int, int] | None:
    """Return the sides of ``--size``.

    Raises:
        UsageError: they are not two.
    """
    sides = options.sides(size, "--size")
    if sides is None:
        return None
    if len(sides) != 2:
        raise UsageError(f"--size {size}: write HEIGHTxWIDTH, such as 28x28; channels follow from the pictures")
    return sides[0], sides[1]

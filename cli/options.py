"""The options that verbs share, and how their texts become what the flows are told."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from labelsvc.config import parse_duration, parse_pairs, parse_sides
from labelsvc.errors import UsageError

from . import settings

_option = partial(typer.Option, show_envvar=False)

WORKSPACE = settings.DEFAULT_WORKSPACE
Workspace = Annotated[
    Path,
    typer.Option(
        "--workspace",
        envvar=settings.WORKSPACE_VARIABLE,
        is_eager=True,
        callback=settings.read,
        metavar="PATH",
        help="The task's folder.",
    ),
]
AsJson = Annotated[bool, _option("--json", help="Print one JSON object on stdout.")]
ShowConfig = Annotated[bool, _option(settings.SHOW_CONFIG, help="Say each setting and its source; do nothing.")]

Files = Annotated[
    list[str] | None,
    typer.Argument(metavar="FILE...", help="Parquet files, folders or patterns; rows without a label join the pool."),
]
Test = Annotated[list[str] | None, _option("--test", metavar="FILE", help="Rows that only evaluate reads; repeatable.")]
IdColumn = Annotated[str | None, _option("--id-column", metavar="NAME", help="The column of ids.")]
LabelColumn = Annotated[str | None, _option("--label-column", metavar="NAME", help="The column of labels.")]
ImageColumn = Annotated[str | None, _option("--image-column", metavar="NAME", help="The column of pictures.")]
VectorColumn = Annotated[str | None, _option("--vector-column", metavar="NAME", help="The column of vectors.")]
Features = Annotated[
    list[str] | None,
    _option("--features", metavar="A,B,...", help="The columns of a table to learn from, whatever they look like."),
]
Exclude = Annotated[
    list[str] | None, _option("--exclude", metavar="A,B,...", help="Columns of a table to leave out; repeatable.")
]
SplitBy = Annotated[
    str | None,
    _option(
        "--split-by", metavar="NAME", help="Keep the labeled rows with this column's largest values from training."
    ),
]
Validation = Annotated[
    float | None,
    _option("--validation", metavar="N", help="Labeled rows kept for choices: a share below 1, else a count."),
]
Calibration = Annotated[
    float | None,
    _option("--calibration", metavar="N", help="Labeled rows kept for promises: a share below 1, else a count."),
]
GroupColumn = Annotated[
    str | None, _option("--group-column", metavar="NAME", help="The column of groups; a group's rows share a role.")
]
ImageRoot = Annotated[str | None, _option("--image-root", metavar="FOLDER", help="Where the paths of pictures start.")]
Shape = Annotated[str | None, _option("--shape", metavar="HxWxC", help="The shape of pictures that are raw bytes.")]
Size = Annotated[str | None, _option("--size", metavar="HxW", help="The size to which pictures are decoded.")]
LabelsFile = Annotated[str | None, _option("--labels", metavar="FILE", help="A file of id and label, joined by id.")]
Classes = Annotated[
    str | None, _option("--classes", metavar="A,B,...", help="The classes in order, or a text file of them.")
]
MissingLabel = Annotated[str | None, _option("--missing-label", metavar="VALUE", help="The label that means none.")]
MaxFailed = Annotated[str, _option("--max-failed", metavar="N", help="Rows that may fail to decode: a count, or 1%.")]

CacheGb = Annotated[float, _option("--cache-gb", metavar="GB", min=0, help="How much of decoded inputs to keep.")]

Method = Annotated[str, _option("--method", metavar="NAME", help="How to learn; see `labelsvc methods`.")]
Recipe = Annotated[
    str | None, _option("--recipe", metavar="NAME", help="A published way to learn, whole: tutorial, for vectors.")
]
TrustImport = Annotated[
    bool, _option("--trust-import", help="Let --network be the path of a class outside of scikit-learn.")
]
Steps = Annotated[int | None, _option("--steps", metavar="N", help="How many steps to train.")]
Budget = Annotated[str | None, _option("--budget", metavar="TIME", help="How long to train: 90s, 2m, 1.5h.")]
Network = Annotated[str, _option("--network", metavar="NAME", help="The network.")]
Views = Annotated[str, _option("--views", metavar="NAME", help="How pictures are varied.")]
Device = Annotated[str, _option("--device", metavar="NAME", help="auto, cpu or cuda.")]
Seed = Annotated[int, _option("--seed", metavar="N", help="Where randomness starts.")]
Balanced = Annotated[bool, _option("--balanced/--no-balanced", help="All classes are equally frequent.")]
Baseline = Annotated[
    bool, _option("--baseline/--no-baseline", help="Compare with a supervised baseline on validation rows.")
]
Spread = Annotated[
    bool | None,
    _option("--spread/--no-spread", help="Spread few labels over the pool first; by itself where they are few."),
]
Teacher = Annotated[
    str | None, _option("--teacher", metavar="MODEL", help="Whom --method learns from: any ending of an id, or latest.")
]
Set = Annotated[list[str] | None, _option("--set", metavar="NAME=VALUE", help="A setting of the method; repeatable.")]
KeepMoments = Annotated[
    int, _option("--keep-moments", metavar="N", help="Keep the weights of N moments for evaluate --moments.")
]

Threshold = Annotated[float, _option("--threshold", metavar="P", help="Accept labels of this confidence.")]
LabelThreshold = Annotated[float | None, _option("--threshold", metavar="P", help="Accept labels of this confidence.")]
TopK = Annotated[int, _option("--top-k", metavar="K", min=0, help="Tell the K likeliest classes of each row, too.")]
Probabilities = Annotated[bool, _option("--probabilities", help="Tell the probabilities of all classes, too.")]
PerClass = Annotated[bool, _option("--per-class", help="Promise --precision for each class.")]
Uncertified = Annotated[bool, _option("--uncertified", help="Write labels even if nothing can be promised of them.")]
Gate = Annotated[
    bool, _option("--gate/--no-gate", help="No label for rows that look like none of the classes, if there are such.")
]
AdjustPrior = Annotated[
    bool, _option("--adjust-prior", help="Allow for classes more or less frequent in the pool than in the labels.")
]
FromPredictions = Annotated[
    str | None, _option("--from-predictions", metavar="FILE", help="Another model's words: id, a column per class.")
]
ClassThreshold = Annotated[
    list[str] | None,
    _option("--class-threshold", metavar="NAME=P", help="A class's own threshold; repeatable."),
]
Rounds = Annotated[
    int, _option("--rounds", metavar="R", min=1, help="Label, then distill and label again, R - 1 times.")
]
Resume = Annotated[bool, _option("--resume", help="Go on with the newest, if it was interrupted, as it was started.")]
Message = Annotated[str, _option("--message", metavar="TEXT", help="A word on the label set.")]
FromModel = Annotated[
    str | None, _option("--from", metavar="MODEL", help="A model's id, any unique ending of it, or latest.")
]
FromModels = Annotated[
    list[str] | None,
    _option("--from", metavar="MODEL", help="A model's id, any unique ending of it, or latest."),
]
Dtype = Annotated[str, _option("--dtype", metavar="NAME", help="fp32, fp16 or int8.")]
MaxLoss = Annotated[
    float | None, _option("--max-loss", metavar="POINTS", help="How much accuracy fewer bits may cost, in points.")
]
Triton = Annotated[str | None, _option("--triton", metavar="DIR", help="Write it into a Triton model repository, too.")]
Onnx = Annotated[str | None, _option("--onnx", metavar="PATH", help="Export the student to this file.")]

Precision = Annotated[
    float | None, _option("--precision", metavar="P", help="How often the labels must be right, such as 0.95.")
]
Confidence = Annotated[float, _option("--confidence", metavar="C", help="How sure a promise must be, such as 0.95.")]
N = Annotated[int | None, _option("--n", metavar="N", min=1, help="How many rows.")]

Truth = Annotated[
    str | None, _option("--truth", metavar="FILE", help="Score the labels against Parquet of id and label.")
]
Moments = Annotated[bool, _option("--moments", help="Score the weights that --keep-moments kept, too.")]
Layout = Annotated[str, _option("--format", metavar="NAME", help="table, csv, json or parquet.")]
Actor = Annotated[str | None, _option("--actor", metavar="NAME", help="Who decided, where the file does not say.")]
Output = Annotated[Path | None, _option("--output", metavar="FILE", help="Write to a file, not to stdout.")]
Limit = Annotated[int, _option("--limit", metavar="N", min=1, help="How many to show.")]
Force = Annotated[bool, _option("--force", help="Do it although it would be refused.")]
To = Annotated[str | None, _option("--to", metavar="LABEL_SET", help="Which one; without it, the one before.")]
OfLabelSet = Annotated[
    str | None, _option("--label-set", metavar="LABEL_SET", help="Which one; without it, the current one.")
]
Host = Annotated[str, _option("--host", metavar="ADDRESS", help="Where to listen; others than loopback need a token.")]
Port = Annotated[int, _option("--port", metavar="N", help="On which port; 0 for any that is free.")]
TokenFile = Annotated[
    str | None, _option("--token-file", metavar="FILE", help="The token that clients must show; or in LABELSVC_TOKEN.")
]
MaxBodyMb = Annotated[float, _option("--max-body-mb", metavar="MB", help="The largest body, packed or unpacked.")]
MaxRows = Annotated[int, _option("--max-rows", metavar="N", help="The most rows of a request.")]
MaxPixels = Annotated[int, _option("--max-pixels", metavar="N", help="The most pixels of a picture.")]
BatchRows = Annotated[int, _option("--batch-rows", metavar="N", help="The most rows computed at once.")]
QueueRows = Annotated[int, _option("--queue-rows", metavar="N", help="The most rows taken and not answered.")]
MaxWait = Annotated[float, _option("--max-wait", metavar="MS", help="How long a batch waits for more, in ms.")]
BodySeconds = Annotated[float, _option("--body-seconds", metavar="S", help="How long a body may take to arrive.")]
DrainSeconds = Annotated[float, _option("--drain-seconds", metavar="S", help="How long the end waits for answers.")]
Folder = Annotated[Path, _option("--folder", metavar="PATH", help="Where everything is written.")]


def seconds(budget: str | None) -> float | None:
    """Return a budget in seconds."""
    return None if budget is None else parse_duration(budget)


def sides(text: str | None, flag: str) -> tuple[int, ...] | None:
    """Return the sides of ``--shape`` or ``--size``."""
    return None if text is None else parse_sides(text, flag)


def class_names(text: str | None) -> tuple[str, ...]:
    """Return the names of ``--classes``: separated by commas, or the lines of a text file."""
    if text is None:
        return ()
    names = Path(text).read_text(encoding="utf-8").splitlines() if _is_file(text) else text.split(",")
    return tuple(name.strip() for name in names if name.strip())


def _is_file(text: str) -> bool:
    try:
        return Path(text).is_file()
    except OSError:  # a long list is no name of a file
        return False


def names(texts: Sequence[str] | None) -> tuple[str, ...]:
    """Return the names of a repeatable option, each of which may be several, separated by commas."""
    return tuple(name.strip() for text in texts or () for name in text.split(",") if name.strip())


def pairs(texts: Sequence[str] | None) -> dict[str, str]:
    """Return the pairs of ``--set``."""
    return parse_pairs(list(texts or ()), "--set")


def thresholds(texts: Sequence[str] | None) -> dict[str, float]:
    """Return the thresholds of ``--class-threshold`` by class.

    Raises:
        UsageError: one is no number.
    """
    found = parse_pairs(list(texts or ()), "--class-threshold")
    try:
        return {name: float(value) for name, value in found.items()}
    except ValueError as error:
        raise UsageError(f"--class-threshold: {error}; write --class-threshold NAME=0.9") from error

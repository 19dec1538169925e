"""A model card: what a student's file is, from what it was made, how far it was tried, and what it does not know.

Markdown, for whoever is handed the file without its workspace. A pure function of a record; names no path of the
machine that it was made on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from labelsvc.records import Certificate, LabelSet, Model, PictureShape, Policy, TableShape, VectorShape
from labelsvc.student.card import FileFormat
from labelsvc.student.export import Parity
from labelsvc.student.feeding import input_names
from labelsvc.student.gate import Loss, Speed
from labelsvc.student.metadata import NO_TIME, VECTOR, StudentPolicy

TITLE = "# Model card: "
MOST_CLASSES = 30  # that are named one by one
ASSUMED = {
    "calibration": "if the given labels resemble the pool and no class is without one",
    "audit": "assuming nothing of the rows: people judged a random sample of these labels",
    "student": "for rows that come from where the fresh labeled rows came from",
}


@dataclass(frozen=True)
class Dataset:
    """What was ingested; ``role`` is test for what no training can reach."""

    name: str
    role: str
    rows: int
    digest: str


@dataclass(frozen=True)
class Ancestor:
    """A model of the line, and how it learnt; the youngest comes first."""

    model: Model
    steps: int | None
    seed: int | None


@dataclass(frozen=True)
class Taught:
    """The label set that a student learnt from, the rule that accepted its labels, and what is promised of them."""

    label_set: LabelSet
    rule: Policy
    certificates: tuple[Certificate, ...]


@dataclass(frozen=True)
class Evaluated:
    """What ``evaluate`` found of the model on test rows."""

    right: int
    rows: int


@dataclass(frozen=True)
class ModelCard:
    """All that a card tells."""

    file: str
    bytes: int
    dtype: str
    format: FileFormat
    version: str  # of labelsvc
    line: tuple[Ancestor, ...]
    datasets: tuple[Dataset, ...]
    roles: Mapping[str, int]  # rows by role
    taught: Taught | None
    policy: StudentPolicy | None
    certificates: tuple[Certificate, ...]  # of the model as a student, void ones too
    parity: Parity
    validation: tuple[int, int] | None
    tested: Evaluated | None
    loss: Loss | None
    speeds: tuple[Speed, ...]
    device: str
    agreement: tuple[int, int] | None = None  # with its teacher, of tables and vectors

    @property
    def model(self) -> Model:
        """The model that the file holds."""
        return self.line[0].model


def tell(card: ModelCard) -> str:
    """Return the card as Markdown."""
    parts = {
        "Use": _use(card),
        "Data": _data(card),
        "Labels": _labels(card),
        "Method and lineage": _lineage(card),
        "Certificates": _certificates(card),
        "Figures": _figures(card),
        "Limits": _limits(card),
    }
    sections = [f"## {title}\n\n" + "\n".join(lines) for title, lines in parts.items()]
    return "\n\n".join([f"{TITLE}{card.file}", _what(card), *sections]) + "\n"


def _what(card: ModelCard) -> str:
    model, names = card.model, [f"`{name}`" for name in card.model.classes]
    more = f" and {len(names) - MOST_CLASSES:,} more" if len(names) > MOST_CLASSES else ""
    return (
        f"A {model.role} ({model.method}, {model.network}) that tells {len(names):,} classes apart: "
        f"{', '.join(names[:MOST_CLASSES])}{more}. {card.bytes / 1e6:.2f} MB, {card.dtype}, ONNX opset "
        f"{card.format.opset}, IR version {card.format.ir_version}; written by labelsvc {card.version}."
    )


def _use(card: ModelCard) -> Iterator[str]:
    shape = card.model.preprocessing.shape
    if isinstance(shape, PictureShape):
        yield from _use_of_pictures(card, shape)
        return
    yield from _inputs(shape)
    yield f"- Output `probabilities`: float32 [batch, {len(card.model.classes)}], in the order of `class_names`."
    yield (
        f"- Inside the file: everything from these inputs on, and the temperature {card.model.temperature:.4g} "
        f"({'calibrated on labels' if card.model.calibrated else 'not calibrated'})."
    )
    yield f"- {_accepting(card.policy)}"
    yield f"""
```python
import json
import numpy as np
import onnxruntime

session = onnxruntime.InferenceSession("{card.file}", providers=["CPUExecutionProvider"])
names = json.loads(session.get_modelmeta().custom_metadata_map["class_names"])
row = {{
{_empty_row(shape)}
}}
probabilities = session.run(["probabilities"], row)[0][0]
print(names[probabilities.argmax()], probabilities.max())
```"""


def _empty_row(shape: TableShape | VectorShape) -> str:
    """Return the lines of a row of nulls, or of a vector of zeros, for the reader to fill in."""
    if isinstance(shape, VectorShape):
        return f'    "{VECTOR}": np.zeros((1, {shape.length}), np.float32),'
    named = zip(input_names(shape), shape.columns, strict=True)
    return "\n".join(f"    {name!r}: {_NULLS[column.kind]}," for name, column in named)


def _inputs(shape: TableShape | VectorShape) -> Iterator[str]:
    """Yield what the file takes, and how a null is told it."""
    if isinstance(shape, VectorShape):
        yield f"- Input `{VECTOR}`: float32 [batch, {shape.length}], as they are in the user's column."
        return
    yield "- An input for each column, by its name, [batch, 1]:"
    yield ""
    yield from _table(["input", "type", "null"], _described(shape))
    yield ""


def _described(shape: TableShape) -> list[list[str]]:
    return [[f"`{name}`", *_TYPES[one.kind]] for name, one in zip(input_names(shape), shape.columns, strict=True)]


_NULLS = {
    "number": "np.array([[np.nan]], np.float32)",
    "boolean": "np.array([[np.nan]], np.float32)",
    "category": 'np.array([[""]], object)',
    "time": f"np.array([[{NO_TIME}]], np.int64)",
}
_TYPES = {
    "number": ("float32", "NaN"),
    "boolean": ("float32, 0 or 1", "NaN"),
    "category": ("string; one that was not met counts as none of them", "an empty text"),
    "time": ("int64, microseconds since 1970", str(NO_TIME)),
}


def _use_of_pictures(card: ModelCard, shape: PictureShape) -> Iterator[str]:
    model = card.model
    height, width, channels = shape.sides
    mode = "L" if channels == 1 else "RGB"
    colour = "grey" if channels == 1 else "RGB"
    yield f"- Input `image`: uint8 [batch, {height}, {width}, {channels}], {colour}, 0 to 255."
    yield f"- Output `probabilities`: float32 [batch, {len(model.classes)}], in the order of `class_names`."
    yield f"- {_preprocessing(model)}"
    yield f"- {_accepting(card.policy)}"
    yield f"""
```python
import json
import numpy as np
import onnxruntime
from PIL import Image

session = onnxruntime.InferenceSession("{card.file}", providers=["CPUExecutionProvider"])
names = json.loads(session.get_modelmeta().custom_metadata_map["class_names"])
picture = Image.open("picture.png").convert("{mode}").resize(({width}, {height}), Image.Resampling.BILINEAR)
image = np.asarray(picture).reshape(1, {height}, {width}, {channels})
probabilities = session.run(None, {{"image": image}})[0][0]
print(names[probabilities.argmax()], probabilities.max())
```"""


def _preprocessing(model: Model) -> str:
    mean, std = (", ".join(f"{value:.4f}" for value in values) for values in _statistics(model))
    heat = "fitted on validation rows" if model.calibrated else "not calibrated: there were no validation rows"
    return (
        f"Inside the file: pixels / 255, less {mean}, divided by {std}, by channel; softmax of the logits / "
        f"{model.temperature:.4g} (the temperature, {heat})."
    )


def _statistics(model: Model) -> tuple[Sequence[float], Sequence[float]]:
    return model.preprocessing.mean, model.preprocessing.std


def _accepting(policy: StudentPolicy | None) -> str:
    if policy is None:
        return "From which confidence on a label counts is not settled: it has neither a certificate nor a label set."
    own = ", ".join(f"{_threshold(value)} for `{name}`" for name, value in policy.class_thresholds.items())
    shared = _threshold(policy.threshold)
    counted = f"{own}, else {shared}" if own else shared
    return f"A label counts from a confidence of {counted} ({policy.origin})."


def _threshold(value: float) -> str:
    """Return a threshold in words; one above 1 lets nothing through.

    >>> _threshold(0.95), _threshold(2.0)
    ('0.95', 'none at all')
    """
    return f"{value:.4g}" if value <= 1 else "none at all"


def _data(card: ModelCard) -> Iterator[str]:
    yield from _table(
        ["dataset", "role", "rows", "digest"],
        [[one.name, one.role, f"{one.rows:,}", f"`{one.digest[:16]}`"] for one in card.datasets],
    )
    yield ""
    yield "Rows by role: " + ", ".join(f"{rows:,} {role}" for role, rows in card.roles.items()) + "."


def _labels(card: ModelCard) -> Iterator[str]:
    yield f"{card.roles.get('train', 0):,} given labels or people's decisions of train rows."
    if card.taught is None:
        yield "It was taught by no label set."
        return
    label_set, rule = card.taught.label_set, card.taught.rule
    aim = "" if rule.target_precision is None else f", chosen for a precision of {rule.target_precision:.4g}"
    note = f' ("{label_set.message}")' if label_set.message else ""
    yield (
        f"{label_set.rows:,} pseudo-labels of round {label_set.round}: label set `{label_set.label_set_id}`{note}, "
        f"accepted from a {rule.score} of {_threshold(rule.threshold)} on"
        + (", with thresholds of their own for some classes" if rule.class_thresholds else "")
        + f"{aim}."
    )
    for found in card.taught.certificates:
        yield f"- {_certificate(found, 'these labels' if found.class_name is None else f'labels `{found.class_name}`')}"


def _lineage(card: ModelCard) -> Iterator[str]:
    rows = [
        [
            f"`{one.model.model_id}`",
            one.model.role,
            one.model.method,
            one.model.network,
            str(one.model.round),
            "" if one.steps is None else f"{one.steps:,}",
            "" if one.seed is None else str(one.seed),
        ]
        for one in card.line
    ]
    yield from _table(["model", "role", "method", "network", "round", "steps", "seed"], rows)
    yield ""
    yield f"Each was taught by the one below it. SHA-256 of the weights: `{card.model.sha256}`."


def _certificates(card: ModelCard) -> Iterator[str]:
    if not card.certificates:
        yield "None: nothing is promised of what it says of new rows. `labelsvc certify` proves it on fresh ones."
        return
    for found in card.certificates:
        yield f"- {_certificate(found, f'its labels of a confidence of {found.threshold or 0:.4g} or more')}"
    if card.dtype != "fp32":
        yield f"\nThey are of the fp32 file. This one, in {card.dtype}, answers otherwise at times and has none."


def _certificate(found: Certificate, subject: str) -> str:
    name = f"{found.kind.capitalize()} certificate `{found.certificate_id}`"
    if not found.valid:
        return f"{name}: **void**. {found.reason}"
    return (
        f"{name}: {subject} are right {found.promised_precision:.4g} of the time, at {found.confidence:.4g} confidence "
        f"({found.checked:,} checked, {found.wrong:,} wrong), {ASSUMED[found.kind]}."
    )


def _figures(card: ModelCard) -> Iterator[str]:
    if card.validation is not None:
        yield f"- Accuracy on validation rows: {_share(*card.validation)}; choices were made by these, so expect less."
    if card.tested is not None:
        whole = "" if card.dtype == "fp32" else ", of the network in fp32"
        yield f"- Accuracy on test rows: {_share(card.tested.right, card.tested.rows)}{whole}."
    else:
        yield "- Accuracy on test rows: not measured (`labelsvc evaluate`)."
    yield (
        f"- Probabilities in fp32 differ from the network's by at most {card.parity.largest_difference:.1e} on "
        f"{card.parity.rows:,} real rows."
    )
    if card.agreement is not None:
        yield f"- It names {_share(*card.agreement)} of the pool as its teacher does."
    if card.loss is not None:
        yield f"- {card.dtype}: {card.loss}."
    for speed in card.speeds:
        yield f"- {card.dtype}: {speed}, measured side by side on the machine of the export ({card.device})."


def _limits(card: ModelCard) -> Iterator[str]:
    one, many = _INPUTS[card.model.preprocessing.shape.kind]
    yield f"- It knows no class but those above: {one} of anything else gets one of them, at times with confidence."
    yield f"- It was made for {many} like those of its pool; of other kinds, its confidence says little. Compare what"
    yield "  it says with `labelsvc.pool` in the metadata, which counts its words on the pool."
    if not card.model.calibrated:
        yield "- Its confidence was not calibrated: 0.95 need not mean right 95 times in 100."
    if card.certificates == () or card.dtype != "fp32":
        yield "- No precision is promised of this file."
    if card.dtype != "fp32":
        yield f"- Its confidences in {card.dtype} differ a little from those that the threshold was chosen by, and its"
        yield "  speed is another one on another machine."


_INPUTS = {"image": ("a picture", "pictures"), "table": ("a row", "rows"), "vector": ("a vector", "vectors")}


def _share(right: int, rows: int) -> str:
    return f"{right / rows:.2%} ({right:,} of {rows:,})"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    for row in (head, ["---"] * len(head), *rows):
        yield "| " + " | ".join(" ".join(cell.replace("|", "\\|").splitlines()) for cell in row) + " |"

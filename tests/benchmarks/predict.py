"""``predict`` from Parquet to Parquet, beside what bounds it and what it replaces, in one run on the same cores.

Run: ``uv run python tests/benchmarks/predict.py [--rows N] [--rounds N] [--beside bare loop openvino]``. An untrained
student of 28 × 28 pixels labels noisy digits of scikit-learn's, as PNGs and as raw pixels, beside

- bare onnxruntime on arrays that were prepared beforehand, in the same batches (for raw pixels the aim is 0.9 of it;
  for PNGs Pillow is what is left),
- OpenVINO on these arrays, where it is installed, in float32 too (by itself it takes bfloat16 where the CPU has it),
- a plain loop over a torch DataLoader of two workers: read, decode, normalise, the same network, softmax, write.
"""

from __future__ import annotations

import argparse
import importlib.util
import io
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from digits import write_digits
from PIL import Image
from record import keep, paired
from torch.utils.data import DataLoader, Dataset

from labelsvc import flows, networks
from labelsvc.networks import Classifier
from labelsvc.records import Model, PictureShape, Pixels, Preprocessing
from labelsvc.student.export import export
from labelsvc.student.infer import Student, load

SIDE, BATCH = 28, 512
PREPROCESSING = Preprocessing(PictureShape(SIDE, SIDE, 1), (0.13,), (0.31,))
CLASSES = tuple(map(str, range(10)))
BESIDE = ("bare", "loop", "openvino")
FLOAT32 = {"INFERENCE_PRECISION_HINT": "f32"}


@dataclass(frozen=True)
class Rows(Dataset[torch.Tensor]):
    """A file's pictures, each decoded and normalised when it is asked for, as tutorials do it."""

    cells: pa.ChunkedArray

    def __len__(self) -> int:
        return len(self.cells)

    def __getitem__(self, row: int) -> torch.Tensor:
        cell = self.cells[row].as_py()
        if isinstance(cell, dict):
            picture = np.asarray(Image.open(io.BytesIO(cell["bytes"])))
        else:
            picture = np.frombuffer(cell, np.uint8).reshape(SIDE, SIDE)
        return torch.from_numpy(picture.copy())[..., None]


def main() -> None:
    """Measure and keep."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000, help="raw ones; a fifth as many PNGs")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--beside", nargs="+", choices=BESIDE, default=BESIDE)
    told = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        network = networks.build("convnet", PREPROCESSING, len(CLASSES), seed=0)
        student = load(_exported(network, folder / "student.onnx"), device="cpu")
        png = write_digits(folder / "png.parquet", told.rows // 5)
        raw = _raw(png, folder / "raw.parquet", told.rows)
        for form, source in (("png", png), ("raw", raw)):
            _measure(form, source, student, network, told)


def _measure(form: str, source: Path, student: Student, network: Classifier, told: argparse.Namespace) -> None:
    """Time predict of a file beside each of the others."""
    folder, arrays = source.parent, list(_arrays(source))
    rows = sum(map(len, arrays))
    config = flows.PredictConfig(threshold=0.5, device="cpu", shape=(SIDE, SIDE) if form == "raw" else None)

    def ours() -> None:
        (folder / "out.parquet").unlink(missing_ok=True)  # or it would be found done
        flows.predict(folder / "student.onnx", source, folder / "out.parquet", config)

    def bare() -> None:
        for pixels in arrays:
            student.probabilities(pixels)

    def loop() -> None:
        _plain_loop(network, source, folder / "loop.parquet")

    beside: dict[str, tuple[str, Callable[[], object], str, float]] = {
        "bare": (f"predict_{form}", bare, "bare onnxruntime on ready arrays", 0.9 if form == "raw" else 0.7),
        "loop": (f"predict_{form}_dataloader", loop, "a plain torch DataLoader loop", 2.0),
    }
    if importlib.util.find_spec("openvino"):
        openvino = _openvino(folder, arrays)
        beside["openvino"] = (f"predict_{form}_openvino", openvino, "bare OpenVINO on ready arrays", 0.9)
    for name, other, what, aim in (beside[one] for one in told.beside if one in beside):
        mine, limit = paired(ours, other, rounds=told.rounds)
        keep(name, ours=mine, limit=limit, rows=rows, what=what, aim=aim)


def _arrays(source: Path) -> Iterator[Pixels]:
    """Yield a file's pictures, decoded, in batches."""
    rows = Rows(pq.read_table(source)["image"])
    for first in range(0, len(rows), BATCH):
        pictures = [rows[row] for row in range(first, min(first + BATCH, len(rows)))]
        yield torch.stack(pictures).numpy()


@torch.inference_mode()
def _plain_loop(network: Classifier, source: Path, target: Path) -> None:
    """Label a file as a plain script does."""
    network.eval()
    labels: list[str | None] = []
    confidences: list[float] = []
    for images in DataLoader(Rows(pq.read_table(source)["image"]), batch_size=BATCH, num_workers=2):
        scores = network(images.permute(0, 3, 1, 2).float() / 255).softmax(dim=1)
        confidence, best = scores.max(dim=1)
        confidences += confidence.tolist()
        labels += [CLASSES[code] if sure >= 0.5 else None for code, sure in zip(best, confidence, strict=True)]
    pq.write_table(pa.table({"label": pa.array(labels, pa.string()), "confidence": confidences}), target)


def _openvino(folder: Path, arrays: list[Pixels]) -> Callable[[], object]:
    """Return OpenVINO's answering of all arrays."""
    import openvino

    compiled = openvino.Core().compile_model(str(folder / "student.onnx"), "CPU", FLOAT32)
    return lambda: [compiled([pixels]) for pixels in arrays]


def _exported(network: Classifier, path: Path) -> Path:
    model = Model("none", "none", "student", "supervised", "convnet", "none", "none", CLASSES, PREPROCESSING)
    pixels = np.random.default_rng(0).integers(0, 256, (16, SIDE, SIDE, 1), dtype=np.uint8)
    export(network, model, path, pixels=pixels)
    return path


def _raw(png: Path, target: Path, rows: int) -> Path:
    """Write pictures as raw bytes, repeated up to ``rows``."""
    pixels = np.concatenate(list(_arrays(png))).reshape(-1, SIDE * SIDE)
    whole = np.resize(pixels, (rows, SIDE * SIDE))
    column = pa.FixedSizeBinaryArray.from_buffers(pa.binary(SIDE * SIDE), rows, [None, pa.py_buffer(whole.tobytes())])
    ids = [f"digit-{row:07d}" for row in range(rows)]
    pq.write_table(pa.table({"id": ids, "image": column}), target, compression="zstd", row_group_size=65_536)
    return target


if __name__ == "__main__":
    main()

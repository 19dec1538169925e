"""``predict`` from Parquet to Parquet, against bare onnxruntime on arrays prepared beforehand.

Run: ``uv run python tests/benchmarks/predict.py [student.onnx IN.parquet]``; without arguments it takes an untrained
student and 20,000 noisy digits of scikit-learn's, as PNGs of 28 × 28 pixels.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np
from digits import write_digits
from record import keep, paired

from labelsvc import networks
from labelsvc.data.columns import ColumnNames, find_columns
from labelsvc.data.decoding import decode_batches, rows_per_batch
from labelsvc.data.reading import read_batches, read_schema
from labelsvc.records import Model, PictureShape, Preprocessing
from labelsvc.student.export import export
from labelsvc.student.infer import load
from labelsvc.student.predict import predict_file

ROWS, ROUNDS = 20_000, 5


def main() -> None:
    """Measure and keep."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        path, source = (Path(name) for name in sys.argv[1:3]) if len(sys.argv) > 2 else _made(place)
        student = load(path)
        columns = find_columns(read_schema(source), ColumnNames(), where=str(source))
        batches = read_batches([source], [columns], rows=rows_per_batch(student.shape))
        arrays = [batch.pixels for batch in decode_batches(batches, student.shape)]

        def ours() -> None:
            for _ in predict_file(student, source, place / "out.parquet", wanted=ColumnNames(), threshold=0.5):
                pass

        def limit() -> None:
            for pixels in arrays:
                student.probabilities(pixels)

        seconds = paired(ours, limit, rounds=ROUNDS)
        rows = sum(map(len, arrays))
        what = "bare onnxruntime on ready arrays"
        keep("predict", ours=seconds[0], limit=seconds[1], rows=rows, what=what, aim=0.8)


def _made(place: Path) -> tuple[Path, Path]:
    """Write an untrained student and noisy digits."""
    source = write_digits(place / "in.parquet", ROWS)
    preprocessing = Preprocessing(PictureShape(28, 28, 1), (0.13,), (0.31,))
    classes = tuple(map(str, range(10)))
    model = Model("none", "none", "student", "supervised", "convnet", "none", "none", classes, preprocessing)
    pixels = np.random.default_rng(0).integers(0, 256, (16, 28, 28, 1), dtype=np.uint8)
    export(networks.build("convnet", preprocessing, 10, seed=0), model, place / "student.onnx", pixels=pixels)
    return place / "student.onnx", source


if __name__ == "__main__":
    main()

"""The tutorial's story on MNIST as vectors: quadratic-sgd on 1,000 labels, alone and self-trained in both ways.

Ten draws of 1,000 labels, alike many of each class, each with a seed of its own; then other numbers of labels. The
tutorial has 90.86% for the teacher alone and 92.42% for 25 iterations of a twenty-fifth of the pool each, which is
``--recipe tutorial``; ``growing`` is self-training by the program's default. The rooms below ``train`` are called
directly, on what its models see of vectors (pixels over their root mean square) and on as many rows of the pool as it
takes, 20,000 of 59,000 drawn at random. Test rows score the last fit; nothing is chosen by them::

    export LABELSVC_TEST_DATA=DIR
    uv run python tests/benchmarks/tutorial_tables.py run [--fits N] [--draws N] [--labels N...]
    uv run python tests/benchmarks/tutorial_tables.py table

A fit that has its line is not done again.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from lines import Lines, markdown

from labelsvc.classical.estimated import log_probabilities
from labelsvc.classical.lesson import Features, Lesson
from labelsvc.classical.self_training import SelfTraining
from labelsvc.classical.teachers import make
from labelsvc.flows._classical import LARGEST_POOL
from labelsvc.records import ClassCodes

TEACHER, CLASSES = "quadratic-sgd", 10
WAYS = {
    "supervised": None,
    "tutorial": SelfTraining(way="tutorial", sample_rate=0.04),
    "growing": SelfTraining(way="growing"),
}
PUBLISHED = {"supervised": 0.9086, "tutorial": 0.9242}
STORY = 1_000  # labels
NUMBERS_OF_LABELS = (100, 250, 500, 2_500, 5_000)

Rows = tuple[Features, ClassCodes]  # pixels [rows, 784], classes


def main() -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("mode", choices=("run", "table"))
    parser.add_argument("--fits", type=int, default=10, help="of each way on 1,000 labels")
    parser.add_argument("--draws", type=int, default=2, help="of each other number of labels")
    parser.add_argument("--labels", type=int, nargs="*", default=NUMBERS_OF_LABELS)
    told = parser.parse_args()
    lines = Lines.named("tutorial_tables")
    if told.mode == "table":
        print(_story(lines), _curve(lines), sep="\n\n")  # noqa: T201
        return
    data = Path(os.environ["LABELSVC_TEST_DATA"]) / "mnist"
    known, exam = _read(data / "train_raw.parquet"), _read(data / "test_raw.parquet")
    tasks = [(STORY, seed) for seed in range(told.fits)]
    tasks += [(labels, seed) for seed in range(told.draws) for labels in told.labels]
    for labels, seed in tasks:
        for way in WAYS:
            if not lines.having(labels=labels, seed=seed, way=way):
                lines.add(labels=labels, seed=seed, way=way, **_fitted(known, exam, labels, seed, way))


def _read(path: Path) -> Rows:
    table = pq.read_table(path)
    pixels = table["image"].combine_chunks().to_numpy_ndarray().reshape(len(table), -1)
    return pixels.astype(np.float32), np.array(table["label"].to_pylist()).astype(np.int32)


def _fitted(known: Rows, exam: Rows, labels: int, seed: int, way: str) -> dict[str, float]:
    """Learn from a draw of labels in one way, and return how often it is right on the test rows."""
    lesson, scale = _lesson(known, labels, seed)
    started = time.monotonic()
    unfitted = partial(make, TEACHER, seed)
    wrapped = WAYS[way]
    if wrapped is None:
        estimator = unfitted().fit(lesson.labeled, lesson.classes)
    else:
        estimator = wrapped.fit(lesson, unfitted, seed=seed).estimator
    seconds = time.monotonic() - started
    answers = log_probabilities(estimator, exam[0] / scale, CLASSES).argmax(axis=1)
    return {"accuracy": float((answers == exam[1]).mean()), "pool": len(lesson.pool), "seconds": round(seconds, 1)}


def _lesson(known: Rows, labels: int, seed: int) -> tuple[Lesson, np.float32]:
    """Return a draw of labels with some of the other rows, and the scale by which both are divided."""
    pixels, classes = known
    random = np.random.default_rng(seed)
    each = [random.choice(np.flatnonzero(classes == code), labels // CLASSES, replace=False) for code in range(CLASSES)]
    chosen = np.isin(np.arange(len(classes)), np.concatenate(each))
    scale = np.float32(np.sqrt(np.mean(np.square(pixels), dtype=np.float64)))
    lesson = Lesson(pixels[chosen] / scale, classes[chosen], pixels[~chosen], CLASSES).some_of_pool(LARGEST_POOL, seed)
    return Lesson(lesson.labeled, lesson.classes, lesson.pool / scale, CLASSES), scale


def _story(lines: Lines) -> str:
    header = ("way", "fits", "mean", "deviation", "lowest", "highest", "published", "seconds of a fit")
    return markdown(header, [_row(lines, way) for way in WAYS if lines.having(labels=STORY, way=way)])


def _row(lines: Lines, way: str) -> Sequence[object]:
    found = lines.having(labels=STORY, way=way)
    right = [line["accuracy"] for line in found]
    shares = (statistics.mean(right), statistics.pstdev(right), min(right), max(right))
    published = f"{PUBLISHED[way]:.2%}" if way in PUBLISHED else "-"
    seconds = statistics.median(line["seconds"] for line in found)
    return [way, len(right), *(f"{share:.2%}" for share in shares), published, f"{seconds:.0f}"]


def _curve(lines: Lines) -> str:
    """Return the mean accuracy of each way by the number of labels."""
    rows = []
    for labels in sorted({line["labels"] for line in lines.having()}):
        right = [[line["accuracy"] for line in lines.having(labels=labels, way=way)] for way in WAYS]
        means = [f"{statistics.mean(some):.2%} ({len(some)})" if some else "-" for some in right]
        rows.append([f"{labels:,}", *means])
    return markdown(("labels", *(f"{way}, mean (fits)" for way in WAYS)), rows)


if __name__ == "__main__":
    main()

"""Tables, all defaults: letter with 260 and 1,040 labels, adult with 1,000, several draws of labels each.

What is measured is what a user would type: ``train`` (which compares), ``label --threshold 0.95``. Beside it, on the
same test rows, the supervised teacher that the comparison found best. No validation and no calibration rows. Nothing
that trains reads truth or test rows; they score when all is done. ``DIR/letter`` and ``DIR/adult`` hold labeled,
unlabeled, truth and test files::

    export LABELSVC_TEST_DATA=DIR
    uv run python tests/benchmarks/tables.py run WORKSPACES [CASE...] [--draws N] [--budget SECONDS]
    uv run python tests/benchmarks/tables.py table

A run that has its line is not run again. Cases are letter-260, letter-1040 and adult-1000.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from lines import Line, Lines, markdown

from labelsvc import flows
from labelsvc.classical.teachers import is_classical
from labelsvc.flows._contest import FINAL_STEPS

CASES = {  # data, labels, whether classes are drawn alike often, at least, aim
    "letter-1040": ("letter", 1040, True, 0.850, 0.90),
    "letter-260": ("letter", 260, True, 0.690, 0.78),
    "adult-1000": ("adult", 1000, False, 0.846, 0.860),
}
THRESHOLD = 0.95


def main() -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("mode", choices=("run", "table"))
    parser.add_argument("workspaces", type=Path, nargs="?", default=Path("workspaces"))
    parser.add_argument("cases", nargs="*", metavar="CASE")
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--budget", type=float)
    told = parser.parse_args()
    lines = Lines.named("tables")
    if told.mode == "table":
        print(_table(lines))  # noqa: T201
        return
    for draw in range(told.draws):
        for case in told.cases or CASES:
            if not lines.having(case=case, draw=draw, budget=told.budget):
                _run(lines, told.workspaces / f"{case}-{draw}", case, draw=draw, budget=told.budget)


def _run(lines: Lines, folder: Path, case: str, *, draw: int, budget: float | None) -> None:
    name, labels, alike, *_ = CASES[case]
    data = Path(os.environ["LABELSVC_TEST_DATA"]) / name
    labeled, unlabeled, truth = drawn(data, folder, labels=labels, alike=alike, seed=draw)
    place = folder / "workspace"
    roles = flows.IngestConfig(validation=0, calibration=0)
    flows.ingest(place, [labeled, unlabeled], test=[data / "test.parquet"], config=roles)
    lines.add(case=case, draw=draw, budget=budget, **scored(place, truth, budget=budget, seed=draw))


def scored(place: Path, truth: Path, *, budget: float | None, seed: int) -> Line:
    """Train by default, label at .95 and return how right that is, beside the best supervised teacher compared."""
    started = time.monotonic()
    taught = flows.train(place, flows.TrainConfig(budget=budget, seed=seed))
    seconds = time.monotonic() - started
    accuracy = flows.evaluate(place, model=taught.model.model_id).score.accuracy
    rows = flows.label(place, flows.LabelConfig(threshold=THRESHOLD, model=taught.model.model_id)).rows
    score = flows.evaluate(place, truth=truth).score
    supervised = [one for one in taught.candidates if one.method == "supervised" and one.accuracy is not None]
    best = min(supervised, key=lambda one: one.log_loss or 0.0)
    beside = accuracy
    if (best.method, best.network) != (taught.model.method, taught.model.network):
        steps = None if is_classical(best.network) or budget is not None else FINAL_STEPS["supervised"]
        told = flows.TrainConfig("supervised", network=best.network, budget=budget, steps=steps, seed=seed)
        alone = flows.train(place, told)
        beside = flows.evaluate(place, model=alone.model.model_id).score.accuracy
    return {
        "accuracy": accuracy,
        "taken": taught.taken,
        "supervised": best.network,
        "supervised_accuracy": beside,
        "covered": rows.labeled / rows.given,
        "right": score.right / max(score.labeled, 1),
        "seconds": round(seconds, 1),
    }


def drawn(data: Path, folder: Path, *, labels: int, alike: bool | None, seed: int) -> tuple[Path, Path, Path]:
    """Write labeled rows, the other rows without labels, and the truth of these, and return the files.

    ``alike`` draws as many of each class, False as many as its share, None from all rows at random.
    """
    return dealt(_all_rows(data), folder, labels=labels, alike=alike, seed=seed)


def dealt(rows: pa.Table, folder: Path, *, labels: int, alike: bool | None, seed: int) -> tuple[Path, Path, Path]:
    """Do as ``drawn`` with rows that have all their labels, and ids."""
    files = tuple(folder / f"{name}.parquet" for name in ("labeled", "unlabeled", "truth"))
    folder.mkdir(parents=True, exist_ok=True)
    chosen = pa.array(_chosen(rows["label"].to_pylist(), labels, seed, alike=alike))
    parts = (rows, rows.drop_columns(["label"]), rows.select(["id", "label"]))
    for part, wanted, file in zip(parts, (chosen, pc.invert(chosen), pc.invert(chosen)), files, strict=True):
        pq.write_table(part.filter(wanted), file, compression="zstd", row_group_size=5000)
    return files[0], files[1], files[2]


def _all_rows(data: Path) -> pa.Table:
    """Return all rows of the training set with their truth."""
    (hidden,) = (pq.read_table(file) for file in data.glob("unlabeled_*.parquet"))
    (told,) = (pq.read_table(file) for file in data.glob("truth_*.parquet"))
    given = pq.read_table(max(data.glob("labeled_*.parquet"), key=lambda file: int(file.stem.split("_")[1])))
    place = pc.index_in(hidden["id"], told["id"].combine_chunks())
    hidden = hidden.append_column("label", told["label"].take(place))
    return pa.concat_tables([given.select(hidden.column_names).cast(hidden.schema), hidden])


def _chosen(
    names: list[str], labels: int, seed: int, *, alike: bool | None
) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    random = np.random.default_rng(seed)
    if alike is None:
        return np.isin(np.arange(len(names)), random.choice(len(names), labels, replace=False))
    codes = np.unique(names, return_inverse=True)[1]
    counts = np.bincount(codes)
    shares = np.full(len(counts), 1 / len(counts)) if alike else counts / counts.sum()
    chosen = np.zeros(len(names), dtype=bool)
    for code, share in enumerate(shares):
        chosen[random.choice(np.flatnonzero(codes == code), round(labels * share), replace=False)] = True
    return chosen


def _table(lines: Lines) -> str:
    header = (
        "data",
        "draws",
        "accuracy, median",
        "worst",
        "at least / aim",
        "best supervised, median",
        "right at .95",
        "covered",
        "seconds",
    )
    return markdown(header, [_row(case, found) for case in CASES if (found := lines.having(case=case))])


def _row(case: str, found: list[Line]) -> list[object]:
    *_, least, aim = CASES[case]
    accuracies = [line["accuracy"] for line in found]
    return [
        case,
        len(found),
        f"{statistics.median(accuracies):.3f}",
        f"{min(accuracies):.3f}",
        f"{least:.3f} / {aim:.3f}",
        f"{statistics.median(line['supervised_accuracy'] for line in found):.3f}",
        f"{min(line['right'] for line in found):.1%} to {max(line['right'] for line in found):.1%}",
        f"{min(line['covered'] for line in found):.0%} to {max(line['covered'] for line in found):.0%}",
        f"{statistics.median(line['seconds'] for line in found):.0f}",
    ]


if __name__ == "__main__":
    main()

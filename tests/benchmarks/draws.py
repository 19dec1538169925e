"""Other draws of labeled rows: a data set's labels are dealt anew, and the program sees only the files of that draw."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from labelsvc.workspace import written_beside


def draw(data: Path, folder: Path, *, labels: int, seed: int) -> tuple[Path, Path, Path]:
    """Write labeled rows (balanced, drawn by ``seed``), the other rows without labels, and the truth of these.

    ``data`` holds one ``labeled_1000.parquet`` and, of the other rows, ``unlabeled_59000.parquet`` and
    ``truth_59000.parquet``.
    """
    files = tuple(folder / f"{name}.parquet" for name in ("labeled", "unlabeled", "truth"))
    if not all(file.exists() for file in files):
        folder.mkdir(parents=True, exist_ok=True)
        rows = all_rows(data)
        chosen = _balanced(rows["label"].to_pylist(), labels, seed)
        others = pc.invert(chosen)
        parts = (rows, rows.drop_columns(["label"]), rows.select(["id", "label"]))
        for part, wanted, file in zip(parts, (chosen, others, others), files, strict=True):
            with written_beside(file) as partial:
                pq.write_table(part.filter(wanted), partial, compression="zstd", row_group_size=5000)
    return files[0], files[1], files[2]


def all_rows(data: Path) -> pa.Table:
    """Return all 60,000 rows of the training set with their truth: id, image, label."""
    given = pq.read_table(data / "labeled_1000.parquet").select(["id", "image", "label"])
    hidden = pq.read_table(data / "unlabeled_59000.parquet").select(["id", "image"])
    told = pq.read_table(data / "truth_59000.parquet").select(["id", "label"])
    place = pc.index_in(hidden["id"], told["id"].combine_chunks())
    hidden = hidden.append_column("label", told["label"].take(place))
    return pa.concat_tables([given.cast(hidden.schema), hidden])


def _balanced(names: list[str], labels: int, seed: int) -> pa.Array:
    random = np.random.default_rng(seed)
    codes = np.unique(names, return_inverse=True)[1]
    chosen = np.zeros(len(names), dtype=bool)
    for code in range(codes.max() + 1):
        chosen[random.choice(np.flatnonzero(codes == code), labels // (codes.max() + 1), replace=False)] = True
    return pa.array(chosen)

"""Which sign tells rows of a class that no label names: what gets a label, at nine tenths of what could be labeled.

Run: ``uv run python tests/benchmarks/unknown.py WORKSPACES``, after ``teachers.py`` has filled WORKSPACES. For each
sign, the limit is set such that nine tenths of the known pool rows keep their label; a sign is worth what few of the
unknown rows keep theirs. ``gate`` is the program's: its limit from the labeled rows, and a confidence on top that
together keep nine tenths. The truth scores, and decides nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from record import keep_table
from scipy.special import logsumexp

from labelsvc.labeling import unknown
from labelsvc.labeling.calibrate import probabilities

KEPT = 0.9  # of the known rows
CASES: Mapping[str, tuple[str, ...]] = {
    "mnist_without_7-0": ("7",),
    "mnist_without_4_and_7-0": ("4", "7"),
    "mnist_with_clothes-0": ("clothes",),
    "mnist_1000-0": (),
    "fashion_1000-0": (),
}
SEEDS = (0, 1, 2)  # of the reference rows

Values = NDArray[np.float64]


def main() -> None:
    """Measure every case whose teacher is there."""
    workspaces = Path(sys.argv[1])
    rows = []
    for name, strangers in CASES.items():
        if (workspaces / f"{name}.npz").exists():
            rows += _measure(workspaces / f"{name}.npz", strangers)
    keep_table("unknown", rows)


def _measure(path: Path, strangers: tuple[str, ...]) -> list[dict[str, float | str]]:
    with np.load(path) as kept:
        told, truth, logits = kept["told"], kept["truth"], kept["teacher_logits"]
        features = torch.from_numpy(kept["teacher_features"].astype(np.float32))
    is_known, is_unknown = ~told & ~np.isin(truth, strangers), ~told & np.isin(truth, strangers)
    predicted = logits.argmax(axis=1).astype(np.int32)
    confidence = probabilities(logits).max(axis=1)
    rows: list[dict[str, float | str]] = []
    if strangers:
        for sign, values in _signs(logits, features, told, predicted).items():
            limit = np.quantile(values[is_known], 1 - KEPT)
            rows.append(
                {"teacher": path.stem, "sign": sign, "unknown_kept": float((values >= limit)[is_unknown].mean())}
            )
    for seed in SEEDS:
        found, familiarity = _neighbourhood(features, told, predicted, logits.shape[1], seed)
        familiar = familiarity >= found.limit
        below = unknown.Strange(int((~familiar & ~told).sum()), int((~told).sum()))
        held_out = unknown.Strange(int((~familiar & is_known)[_some(is_known, seed)].sum()), 300)
        limit = np.quantile(np.where(familiar, confidence, -1.0)[is_known], 1 - KEPT)
        rows.append(
            {
                "teacher": path.stem,
                "sign": f"gate, references {seed}",
                "unknown_kept": float((familiar & (confidence >= limit))[is_unknown].mean()) if strangers else 0.0,
                "known_lost_by_it": float((~familiar)[is_known].mean()),
                "is_closed": float(unknown.looks_unknown(below, held_out)),
            }
        )
    return rows


def _some(is_known: NDArray[np.bool_], seed: int) -> NDArray[np.int64]:
    """Return 300 known rows: what validation and calibration would hold."""
    return np.random.default_rng(seed).permutation(np.flatnonzero(is_known))[:300]


def _neighbourhood(
    features: torch.Tensor, told: NDArray[np.bool_], predicted: NDArray[np.int32], classes: int, seed: int
) -> tuple[unknown.Neighbourhood, Values]:
    some = np.random.default_rng(seed).permutation(np.flatnonzero(~told))[: unknown.REFERENCES]
    found = unknown.learn(features[told], predicted[told], features[some], classes)
    blocks = range(0, len(features), unknown.BLOCK)
    familiarity = [
        found.familiarity(features[start : start + unknown.BLOCK], predicted[start : start + unknown.BLOCK])
        for start in blocks
    ]
    return found, np.concatenate(familiarity)


def _signs(
    logits: Values, features: torch.Tensor, told: NDArray[np.bool_], predicted: NDArray[np.int32]
) -> Mapping[str, Values]:
    """Return the usual signs of familiarity: the higher, the more familiar."""
    unit = torch.nn.functional.normalize(features, dim=1)
    nearest = torch.cat([torch.cdist(block, unit[told]).topk(5, largest=False).values for block in unit.split(4096)])
    return {
        "confidence": probabilities(logits).max(axis=1),
        "energy": logsumexp(logits, axis=1),
        "distance to the 1st labeled": -nearest[:, 0].numpy().astype(np.float64),
        "distance to the 5th labeled": -nearest[:, 4].numpy().astype(np.float64),
        "Mahalanobis distance": _mahalanobis(features, told, predicted),
    }


def _mahalanobis(features: torch.Tensor, told: NDArray[np.bool_], predicted: NDArray[np.int32]) -> Values:
    """Return −the least distance to a class's mean under the labeled rows' shared covariance (Lee et al. 2018)."""
    directions = torch.linalg.svd(features[::15] - features.mean(dim=0), full_matrices=False).Vh[:64].T
    placed = ((features - features.mean(dim=0)) @ directions).numpy().astype(np.float64)
    codes = predicted[told]
    means = {code: placed[told][codes == code].mean(axis=0) for code in np.unique(codes)}
    spread = np.cov((placed[told] - np.array([means[code] for code in codes])).T)
    inverse = np.linalg.inv(spread + 1e-3 * np.trace(spread) / len(spread) * np.eye(len(spread)))
    distances = [np.einsum("ij,jk,ik->i", placed - mean, inverse, placed - mean) for mean in means.values()]
    return -np.min(distances, axis=0)


if __name__ == "__main__":
    main()

"""How often certificates of real teachers are broken, and what they cover beside an oracle.

Run: ``uv run python tests/benchmarks/certificates.py WORKSPACES [DRAWS]``, after ``teachers.py`` has filled WORKSPACES.
For each draw, the rows that a teacher was not told are dealt anew into validation, calibration and pool (train rows
stay); what the program does with a model's words is done, and the truth of the pool says whether the certificate
holds. The oracle labels as much as it can with the truth in hand. A refusal covers nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from record import keep_table

from labelsvc.labeling import certify, unknown
from labelsvc.labeling.bounds import allowed_wrong, look_level
from labelsvc.labeling.calibrate import fit_temperature, probabilities
from labelsvc.labeling.resemblance import acceptance_differs, classes_differ

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Case:
    """A teacher's file, the asked precision, and how many rows are held out."""

    teacher: str
    precision: float
    validation: int
    calibration: int
    imbalance: float = 1.0  # how many times as frequent the pool's commonest class is as its rarest
    strangers: tuple[str, ...] = ()  # classes of the pool that no label names


CASES = [
    *(Case(f"mnist_1000-{seed}", 0.95, 100, 200) for seed in (0, 1, 2)),
    *(Case(f"fashion_1000-{seed}", 0.95, 100, 200) for seed in (0, 1, 2)),
    *(Case(f"{name}_2000-{seed}", 0.98, 200, 600) for name in ("mnist", "fashion") for seed in (0, 1)),
    *(Case(f"{name}_1000-{seed}", 0.95, 100, 200, 10.0) for name in ("mnist", "fashion") for seed in (0, 1)),
    *(Case(f"fashion_1000-{seed}", 0.95, 100, 200, times) for times in (2.0, 4.0) for seed in (0, 1)),
    Case("mnist_without_7-0", 0.95, 90, 180, strangers=("7",)),
    Case("mnist_without_4_and_7-0", 0.95, 80, 160, strangers=("4", "7")),
    Case("mnist_with_clothes-0", 0.95, 100, 200, strangers=("clothes",)),
]


@dataclass(frozen=True)
class Teacher:
    """What a teacher says of the rows that it was not told."""

    logits: NDArray[np.float64]
    truth: NDArray[np.int32]  # −1: of no known class
    is_strange: NDArray[np.bool_]  # below the limit of the gate


@dataclass(frozen=True)
class Outcome:
    """What became of one draw."""

    coverage: float
    oracle: float
    is_valid: bool
    is_broken: bool
    is_void: bool
    naive_misses: bool


def main() -> None:
    """Measure every case whose teacher is there."""
    workspaces, draws = Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 100
    known = [case for case in CASES if (workspaces / f"{case.teacher}.npz").exists()]
    rows = []
    for case in known:
        teacher = _teacher(workspaces / f"{case.teacher}.npz", case.strangers)
        rows.append(_told(case, [_outcome(case, teacher, seed) for seed in range(draws)]))
        print(rows[-1], flush=True)  # noqa: T201
    keep_table("certificates", rows)


def _teacher(path: Path, strangers: tuple[str, ...]) -> Teacher:
    with np.load(path) as kept:
        told, logits = kept["told"], kept["teacher_logits"]
        features = torch.from_numpy(kept["teacher_features"].astype(np.float32))
        codes = {name: code for code, name in enumerate(kept["classes"]) if name not in strangers}
        truth = np.array([codes.get(name, -1) for name in kept["truth"]], dtype=np.int32)
    predicted = logits.argmax(axis=1).astype(np.int32)
    some = np.random.default_rng(0).permutation(np.flatnonzero(~told))[: unknown.REFERENCES]
    found = unknown.learn(features[told], predicted[told], features[some], logits.shape[1])
    familiarity = [
        found.familiarity(block, said)
        for block, said in zip(
            features.split(4096), np.split(predicted, range(4096, len(predicted), 4096)), strict=True
        )
    ]
    return Teacher(logits[~told], truth[~told], (np.concatenate(familiarity) < found.limit)[~told])


def _outcome(case: Case, teacher: Teacher, seed: int) -> Outcome:
    """Deal the rows out, and do what the program does."""
    exam, hidden, pool = _dealt(case, teacher, np.random.default_rng([seed, case.calibration]))
    temperature = fit_temperature(teacher.logits[exam], teacher.truth[exam])
    scores = probabilities(teacher.logits, temperature)
    confidence, said = scores.max(axis=1), scores.argmax(axis=1)
    wrong = said != teacher.truth
    kept_back = _gated(teacher, np.concatenate([exam, hidden]), pool)
    confidence = np.where(kept_back, -np.inf, confidence)
    level = look_level(1, 1 - CONFIDENCE)
    everything = confidence[np.concatenate([pool, hidden])]
    candidates = certify.thresholds(everything[np.isfinite(everything)])
    seen, checked = certify.units(confidence[pool]), certify.units(confidence[hidden], wrong[hidden])
    ordered = certify.descending(candidates, seen, checked.accepted, precision=case.precision, level=level)
    chosen = certify.fixed_sequence(ordered, seen, checked, precision=case.precision, level=level).chosen
    familiar = [rows[~kept_back[rows]] for rows in (hidden, pool)]
    counts = [np.bincount(said[rows], minlength=scores.shape[1]) for rows in familiar]
    is_void = classes_differ(*counts) is not None
    if chosen is not None and not is_void:
        rows = (len(familiar[0]), len(familiar[1]))
        is_void = acceptance_differs((chosen.checked, chosen.pool), rows) is not None
    truth = certify.units(scores.max(axis=1)[pool], wrong[pool])
    labeled = certify.units(confidence[pool], wrong[pool])
    is_valid = chosen is not None and not is_void
    naive = certify.suggested(candidates, checked, case.precision)
    return Outcome(
        coverage=chosen.pool / len(pool) if chosen is not None and is_valid else 0.0,
        oracle=_oracle(truth, case.precision),
        is_valid=is_valid,
        is_broken=chosen is not None and _misses(labeled, chosen.threshold, case.precision),
        is_void=is_void,
        naive_misses=naive is not None and _misses(labeled, naive, case.precision),
    )


def _gated(teacher: Teacher, held_out: NDArray[np.int64], pool: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return which rows the gate keeps back: the strange ones, where more of the pool is strange than chance allows."""
    sides = [unknown.Strange(int(teacher.is_strange[rows].sum()), len(rows)) for rows in (pool, held_out)]
    return teacher.is_strange & unknown.looks_unknown(sides[0], sides[1])


def _dealt(
    case: Case, teacher: Teacher, generator: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    known = generator.permutation(np.flatnonzero(teacher.truth >= 0))
    exam, hidden, pool = np.split(known, [case.validation, case.validation + case.calibration])
    pool = np.concatenate([pool, np.flatnonzero(teacher.truth < 0)])
    if case.imbalance > 1:  # another order of frequency for every draw
        classes = int(teacher.truth.max()) + 1
        kept = generator.permutation(case.imbalance ** -np.linspace(0, 1, classes))
        pool = pool[generator.random(len(pool)) < kept[teacher.truth[pool]]]
    return exam, hidden, pool


def _misses(truth: certify.Units, threshold: float, precision: float) -> bool:
    accepted, wrong = truth.count(threshold)
    return wrong > allowed_wrong(precision, accepted)


def _oracle(truth: certify.Units, precision: float) -> float:
    """Return the share of the pool above the lowest threshold that keeps the precision, with the truth in hand."""
    order = np.argsort(-truth.accepted, kind="stable")
    wrong = np.isfinite(truth.wrong[order]).cumsum()
    good = np.flatnonzero(wrong <= (1 - precision) * np.arange(1, len(order) + 1) + 1e-9)
    return (int(good[-1]) + 1) / len(order) if len(good) else 0.0


def _told(case: Case, found: list[Outcome]) -> Mapping[str, float | str]:
    def mean(name: str) -> float:
        return float(np.mean([getattr(one, name) for one in found]))

    broken = float(np.mean([one.is_valid and one.is_broken for one in found]))
    return {
        "teacher": case.teacher,
        "precision": case.precision,
        "imbalance": case.imbalance,
        "strangers": " ".join(case.strangers) or "none",
        "draws": len(found),
        "broken": broken,
        "void": mean("is_void"),
        "refused": 1 - mean("is_valid"),
        "coverage": round(mean("coverage"), 4),
        "oracle": round(mean("oracle"), 4),
        "of_the_oracle": round(mean("coverage") / max(mean("oracle"), 1e-9), 4),
        "usual_rule_misses": mean("naive_misses"),
    }


if __name__ == "__main__":
    main()

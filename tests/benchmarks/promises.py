"""How often a promise is broken in made populations, and how often the usual rule misses, 2,000 runs of each.

Run: ``uv run python tests/benchmarks/promises.py [RUNS]``. The populations are those of tests/labeling/test_certify.py.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from record import keep_table

sys.path.insert(0, str(Path(__file__).parents[1]))
from labeling.test_certify import NOTHING, WORLDS, certified, drawn, naive


def main() -> None:
    """Measure every population."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    keep_table("promises", [_measure(name, runs) for name in WORLDS])


def _measure(name: str, runs: int) -> dict[str, float | str]:
    populations = [drawn(WORLDS[name], seed) for seed in range(runs)]
    chosen = [certified(found) for found in populations]
    covered = [
        found.pool.count(NOTHING if threshold is None else threshold)[0] / max(len(found.pool), 1)
        for found, threshold in zip(populations, chosen, strict=True)
    ]
    return {
        "population": name,
        "runs": runs,
        "misses": float(np.mean([found.misses(one) for found, one in zip(populations, chosen, strict=True)])),
        "usual_rule_misses": float(np.mean([found.misses(naive(found)) for found in populations])),
        "refused": float(np.mean([one is None for one in chosen])),
        "coverage": float(np.mean(covered)),
    }


if __name__ == "__main__":
    main()

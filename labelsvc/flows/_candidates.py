"""What was compared before a teacher of tables or vectors was taken, how each did, and why one is taken."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from labelsvc.flows._methods import ROWS, SUPERVISED
from labelsvc.labeling.calibrate import SURE
from labelsvc.workspace import written_beside

KEPT = "comparison.json"  # of a run


@dataclass(frozen=True)
class Candidate:
    """How a way of learning did on labels that it was not shown; ``reason`` says why it has no figure."""

    method: str
    network: str
    over: str = ""  # of labels that spread: where neighbours are near
    rounds: int = 1  # that they spread
    accuracy: float | None = None
    log_loss: float | None = None  # at its own temperature
    temperature: float = 1.0
    sure: int = 0  # of the held-out rows, at ``SURE`` and more under the temperature that its model takes
    sure_right: int = 0  # of these
    seconds: float = 0.0
    reason: str = ""

    @property
    def name(self) -> str:
        """What it is called."""
        if self.over:
            places = self.over if self.over == ROWS else f"{self.network}, {self.over}"
            return f"{self.method} over {places}{f', {self.rounds} rounds' if self.rounds > 1 else ''}"
        return self.network if self.method == SUPERVISED else f"{self.method} of {self.network}"


@dataclass(frozen=True)
class Contest:
    """All candidates and the one that is taken, and how many labeled rows decided."""

    candidates: tuple[Candidate, ...]
    chosen: Candidate
    rows: int
    reason: str

    @property
    def told(self) -> str:
        """What decided, and what the confidence of the chosen one rests on."""
        if not self.candidates:
            return self.reason
        said = f"compared on {self.rows:,} labeled rows in folds: {self.reason}"
        if self.chosen.accuracy is None:
            return said
        sure = (
            f"{self.chosen.sure:,} are sure (a confidence of {SURE} or more), {self.chosen.sure_right:,} of them right"
        )
        return f"{said}. Of these rows {sure}"

    def having(self, chosen: Candidate) -> Contest:
        """Return the contest with more known of the chosen one."""
        candidates = tuple(chosen if one == self.chosen else one for one in self.candidates)
        return replace(self, candidates=candidates, chosen=chosen)

    @classmethod
    def read(cls, path: Path) -> Contest:
        """Return the contest that a run kept."""
        told = json.loads(path.read_text(encoding="utf-8"))
        candidates = tuple(Candidate(**one) for one in told["candidates"])
        return cls(candidates, Candidate(**told["chosen"]), int(told["rows"]), str(told["reason"]))

    def write(self, path: Path) -> None:
        """Keep the contest with a run."""
        with written_beside(path) as unfinished:
            unfinished.write_text(json.dumps(asdict(self), indent=2), encoding="utf-8")

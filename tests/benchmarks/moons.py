"""Two moons: how many labeled points each method needs, and where it draws the line with six.

1,000 points of scikit-learn's ``make_moons`` with noise 0.1, of which 2 to 100 are labeled, both moons alike; five
draws of points, labels and first weights; a small perceptron; right or wrong on 2,000 fresh points. A weak view jitters
a point by 0.05, a strong one by 0.2. Each method has its defaults, but for small batches and for what its paper sets
by data set: VAT's ε, which is a length, and MixMatch's λ_U; reduced-mpl holds nothing out. A method that learns from a
stored teacher gets the words of one that learnt by pseudo-label.

Run: ``uv run python tests/benchmarks/moons.py run [METHOD...]``, then ``table`` and ``pictures`` instead of ``run``.
What has a line in ``results/moons.jsonl`` is not run again; ``--steps N --lines FILE`` is a rehearsal.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from lines import Lines, markdown
from numpy.typing import NDArray
from sklearn.datasets import make_moons
from sklearn.semi_supervised import LabelSpreading
from torch import Tensor, nn

from labelsvc.methods import METHODS, make
from labelsvc.training.lesson import Lesson
from labelsvc.training.loop import Plan, begin, run
from labelsvc.training.rows import mixed
from labelsvc.views import Views

POINTS, FRESH, NOISE, SEEDS, STEPS = 1_000, 2_000, 0.1, 5, 400
LABELS = (2, 4, 6, 10, 20, 30, 50, 100)
FEW = 6  # with which the tutorial's method fails
WEAK, STRONG = 0.05, 0.2  # deviations of the jitter
WIDTH = 64
COLUMNS = 4  # of a picture's panels
SETTINGS = {"labeled_batch": "32", "pool_batch": "96"}
OWN_SETTINGS: Mapping[str, Mapping[str, str]] = {
    "vat": {"eps": "0.2"},
    "mixmatch": {"lambda_u": "10"},
    "reduced-mpl": {"holdout": "0"},  # of two points none can be spared
}
TEACHER = "pseudo-label"  # whose words a method gets that learns from a stored teacher
SPREADING = "LabelSpreading (scikit-learn)"  # a neighbour that is no network: over the graph of the 10 nearest points
CPU = torch.device("cpu")
PICTURES = Path(__file__).parents[2] / "docs" / "pictures"

Answer = Callable[[Tensor], NDArray[np.int64]]  # points to classes


@dataclass(frozen=True)
class Points:
    """Points as the loop takes rows."""

    places: Float[Tensor, "points 2"]

    def __len__(self) -> int:
        return len(self.places)

    def take(self, index: Int[Tensor, " batch"]) -> Float[Tensor, "batch 2"]:
        """Return the points at ``index``."""
        return self.places[index]


class Perceptron(nn.Module):
    """Two normalised hidden layers between a point and the logits of its moon."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(*_layer(2), *_layer(WIDTH), nn.Linear(WIDTH, 2))

    def forward(self, points: Float[Tensor, "batch 2"]) -> Float[Tensor, "batch 2"]:
        """Return logits."""
        logits: Tensor = self.body(points)
        return logits.float()


def _layer(inputs: int) -> Sequence[nn.Module]:
    return nn.Linear(inputs, WIDTH), nn.BatchNorm1d(WIDTH), nn.ReLU()


def main() -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("mode", choices=["run", "table", "pictures"])
    parser.add_argument("methods", nargs="*", metavar="METHOD", default=[*METHODS, SPREADING])
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--lines", type=Path, default=Lines.named("moons").path)
    told = parser.parse_args()
    torch.set_num_threads(1)  # so small a network gains nothing from more
    lines = Lines(told.lines)
    if told.mode == "run":
        _measure(lines, told.methods, told.steps)
    elif told.mode == "table":
        print(_table(lines, told.steps))  # noqa: T201
    else:
        _draw_accuracies(_found(lines, told.steps))
        _draw_regions(told.methods, told.steps)


def _measure(lines: Lines, methods: Sequence[str], steps: int) -> None:
    """Add a line for each method and count of labels that has none."""
    for method in methods:
        for labels in LABELS:
            key = {"method": method, "labels": labels, "steps": steps}
            if not lines.having(**key):
                lines.add(**key, accuracies=[_accuracy(method, labels, seed, steps) for seed in range(SEEDS)])


def _accuracy(method: str, labels: int, seed: int, steps: int) -> float:
    points, truth = _moons(FRESH, 1_000 + seed)
    answers = _taught(method, _lesson(labels, seed), seed, steps)(points)
    return float((answers == truth.numpy()).mean())


def _moons(count: int, seed: int) -> tuple[Float[Tensor, "points 2"], Int[Tensor, " points"]]:
    places, classes = make_moons(count, noise=NOISE, random_state=seed)
    return torch.from_numpy(places.astype(np.float32)), torch.from_numpy(classes)


def _lesson(labels: int, seed: int) -> Lesson:
    """Return the points of a seed, so many of which are labeled, as many of each moon."""
    places, classes = _moons(POINTS, seed)
    random = np.random.default_rng(seed)
    told = np.concatenate(
        [random.permutation(np.flatnonzero(classes.numpy() == moon))[: labels // 2] for moon in (0, 1)]
    )
    told = np.resize(told, max(labels, int(SETTINGS["labeled_batch"])))  # a batch at least, so that an epoch is a step
    labeled, pool = Points(places[told]), Points(places)
    views = Views(partial(_jittered, deviation=WEAK), partial(_jittered, deviation=STRONG))
    return Lesson(labeled, classes[told], pool, views, torch.full((2,), 0.5))  # type: ignore[arg-type]


def _jittered(points: Tensor, generator: torch.Generator, *, deviation: float) -> Tensor:
    return points + deviation * torch.randn(points.shape, generator=generator)


def _taught(method: str, lesson: Lesson, seed: int, steps: int) -> Answer:
    """Return what a method makes of a lesson."""
    if method == SPREADING:
        return _spread(lesson)
    made = make(method, SETTINGS | dict(OWN_SETTINGS.get(method, {})))
    if made.needs_teacher:
        words = _network(TEACHER, lesson, seed, steps)(lesson.pool.places)
        lesson = replace(lesson, targets=words.softmax(dim=1))
    network = _network(method, lesson, seed, steps)
    return lambda points: network(points).argmax(dim=1).numpy()


def _network(method: str, lesson: Lesson, seed: int, steps: int) -> nn.Module:
    """Return the averaged network at the end of a training."""
    made = make(method, SETTINGS | dict(OWN_SETTINGS.get(method, {})))
    plan = Plan(made, steps, seed, CPU)
    state = begin(partial(_fresh, seed), lesson, plan)  # type: ignore[arg-type]
    for _ in run(state, lesson, plan):
        pass
    return state.average.network


def _fresh(seed: int, number: int) -> Perceptron:
    with torch.random.fork_rng():
        torch.manual_seed(mixed(seed, number))
        return Perceptron()


def _spread(lesson: Lesson) -> Answer:
    """Return what label spreading says; points without a label are -1 to scikit-learn."""
    places = torch.cat([lesson.labeled.places, lesson.pool.places])
    classes = torch.cat([lesson.classes, torch.full((len(lesson.pool),), -1)])
    spread = LabelSpreading(kernel="knn", n_neighbors=10, alpha=0.9, max_iter=1000).fit(places.numpy(), classes.numpy())
    return lambda points: spread.predict(points.numpy())


def _found(lines: Lines, steps: int) -> Mapping[str, Mapping[int, Sequence[float]]]:
    """Return the accuracies of each method by count of labels."""
    found: dict[str, dict[int, Sequence[float]]] = {}
    for line in lines.having(steps=steps):
        found.setdefault(line["method"], {})[line["labels"]] = line["accuracies"]
    order = [*METHODS, SPREADING]
    return {name: found[name] for name in sorted(found, key=order.index)}


def _table(lines: Lines, steps: int) -> str:
    """Return the median of each method and count of labels, in percent, with the worst in brackets."""
    rows = [
        (f"`{name}`" if name in METHODS else name, *(_cell(by_count.get(labels)) for labels in LABELS))
        for name, by_count in _found(lines, steps).items()
    ]
    return markdown(("method", *map(str, LABELS)), rows)


def _cell(accuracies: Sequence[float] | None) -> str:
    if accuracies is None:
        return "-"
    return f"{100 * statistics.median(accuracies):.1f} ({100 * min(accuracies):.0f})"


def _panels(count: int) -> tuple[Any, Sequence[Any]]:
    """Return a figure with so many panels, and no more."""
    import matplotlib as mpl  # a picture is drawn now and then, and the rest needs none

    mpl.use("agg")
    mpl.rcParams |= {"font.size": 8, "svg.fonttype": "none", "svg.hashsalt": "moons"}  # the same picture, the same file
    from matplotlib import pyplot as plt

    rows = -(-count // COLUMNS)
    figure, grid = plt.subplots(
        rows, COLUMNS, figsize=(2.2 * COLUMNS, 1.7 * rows), sharex=True, sharey=True, layout="constrained"
    )
    for spare in grid.flat[count:]:
        spare.set_visible(False)
    return figure, list(grid.flat[:count])


def _save(figure: Any, name: str, **more: Any) -> None:  # noqa: ANN401 - matplotlib's
    PICTURES.mkdir(parents=True, exist_ok=True)
    figure.savefig(PICTURES / name, **more)


def _draw_accuracies(found: Mapping[str, Mapping[int, Sequence[float]]]) -> None:
    """Draw accuracy over labeled points: each draw a point, their median a line, beside the supervised one in grey."""
    figure, panels = _panels(len(found))
    baseline = found.get("supervised", {})
    for panel, (name, by_count) in zip(panels, found.items(), strict=True):
        for line, colour in ((baseline, "0.7"), (by_count, "C0")):
            panel.plot(list(line), [statistics.median(accuracies) for accuracies in line.values()], color=colour, lw=1)
        spots = [(labels, accuracy) for labels, accuracies in by_count.items() for accuracy in accuracies]
        panel.scatter(*zip(*spots, strict=True), s=4, color="C0", alpha=0.5, linewidths=0)
        panel.set_title(name, fontsize=8)
        panel.set_xscale("log")
        panel.set_xticks(LABELS, map(str, LABELS), fontsize=6)
        panel.minorticks_off()
        panel.set_ylim(0.45, 1.01)
    figure.supxlabel("labeled points, of 1,000", fontsize=8)
    figure.supylabel("accuracy", fontsize=8)
    _save(figure, "moons-accuracy.svg", metadata={"Date": None})


def _draw_regions(methods: Sequence[str], steps: int) -> None:
    """Draw where each method puts the line between the moons with few labels, on the first draw."""
    lesson, (places, truth) = _lesson(FEW, 0), _moons(POINTS, 0)
    figure, panels = _panels(len(methods))
    edges = (-1.5, 2.5, -1.1, 1.6)
    across, up = np.meshgrid(np.linspace(*edges[:2], 120), np.linspace(*edges[2:], 80))
    plane = torch.from_numpy(np.stack([across, up], axis=-1).reshape(-1, 2).astype(np.float32))
    for panel, name in zip(panels, methods, strict=True):
        answers = _taught(name, lesson, 0, steps)
        region = answers(plane).reshape(across.shape)
        panel.imshow(region, extent=edges, origin="lower", cmap="coolwarm", alpha=0.35, aspect="auto")
        panel.scatter(*places[::3].T, c=truth[::3], cmap="coolwarm", s=1, linewidths=0)
        panel.scatter(*lesson.labeled.places.T, c=lesson.classes, cmap="coolwarm", s=22, edgecolors="black", lw=0.8)
        panel.set_title(f"{name}, {(answers(places) == truth.numpy()).mean():.0%}", fontsize=8)
        panel.set_xticks([])
        panel.set_yticks([])
    _save(figure, "moons-regions.png", dpi=110)


if __name__ == "__main__":
    main()

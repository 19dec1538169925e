"""Networks and batches small enough to enumerate: two pool rows and three classes have nine possible labelings.

Networks are tiny, in float64, and stepped by plain gradient descent. What a teacher learns from the feedback is read
off its weights: the difference between a whole step and the same step with ``meta_weight=0``.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Mapping
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional

from labelsvc.methods.contract import Batch, Learner, Losses
from labelsvc.methods.feedback import sample
from labelsvc.methods.meta_pseudo_labels import MetaPseudoLabels
from labelsvc.methods.trial import Baseline
from labelsvc.optim.optimiser import Optimiser
from labelsvc.optim.recipe import Recipe

from .flat import moment

CLASSES = 3
RATE = 0.4
SMOOTHING = 0.15
DROPOUT = 3  # the seed of torch's own generator in every step
PLAIN = Recipe(learning_rate=RATE, momentum=0, nesterov=False, weight_decay=0, schedule="constant")


def simple(seed: int) -> nn.Sequential:
    """Return a network of one hidden layer, which says of a row what depends on no other."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(nn.Flatten(), nn.Linear(6, 4), nn.Tanh(), nn.Linear(4, CLASSES)).double()


def noisy(seed: int) -> nn.Sequential:
    """Return a network with convolution, pooling, batch statistics and dropout."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        layers = [nn.Conv2d(1, 5, 2), nn.MaxPool2d((1, 2)), nn.BatchNorm2d(5), nn.ReLU(inplace=True), nn.Flatten()]
        return nn.Sequential(*layers, nn.Dropout(0.3), nn.Linear(5, CLASSES)).double()


def given(seed: int = 0, *, labeled: int = 4, pool: int = 2) -> Batch:
    """Return a batch of noise with held-out rows."""
    generator = torch.Generator().manual_seed(seed)

    def pictures(rows: int) -> Tensor:
        return torch.randn(rows, 1, 2, 3, generator=generator, dtype=torch.float64)

    def classes(rows: int) -> Tensor:
        return torch.randint(CLASSES, (rows,), generator=generator)

    views = (pictures(pool), pictures(pool))
    held_out = (pictures(5), classes(5))
    return Batch(pictures(labeled), classes(labeled), views, torch.arange(pool), held_out=held_out)


def judges(method: MetaPseudoLabels, batch: Batch) -> tuple[Tensor, Tensor]:
    """Return the rows that the student is judged by."""
    if method.form == "2021":
        return batch.labeled, batch.classes
    assert batch.held_out is not None
    return batch.held_out


def stepped(
    method: MetaPseudoLabels,
    teacher: nn.Module,
    student: nn.Module,
    batch: Batch,
    *,
    seed: int = 0,
    progress: float = 0.5,
    fall: float = 0.0,
    student_rate: float = RATE,
) -> tuple[nn.Module, nn.Module, Losses, Baseline]:
    """Return copies of both networks after one step, its losses and the memory; the originals stay as they were."""
    learners = [
        Learner(network, Optimiser(network, replace(PLAIN, learning_rate=rate)))
        for network, rate in ((copy.deepcopy(student), student_rate), (copy.deepcopy(teacher), RATE))
    ]
    memory = Baseline(torch.tensor(fall, dtype=torch.float64))
    if method.form == "2021":
        batch = replace(batch, held_out=None)
    with torch.random.fork_rng():
        torch.manual_seed(DROPOUT)
        losses, memory = method.step(learners[0], learners[1], memory, batch, moment(progress, seed=seed))
    return learners[1].network, learners[0].network, losses, memory


def flat(tensors: Mapping[str, Tensor] | nn.Module) -> Tensor:
    """Return all of a network's weights, or a gradient in them, in one row."""
    found = dict(tensors.named_parameters()) if isinstance(tensors, nn.Module) else tensors
    return torch.cat([tensor.detach().flatten() for tensor in found.values()])


def learnt_from_feedback(
    method: MetaPseudoLabels,
    teacher: nn.Module,
    student: nn.Module,
    batch: Batch,
    *,
    seed: int = 0,
    fall: float = 0.0,
) -> Tensor:
    """Return the gradient that the teacher descended beside its own loss's, read off its weights after one step."""
    whole, without = (
        stepped(replace(method, meta_weight=weight), teacher, student, batch, seed=seed, fall=fall)[0]
        for weight in (1.0, 0.0)
    )
    return (flat(without) - flat(whole)) / RATE


def log_q(teacher: nn.Module, batch: Batch) -> Tensor:
    """Return what the teacher says of the weak view, as logarithms."""
    return teacher(batch.pool[0]).log_softmax(dim=1)


def smooth(targets: Tensor) -> Tensor:
    """Return smoothed targets."""
    return (1 - SMOOTHING) * targets + SMOOTHING / CLASSES


def loss_after(method: MetaPseudoLabels, student: nn.Module, batch: Batch, targets: Tensor) -> Tensor:
    """Return L(θ') after a plain step on ``targets``, differentiable in them; dropout by the global generator."""
    weights = dict(student.named_parameters())
    buffers = {name: buffer.clone() for name, buffer in student.named_buffers()}
    logits = functional_call(student.train(), {**weights, **buffers}, (batch.pool[1],))
    pool = -(smooth(targets) * logits.log_softmax(dim=1)).sum(dim=1).mean()
    gradients = torch.autograd.grad(pool, list(weights.values()), create_graph=True)
    after = {name: weight - RATE * slope for (name, weight), slope in zip(weights.items(), gradients, strict=True)}
    pictures, classes = judges(method, batch)
    logits = functional_call(copy.deepcopy(student).eval(), {**after, **buffers}, (pictures,))
    return -logits.log_softmax(dim=1)[torch.arange(len(classes)), classes].mean()


def gradient(total: Tensor, teacher: nn.Module) -> Tensor:
    """Return a gradient in the teacher's weights."""
    return torch.cat([part.flatten() for part in torch.autograd.grad(total, list(teacher.parameters()))])


def enumerated(method: MetaPseudoLabels, teacher: nn.Module, student: nn.Module, batch: Batch) -> Tensor:
    """Return ∇ Σ over all labelings ŷ of q(ŷ) · L(θ'(ŷ)), by automatic differentiation of the whole sum."""
    said, total = log_q(teacher, batch), torch.zeros((), dtype=torch.float64)
    rows = torch.arange(len(said))
    for labels in map(torch.tensor, itertools.product(range(CLASSES), repeat=len(said))):
        one_hot = functional.one_hot(labels, CLASSES).double()
        total = total + said[rows, labels].sum().exp() * loss_after(method, student, batch, one_hot).detach()
    return gradient(total, teacher)


def apart(found: Tensor, expected: Tensor) -> float:
    """Return the relative error."""
    return float((found - expected).norm() / expected.norm())


def averaged(teacher: nn.Module, batch: Batch, of: Callable[[int], Tensor]) -> Tensor:
    """Return Σ q(ŷ) · of(a seed that draws ŷ): seeds are tried until every labeling was drawn."""
    said = log_q(teacher, batch).detach()
    seeds: dict[tuple[int, ...], int] = {}
    for seed in range(2000):
        seeds.setdefault(tuple(sample(said, moment(seed=seed).generator).tolist()), seed)
    assert len(seeds) == CLASSES ** len(said), "some labeling was never drawn"
    rows = torch.arange(len(said))
    parts = [said[rows, torch.tensor(labels)].sum().exp() * of(seed) for labels, seed in seeds.items()]
    return torch.stack(parts).sum(dim=0)

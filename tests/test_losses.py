"""Losses, by their own mathematics."""

from __future__ import annotations

import pytest
import torch
from jaxtyping import TypeCheckError
from torch import Tensor
from torch.autograd import gradcheck
from torch.nn.functional import one_hot

from labelsvc.losses import cross_entropy, largest_share, soft_cross_entropy, weighted_cross_entropy


@pytest.fixture(params=range(3))
def answers(request: pytest.FixtureRequest) -> tuple[Tensor, Tensor]:
    """Give float64 logits [7, 4] that want a gradient, and a class for each row."""
    generator = torch.Generator().manual_seed(request.param)
    logits = 3 * torch.randn(7, 4, generator=generator, dtype=torch.float64)
    return logits.requires_grad_(), torch.randint(4, (7,), generator=generator)


def test_soft_on_one_hot_is_hard(answers: tuple[Tensor, Tensor]) -> None:
    """Soft cross-entropy on one-hot targets is cross-entropy."""
    logits, classes = answers
    soft = soft_cross_entropy(logits, one_hot(classes, 4).double())
    torch.testing.assert_close(soft, cross_entropy(logits, classes))


def test_cross_entropy_is_the_mean_surprise(answers: tuple[Tensor, Tensor]) -> None:
    """Cross-entropy is the mean over rows of −log p of the row's class."""
    logits, classes = answers
    likelihood = torch.stack([row.exp()[code] / row.exp().sum() for row, code in zip(logits, classes, strict=True)])
    torch.testing.assert_close(cross_entropy(logits, classes), -likelihood.log().mean())


@pytest.mark.parametrize("smoothing", [0.0, 0.05, 0.5])
def test_smoothing_mixes_in_the_uniform_target(answers: tuple[Tensor, Tensor], smoothing: float) -> None:
    """With smoothing ε the loss is soft cross-entropy on (1 − ε) one-hot + ε / C."""
    logits, classes = answers
    targets = (1 - smoothing) * one_hot(classes, 4).double() + smoothing / 4
    smoothed = cross_entropy(logits, classes, smoothing=smoothing)
    torch.testing.assert_close(smoothed, soft_cross_entropy(logits, targets))


def test_weights_of_one_change_nothing(answers: tuple[Tensor, Tensor]) -> None:
    """Where every weight is one, the weighted loss is cross-entropy."""
    logits, classes = answers
    weights = torch.ones(7, dtype=torch.float64)
    torch.testing.assert_close(weighted_cross_entropy(logits, classes, weights), cross_entropy(logits, classes))


def test_rows_of_weight_zero_count_in_the_mean(answers: tuple[Tensor, Tensor]) -> None:
    """The weighted loss averages over all rows: seven more of weight zero halve it."""
    logits, classes = answers
    weights = torch.linspace(0.1, 1, 7, dtype=torch.float64)
    doubled = weighted_cross_entropy(
        torch.cat([logits, logits.flip(0)]),
        torch.cat([classes, classes]),
        torch.cat([weights, torch.zeros_like(weights)]),
    )
    torch.testing.assert_close(doubled, weighted_cross_entropy(logits, classes, weights) / 2)


def test_rows_of_weight_zero_teach_nothing(answers: tuple[Tensor, Tensor]) -> None:
    """The gradient of a row is zero exactly where its weight is."""
    logits, classes = answers
    weights = torch.tensor([1.0, 0.0] * 3 + [0.5], dtype=torch.float64)
    (gradient,) = torch.autograd.grad(weighted_cross_entropy(logits, classes, weights), logits)
    assert torch.equal(gradient.abs().sum(dim=1) > 0, weights > 0)


def test_gradients_are_those_of_the_formula(answers: tuple[Tensor, Tensor]) -> None:
    """Each loss has the gradient that finite differences find."""
    logits, classes = answers
    weights = torch.linspace(0, 1, 7, dtype=torch.float64, requires_grad=True)
    targets = logits.detach().flip(0).softmax(dim=1)
    assert gradcheck(lambda x: cross_entropy(x, classes, smoothing=0.1), logits)
    assert gradcheck(lambda x: soft_cross_entropy(x, targets), logits)
    assert gradcheck(lambda x, w: weighted_cross_entropy(x, classes, w), (logits, weights))


def test_being_right_costs_less() -> None:
    """The surer the right answer, the lower the loss; the surer a wrong one, the higher."""
    classes = torch.tensor([0])
    losses = [float(cross_entropy(torch.tensor([[lead, 0.0]]), classes)) for lead in (5.0, 1.0, -1.0, -5.0)]
    assert losses == sorted(losses)


def test_shapes_are_checked_here() -> None:
    """In tests, a tensor of another shape than its type says is refused before anything is computed."""
    with pytest.raises(TypeCheckError):
        weighted_cross_entropy(torch.zeros(3, 2), torch.zeros(3, dtype=torch.int64), torch.ones(1))


def test_the_largest_share_is_counted() -> None:
    """The commonest class has its rows' share, whichever of the classes it is and however many have none."""
    for rows, share in (([0, 2, 2, 1], 0.5), ([3], 1.0), ([1, 0, 3, 2], 0.25)):
        assert largest_share(torch.tensor(rows), 5).item() == pytest.approx(share)

"""What a model says of the pool, and how it is kept."""

from __future__ import annotations

from dataclasses import fields
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from training.bars import CLASSES, bars, network, rows_of

from labelsvc.labeling import pool
from labelsvc.labeling.calibrate import probabilities
from labelsvc.labeling.pool import candidates, predict_rows, read_predictions, schema, write_predictions
from labelsvc.records import PseudoLabels
from labelsvc.training import predict

NAMES = ("left", "middle", "right")


def said(*, temperature: float = 1.0, rows: int = 11) -> list[tuple[PseudoLabels, np.ndarray]]:
    """Return what an untrained network says of some bars."""
    return list(predict_rows(network(), rows_of(bars(rows)[0]), temperature))


def joined(blocks: list[tuple[PseudoLabels, np.ndarray]]) -> PseudoLabels:
    """Join blocks into one."""
    return pool.joined(block for block, _ in blocks)


def test_the_two_likeliest_are_named() -> None:
    """Each row has its likeliest class and the runner-up, with their probabilities, in the records' types."""
    scores = np.array([[0.2, 0.5, 0.3], [0.7, 0.1, 0.2]])
    found = candidates(np.array([4, 9]), scores)
    assert found.classes.tolist() == [1, 0]
    assert found.confidence.tolist() == [0.5, 0.7]
    assert found.runner_up.tolist() == [2, 2]
    assert found.runner_up_probability.tolist() == [0.3, 0.2]
    assert {str(found.classes.dtype), str(found.runner_up.dtype)} == {"int32"}


def test_ties_go_to_the_first_class() -> None:
    """Of equally likely classes the first is the answer, the second the runner-up."""
    found = candidates(np.arange(2), np.array([[0.25] * 4, [0.1, 0.3, 0.3, 0.3]]))
    assert found.classes.tolist() == [0, 1]
    assert found.runner_up.tolist() == [1, 2]


def test_every_row_is_answered_in_order() -> None:
    """Blocks together are all rows in their order; scores are distributions in float64."""
    blocks = said()
    assert joined(blocks).numbers.tolist() == list(range(10, 21))
    scores = np.concatenate([scores for _, scores in blocks])
    assert scores.dtype == np.float64
    np.testing.assert_allclose(scores.sum(axis=1), 1, rtol=1e-12)


def test_blocks_change_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever lies beside a row, what is said of it is the same to rounding."""
    whole = joined(said())
    monkeypatch.setattr(pool, "answer_blocks", partial(predict.answer_blocks, block=4))
    pieces = said()
    assert [len(block) for block, _ in pieces] == [4, 4, 3]
    assert np.array_equal(joined(pieces).classes, whole.classes)
    np.testing.assert_allclose(joined(pieces).confidence, whole.confidence, atol=1e-6)


def test_temperature_changes_confidence_and_no_class() -> None:
    """A higher temperature lowers every confidence and no answer."""
    plain, warm = joined(said()), joined(said(temperature=3.0))
    assert np.array_equal(plain.classes, warm.classes)
    assert (warm.confidence < plain.confidence).all()
    logits = predict.logits_of(network(), rows_of(bars(11)[0]))
    np.testing.assert_allclose(warm.confidence, probabilities(logits, 3.0).max(axis=1), rtol=1e-12)


def test_predictions_survive_the_file(tmp_path: Path) -> None:
    """What is read back is what was written, bit for bit, with class names and all probabilities in the file."""
    blocks, path = [*said(rows=4), *said(rows=11)], tmp_path / "predictions.parquet"
    assert list(write_predictions(path, iter(blocks), NAMES)) == [4, 15]
    found, expected = read_predictions(path, NAMES), joined(blocks)
    for field in fields(PseudoLabels):
        mine, theirs = getattr(found, field.name), getattr(expected, field.name)
        if theirs is None:  # nobody asked for it
            assert mine is None
            continue
        assert mine.dtype == theirs.dtype
        assert np.array_equal(mine, theirs)
    table = pq.read_table(path)
    assert table.schema.equals(schema(NAMES))
    assert table["label"].to_pylist() == [NAMES[code] for code in expected.classes]
    scores = np.stack(table["probabilities"].to_numpy())
    np.testing.assert_allclose(scores, np.concatenate([s for _, s in blocks]), atol=1e-7)
    assert scores.shape == (15, CLASSES)


def test_no_rows_make_an_empty_file(tmp_path: Path) -> None:
    """A pool of nothing is written and read back as nothing."""
    path = tmp_path / "predictions.parquet"
    assert list(write_predictions(path, iter(()), NAMES)) == []
    assert len(read_predictions(path, NAMES)) == 0


def test_what_is_not_finished_has_no_name(tmp_path: Path) -> None:
    """Predictions that break off leave no file, neither whole nor half."""
    half = write_predictions(tmp_path / "predictions.parquet", iter(said()), NAMES)
    next(half)
    half.close()
    assert list(tmp_path.iterdir()) == []


def test_distributions_come_back_with_their_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was written is read again, in single precision, however few rows are read at a time."""
    monkeypatch.setattr(pool, "VALUES", 4 * len(NAMES))
    blocks = said()
    assert [*write_predictions(tmp_path / "said.parquet", iter(blocks), NAMES)][-1] == 11
    found = list(pool.answers(tmp_path / "said.parquet", NAMES))
    assert [len(block) for block, _ in found] == [4, 4, 3]
    assert joined(found).numbers.tolist() == joined(blocks).numbers.tolist()
    np.testing.assert_array_equal(joined(found).confidence, joined(blocks).confidence)
    scores, written = (np.concatenate([scores for _, scores in part]) for part in (found, blocks))
    assert scores.dtype == np.float64
    np.testing.assert_array_equal(scores, written.astype(np.float32))

"""What a search for wrong labels asks of samples: kin, and what people decided."""

from __future__ import annotations

import numpy as np
from labeling_task import Task

from labelsvc.store import suspects


def test_kin_share_a_group_or_else_their_content(task: Task) -> None:
    """Rows of one content share a number; kin are those of one group, and copies among rows without a group."""
    rows = [
        ("a", "h0", "cat", "g"),
        ("b", "h1", "dog", "g"),
        ("c", "h0", "cat"),
        ("d", "h0", "dog"),
        ("e", "h2", "cat"),
    ]
    task.ingest(rows)
    numbers = dict(task.ask("SELECT sample_id, sample_no FROM sample"))
    asked = np.array([numbers[name] for name in "ecadb"])
    found = suspects.kinship(task.store, asked)
    content, kin = (dict(zip("ecadb", values.tolist(), strict=True)) for values in (found.contents, found.kin))
    assert content["a"] == content["c"] == content["d"] != content["b"]
    assert len({content["a"], content["b"], content["e"]}) == 3
    assert kin["a"] == kin["b"]
    assert kin["c"] == kin["d"] != kin["a"]
    assert len({kin["a"], kin["c"], kin["e"]}) == 3


def test_an_unsure_decides_nothing(animals: Task) -> None:
    """A sample counts as decided on from its first confirm, relabel or reject on, whatever is said later."""
    numbers = dict(animals.ask("SELECT sample_id, sample_no FROM sample"))
    animals.decide(numbers["b"], "confirm", 1)
    animals.decide(numbers["b"], "unsure")
    animals.decide(numbers["p3"], "reject")
    animals.decide(numbers["a"], "unsure")
    assert suspects.decided(animals.store).tolist() == sorted([numbers["b"], numbers["p3"]])

"""Verdicts: the answers of an audit's page, held against what that page showed.

A file is taken whole or not at all: each showing must have one answer, of the classes that there are. Knows nothing of
files and stores.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from labelsvc.data.verdict_files import Answer
from labelsvc.errors import InputError
from labelsvc.records import Shown, Verdict

NAMED = 3  # mistakes told in full


@dataclass(frozen=True)
class Sheet:
    """What a stage's page showed: rows by their ids, and the names of the classes."""

    rows: Mapping[str, Shown]
    classes: Sequence[str]

    @property
    def showings(self) -> int:
        """How many answers there must be."""
        return sum(len(row.places) for row in self.rows.values())


def verdicts_of(answers: Sequence[Answer], sheet: Sheet) -> tuple[Verdict, ...]:
    """Return what the answers mean: a class that was picked is right where it is the proposed one.

    The same answer given twice counts once.

    Raises:
        InputError: an answer is to nothing that was shown, contradicts another one, or names what is no wrong class;
            or answers are missing. How many, and the first three.
    """
    mistakes = list(_mistakes(answers, sheet))
    if mistakes:
        count = "1 verdict is" if len(mistakes) == 1 else f"{len(mistakes):,} verdicts are"
        more = f"; and {len(mistakes) - NAMED:,} more" if len(mistakes) > NAMED else ""
        raise InputError(f"{count} wrong, so nothing was written: {'; '.join(mistakes[:NAMED])}{more} (from 0)")
    found = {(one.sample_id, one.occurrence): _verdict(one, sheet) for one in answers}
    missing = [key for key in _expected(sheet) if key not in found]
    if missing:
        named = ", ".join(_named(*key) for key in missing[:NAMED])
        raise InputError(
            f"{len(missing):,} of {sheet.showings:,} verdicts are missing ({named}{', ...' * (len(missing) > NAMED)}), "
            "so nothing was written: an audit is judged to the end of its stage; open the page again, judge the rest "
            "and save"
        )
    return tuple(found.values())


def _expected(sheet: Sheet) -> list[tuple[str, int]]:
    """Return all showings in the order of the page."""
    showings = [(place, name, turn) for name, row in sheet.rows.items() for turn, place in enumerate(row.places, 1)]
    return [(name, turn) for _, name, turn in sorted(showings)]


def _mistakes(answers: Sequence[Answer], sheet: Sheet) -> Iterator[str]:
    known: dict[tuple[str, int], tuple[str, str | None]] = {}
    for number, one in enumerate(answers):
        said = (one.verdict, one.label)
        before = known.setdefault((one.sample_id, one.occurrence), said)
        wrong = _mistake(one, sheet) or (
            f"its showing {one.occurrence} is judged twice, {_in_words(*before)} and {_in_words(*said)}; keep one"
            if before != said
            else None
        )
        if wrong:
            yield f"verdict {number:,}, id {one.sample_id!r}: {wrong}"


def _mistake(one: Answer, sheet: Sheet) -> str | None:
    row = sheet.rows.get(one.sample_id)
    if row is None:
        return "it is not in this stage's sample"
    if one.occurrence > len(row.places):
        times = "once" if len(row.places) == 1 else "twice"
        return f"it is shown {times}, and this is a verdict on its showing {one.occurrence}"
    if one.label is not None and one.label not in sheet.classes:
        return f"there is no class {one.label!r}; the classes are {', '.join(sheet.classes)}"
    if one.verdict == "wrong" and one.label == sheet.classes[row.class_code]:
        return f"it is called wrong, and {one.label!r}, its proposed class, is named as the right one"
    return None


def _verdict(one: Answer, sheet: Sheet) -> Verdict:
    row = sheet.rows[one.sample_id]
    code = None if one.label is None else sheet.classes.index(one.label)
    said = one.verdict
    if said == "class":
        said, code = ("right", None) if code == row.class_code else ("wrong", code)
    return Verdict(row.sample_no, one.occurrence, said, code, one.lead_time_s)


def _named(sample_id: str, occurrence: int) -> str:
    return repr(sample_id) + (" shown again" if occurrence > 1 else "")


def _in_words(verdict: str, label: str | None) -> str:
    return verdict if label is None else f"{verdict} {label!r}"

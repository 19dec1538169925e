"""What an ingest refuses: each question is asked of what arrived, before anything of it is written.

Reads the temporary tables of ``arrivals``, inside its transaction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import duckdb

from labelsvc.errors import InputError
from labelsvc.store.arrivals import Brought

_NAMED = 3  # examples in a message
_PLACES = """
SELECT incoming.sample_id, arg_min({{'file': incoming.file, 'row': incoming.row}}, incoming.ordinal, 2) AS places
FROM incoming
JOIN (FROM arrived WHERE {condition} ORDER BY ordinal LIMIT {limit}) AS named
    ON named.sample_id = incoming.sample_id
GROUP BY incoming.sample_id
ORDER BY min(incoming.ordinal)
"""
_OTHER_CLASSES = """
SELECT count(*), arg_min(
    {'label': label, 'id': sample_id, 'file': file, 'row': row, 'is_brought': is_brought}, ordinal, 3
)
FROM incoming
WHERE label IS NOT NULL AND NOT list_contains($declared, label)
"""


def refuse_unknown_labels(connection: duckdb.DuckDBPyConnection, labels: Brought) -> None:
    """Refuse a labels file none of whose ids is a sample; call after all samples were written.

    Raises:
        InputError: naming the first three ids.
    """
    (met,) = connection.execute(
        "SELECT count(*) FROM brought SEMI JOIN sample ON sample.sample_id = brought.sample_id"
    ).fetchall()[0]
    if not met:
        total, first = connection.execute("SELECT count(*), arg_min(sample_id, place, 3) FROM brought").fetchall()[0]
        raise InputError(
            f"none of the {total:,} ids of {labels.uri} is in the ingested files or in the workspace "
            f"({', '.join(map(repr, first or ()))}); are they those of the id column? Nothing was written"
        )


def refuse_other_content(connection: duckdb.DuckDBPyConnection, uris: Sequence[str]) -> None:
    """Refuse ids that stand for two inputs.

    Raises:
        InputError: naming up to three of them, with their rows.
    """
    advice = "an id must always be the same input, so give these rows other ids, or name another id column"
    _refuse_ids(connection, "differs", uris, "ids with other content than they have elsewhere", advice)


def refuse_two_groups(connection: duckdb.DuckDBPyConnection, uris: Sequence[str]) -> None:
    """Refuse ids that are in two groups.

    Raises:
        InputError: naming up to three of them, with their rows.
    """
    advice = "a group shares one role, so an id has one group: correct the column of groups"
    _refuse_ids(connection, "regrouped", uris, "ids with another group than they have elsewhere", advice)


def refuse_mixed_roles(connection: duckdb.DuckDBPyConnection, role: str, uris: Sequence[str]) -> None:
    """Refuse ids that are test in one dataset and not in another.

    Raises:
        InputError: naming up to three of them, with their rows.
    """
    mixed = "known_role <> 'test'" if role == "test" else "known_role = 'test'"
    here, there = ("test", "not test") if role == "test" else ("not test", "test")
    advice = "test rows must be rows of their own, so take these out of one of the two"
    _refuse_ids(connection, mixed, uris, f"ids of this dataset, which is {here}, are in the store as {there}", advice)


def refuse_other_order(connection: duckdb.DuckDBPyConnection, declared: Sequence[str]) -> None:
    """Refuse declared classes that do not begin with those that the workspace has, in their order.

    Raises:
        InputError: naming the workspace's classes.
    """
    known = [name for (name,) in connection.execute("SELECT name FROM class ORDER BY class").fetchall()]
    if list(declared[: len(known)]) != known:
        raise InputError(
            f"--classes must begin with the classes that the workspace has, in their order ({', '.join(known)}); "
            "new ones come after them. Nothing was written"
        )


def refuse_other_classes(
    connection: duckdb.DuckDBPyConnection, declared: Sequence[str], uris: Sequence[str], labels: str | None
) -> None:
    """Refuse labels that are none of the ``declared`` classes; ``labels`` is where the labels file lies.

    Raises:
        InputError: naming up to three of them, with their rows.
    """
    total, found = connection.execute(_OTHER_CLASSES, {"declared": list(declared)}).fetchall()[0]
    if total:
        places = [labels if each["is_brought"] else _place(each, uris) for each in found]
        named = zip(found, places, strict=True)
        said = "; ".join(f"{each['label']!r} of {each['id']!r} ({place})" for each, place in named)
        raise InputError(
            f"labels that are none of --classes ({total:,}): {said}; correct them, or name these classes too. "
            "Nothing was written"
        )


def _refuse_ids(
    connection: duckdb.DuckDBPyConnection, condition: str, uris: Sequence[str], wrong: str, advice: str
) -> None:
    """Refuse the arrived ids that meet ``condition``, saying how many there are, what is ``wrong``, and what to do."""
    clashes, places = _examples(connection, condition, uris)
    if clashes:
        raise InputError(f"{wrong} ({clashes:,}): {places}; {advice}. Nothing was written")


def _examples(connection: duckdb.DuckDBPyConnection, condition: str, uris: Sequence[str]) -> tuple[int, str]:
    """Return how many arrived ids meet ``condition``, and where the first of them lie."""
    total = connection.execute(f"SELECT count(*) FROM arrived WHERE {condition}").fetchall()[0][0]
    if not total:
        return 0, ""
    found = connection.execute(_PLACES.format(condition=condition, limit=_NAMED)).fetchall()
    named = [(sample_id, " and ".join(_place(place, uris) for place in places)) for sample_id, places in found]
    return int(total), "; ".join(f"{sample_id!r} ({places})" for sample_id, places in named)


def _place(row: Mapping[str, int], uris: Sequence[str]) -> str:
    return f"{uris[row['file']]} row {row['row']}"

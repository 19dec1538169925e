"""The page on which a person judges the rows of an audit: one HTML file that asks nothing of any network.

The page is the template beside this module with the rows put into it as JSON, written piece by piece, since pictures
may be many. Ids and class names may contain anything: nothing of a user's becomes markup, and the page's own policy
lets nothing run but its one script. Knows nothing of stores and of what the verdicts prove.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from typing import Any

from labelsvc.data.pictures import png
from labelsvc.data.verdict_files import SCHEMA_VERSION
from labelsvc.records import Pixels, Shown

TEMPLATE = "audit_page.html"
_DATA, _POLICY = "{{data}}", "{{script-digest}}"
_SCRIPT = re.compile(r"<script>(.*?)</script>", re.DOTALL)
_MARKUP = {ord(character): f"\\u{ord(character):04x}" for character in "<>&\u2028\u2029"}


@dataclass(frozen=True)
class PageFacts:
    """What a page says of its audit; without ``shows_labels`` it does not hold what the model proposed."""

    audit_id: str
    stage: int
    stages: int
    file: str  # under which the verdicts are saved
    classes: Sequence[str]
    shows_labels: bool = True


@dataclass(frozen=True)
class PageRow:
    """A row with its picture [height, width, channels] or, where it has none, its values by their names."""

    shown: Shown
    picture: Pixels | None = None
    values: Mapping[str, str] = field(default_factory=dict)


def page(facts: PageFacts, rows: Iterable[PageRow]) -> Iterator[str]:
    """Yield the text of a page in pieces; of the rows only one is held at a time."""
    template = (resources.files(__package__) / TEMPLATE).read_text(encoding="utf-8")
    script = _SCRIPT.search(template)
    assert script is not None
    digest = base64.b64encode(hashlib.sha256(script[1].encode()).digest()).decode()
    before, after = template.replace(_POLICY, digest).split(_DATA)
    yield before
    yield from _json(facts, rows)
    yield after


def _json(facts: PageFacts, rows: Iterable[PageRow]) -> Iterator[str]:
    """Yield the one JSON object that the page's script reads."""
    head = {
        "schema_version": SCHEMA_VERSION,
        "audit": facts.audit_id,
        "stage": facts.stage,
        "stages": facts.stages,
        "file": facts.file,
        "classes": facts.classes,
        "shows_labels": facts.shows_labels,
    }
    yield _text(head).removesuffix("}") + ', "rows": ['
    between = "\n"
    for row in rows:
        yield between + _text(_row(row, shows_label=facts.shows_labels))
        between = ",\n"
    yield "\n]}"


def _row(row: PageRow, *, shows_label: bool) -> dict[str, Any]:
    shown = row.shown
    proposed = {"proposed": shown.class_code, "score": shown.confidence} if shows_label else {}
    picture = {} if row.picture is None else _picture(row.picture)
    return {"id": shown.sample_id, "places": shown.places} | proposed | picture | {"values": list(row.values.items())}


def _picture(pixels: Pixels) -> dict[str, Any]:
    """Return a picture as a PNG in a data: URI, with its size."""
    data = base64.b64encode(png(pixels)).decode("ascii")
    return {"picture": f"data:image/png;base64,{data}", "height": pixels.shape[0], "width": pixels.shape[1]}


def _text(value: object) -> str:
    r"""Return JSON in which no character means anything to an HTML parser.

    >>> print(_text({"id": "</script>"}))
    {"id": "\u003c/script\u003e"}
    """
    return json.dumps(value, ensure_ascii=False, allow_nan=False).translate(_MARKUP)

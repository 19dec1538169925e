"""The page at ``/``: a person drops a picture and sees the answer. It loads nothing from anywhere else."""

from __future__ import annotations

import base64
import hashlib
import re
from functools import cache
from importlib import resources

from labelsvc.student.serve.asgi import Answer


@cache
def page() -> Answer:
    """Return the page, with a policy that lets only its own script and style in, and nothing out but to its server."""
    text = resources.files(__package__).joinpath("page.html").read_text(encoding="utf-8")
    script, style = (_digest(re.search(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL)) for tag in ("script", "style"))
    policy = (
        f"default-src 'none'; script-src '{script}'; style-src '{style}'; img-src blob: data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    headers = {
        "content-security-policy": policy,
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
        "cache-control": "no-cache",
    }
    return Answer(text.encode(), media_type="text/html; charset=utf-8", headers=headers)


def _digest(part: re.Match[str] | None) -> str:
    assert part is not None
    return f"sha256-{base64.b64encode(hashlib.sha256(part[1].encode()).digest()).decode()}"

"""The checker behind the shapes: beartype, with a whole number passing for a float as it does for mypy."""

from __future__ import annotations

from beartype import BeartypeConf, beartype

checked = beartype(conf=BeartypeConf(is_pep484_tower=True))

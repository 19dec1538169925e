"""The checker behind the shapes: beartype, with a whole number passing for a float as it does for mypy.

What takes or returns a plain Protocol is left unchecked, since Python cannot tell at run time who keeps to one.
"""

from __future__ import annotations

from typing import TypeVar

from beartype import BeartypeConf, beartype
from beartype.roar import BeartypeDecorHintPep3119Exception

Checked = TypeVar("Checked")
_strictly = beartype(conf=BeartypeConf(is_pep484_tower=True))


def checked(function: Checked) -> Checked:
    """Return ``function`` checking its arguments and what it returns, where that can be done."""
    try:
        return _strictly(function)  # type: ignore[no-any-return, call-overload]
    except BeartypeDecorHintPep3119Exception:
        return function

"""Fitted scikit-learn estimators in files of skops: data and names of types, never a pickle, so that nothing is run.

What is loaded is a file that this program wrote, known by its sha256, and holds types of scikit-learn and of what it is
made of alone; another library's are let in only where they were by the user's word when the file was written.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED

from labelsvc.errors import InputError, LabelsvcError
from labelsvc.workspace import written_beside

SUFFIX = ".skops"
TRUSTED = ("sklearn.", "numpy.", "scipy.", "labelsvc.classical.", "builtins.")


def save(estimator: Any, path: Path) -> str:  # noqa: ANN401 - scikit-learn ships no types
    """Write a fitted estimator and return the file's sha256.

    Raises:
        LabelsvcError: skops is not installed.
    """
    content: bytes = _skops().dumps(estimator, compression=ZIP_DEFLATED)
    with written_beside(path) as partial:
        partial.write_bytes(content)
    return hashlib.sha256(content).hexdigest()


def load(path: Path, *, sha256: str | None = None, trusted: tuple[str, ...] = ()) -> Any:  # noqa: ANN401
    """Return the estimator in ``path``; ``trusted`` are prefixes of further types that may be made.

    Raises:
        InputError: the file is missing, is not the one that was recorded, or holds types of elsewhere.
        LabelsvcError: skops is not installed.
    """
    if not path.exists():
        raise InputError(f"the model {path} is gone; train again")
    content = path.read_bytes()
    if sha256 is not None and hashlib.sha256(content).hexdigest() != sha256:
        raise InputError(f"the model {path} is not the one that was recorded; train again")
    types: list[str] = _skops().get_untrusted_types(data=content)
    foreign = [name for name in types if not name.startswith((*TRUSTED, *trusted))]
    if foreign:
        raise InputError(f"{path} holds {', '.join(foreign)}, which is not scikit-learn's; nothing of it was loaded")
    return _skops().loads(content, trusted=types)


def _skops() -> Any:  # noqa: ANN401 - skops ships no types
    try:
        import skops.io
    except ImportError as error:
        raise LabelsvcError(
            "teachers of tables are kept as files of skops, which is not installed: pip install 'labelsvc[tables]'"
        ) from error
    return skops.io

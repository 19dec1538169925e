"""One paper per file, and the table that names them.

A new method is one file, one line here and one test file.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from labelsvc.errors import UsageError
from labelsvc.methods.contract import Method
from labelsvc.methods.distillation import Distillation
from labelsvc.methods.fixmatch import FixMatch
from labelsvc.methods.meta_pseudo_labels import MetaPseudoLabels
from labelsvc.methods.mixmatch import MixMatch
from labelsvc.methods.pi_model import PiModel
from labelsvc.methods.pseudo_label import PseudoLabel
from labelsvc.methods.pseudo_label_mixup import PseudoLabelMixup
from labelsvc.methods.reduced_mpl import ReducedMPL
from labelsvc.methods.softmatch import SoftMatch
from labelsvc.methods.supervised import Supervised
from labelsvc.methods.uda import UDA
from labelsvc.methods.vat import Vat
from labelsvc.optim.recipe import Recipe

METHODS: Mapping[str, type[Method]] = {
    "supervised": Supervised,
    "pseudo-label": PseudoLabel,
    "pseudo-label-mixup": PseudoLabelMixup,
    "pi-model": PiModel,
    "vat": Vat,
    "mixmatch": MixMatch,
    "uda": UDA,
    "fixmatch": FixMatch,
    "softmatch": SoftMatch,
    "meta-pseudo-labels": MetaPseudoLabels,
    "reduced-mpl": ReducedMPL,
    "distillation": Distillation,
}

DEFAULT = "softmatch"  # for pictures
ALIASES: Mapping[str, str] = {"mpl": "meta-pseudo-labels"}


def full_name(name: str) -> str:
    """Return a method's name in the table.

    Raises:
        UsageError: no method is called so.

    >>> full_name("mpl"), full_name("softmatch")
    ('meta-pseudo-labels', 'softmatch')
    """
    known = ALIASES.get(name, name)
    if known not in METHODS:
        raise UsageError(f"no method is called {name!r}; there are {', '.join([*METHODS, *ALIASES])}")
    return known


def make(name: str, settings: Mapping[str, str] | None = None) -> Method:
    """Make a method by name, with ``settings`` (name to text) instead of its and its recipe's defaults.

    Raises:
        UsageError: the method, a setting's name or its value is unknown or out of bounds.
    """
    name = full_name(name)
    method: Method = METHODS[name]()
    return change(method, name, settings or {})


def change(method: Method, name: str, settings: Mapping[str, str]) -> Method:
    """Return ``method`` with ``settings`` applied to its own fields and to its recipe's."""
    own = {field.name: field for field in dataclasses.fields(method) if field.name != "recipe"}  # type: ignore[arg-type]
    shared = {field.name: field for field in dataclasses.fields(Recipe)}
    unknown = sorted(set(settings) - set(own) - set(shared))
    if unknown:
        raise UsageError(f"{name} has no setting {unknown[0]!r}; there are {', '.join([*own, *shared])}")
    recipe = _replaced(method.recipe, {key: value for key, value in settings.items() if key in shared})
    changed: Method = _replaced(method, {key: value for key, value in settings.items() if key in own}, recipe=recipe)
    return changed


def with_settings(record: Any, name: str, settings: Mapping[str, str]) -> Any:  # noqa: ANN401 - any dataclass
    """Return a record of hyper-parameters that has no recipe with ``settings`` in place of its own.

    Raises:
        UsageError: a setting's name or its value is unknown or out of bounds.
    """
    own = [field.name for field in dataclasses.fields(record)]
    unknown = sorted(set(settings) - set(own))
    if unknown:
        raise UsageError(f"{name} has no setting {unknown[0]!r}; there are {', '.join(own)}")
    return _replaced(record, settings)


def _replaced(record: Any, settings: Mapping[str, str], **others: Any) -> Any:  # noqa: ANN401 - any dataclass
    values = {key: _parsed(key, text, type(getattr(record, key))) for key, text in settings.items()}
    return dataclasses.replace(record, **values, **others)


def _parsed(name: str, text: str, wanted: type) -> bool | int | float | str:
    """Read a setting's text as the type of its default."""
    if wanted is bool:
        if text.lower() not in ("true", "false"):
            raise UsageError(f"--set {name}={text}: say true or false")
        return text.lower() == "true"
    try:
        value: int | float | str = wanted(text)
    except ValueError:
        raise UsageError(f"--set {name}={text}: not {'a whole number' if wanted is int else 'a number'}") from None
    return value

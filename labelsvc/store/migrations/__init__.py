"""The schema's history: numbered SQL files, applied in order and recorded in the table ``migration``.

A released file is never edited; a change to the schema is the next number.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources


@dataclass(frozen=True)
class Migration:
    """One step of the schema, in the file ``<number>_<name>.sql``."""

    number: int
    name: str

    def sql(self) -> str:
        """Return the statements of this step."""
        return resources.files(__name__).joinpath(f"{self.number:04}_{self.name}.sql").read_text("utf-8")


MIGRATIONS = (Migration(1, "first"), Migration(2, "tables"))

"""Every error that labelsvc raises on purpose, and the exit code that the command line gives it.

::

    LabelsvcError            1  the work failed
    ├── UsageError           2  the call itself is wrong: an unknown name, a value out of its bounds
    ├── InputError           3  a file, a table or a column is not what it must be
    │   ├── PictureError     3  one row's picture is not there, or is none
    │   └── StoreError       3  labels.duckdb is missing, newer than this program, or somebody else's
    ├── PromiseError         4  the asked promise cannot be made
    ├── TooManyFailedError   5  more rows failed than --max-failed allows
    └── StoreLockedError     6  another process holds labels.duckdb

A message says what is wrong, where (file, row, column, id), and what to do about it.
Knows nothing of how errors are shown.
"""

from __future__ import annotations


class LabelsvcError(Exception):
    """The work failed for a reason that the user can act upon."""

    exit_code = 1


class UsageError(LabelsvcError):
    """The call is wrong: an unknown name, or a value outside its bounds."""

    exit_code = 2


class InputError(LabelsvcError):
    """A file, a table or a column is not what it must be."""

    exit_code = 3


class PictureError(InputError):
    """One row's picture is not there, or is none; where rows fail alone, it is why that row did."""


class StoreError(InputError):
    """The label store is missing, of a newer schema, or of another program."""


class PromiseError(LabelsvcError):
    """The promise that the user asked for cannot be made."""

    exit_code = 4


class TooManyFailedError(LabelsvcError):
    """More rows failed than the user allows."""

    exit_code = 5


class StoreLockedError(LabelsvcError):
    """Another process held the label store for longer than we wait."""

    exit_code = 6

"""Files in object stores, named by the URIs that pyarrow's file systems know, such as ``s3://bucket/folder/a.parquet``.

Credentials and region come from where the store's own tools take them: environment, configuration files, the machine.
``AWS_ENDPOINT_URL`` names a store that is not Amazon's, which pyarrow by itself does not read.
Knows nothing of what is in a file.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TypeAlias

import pyarrow as pa
from pyarrow import fs

from labelsvc.errors import InputError

PATIENCE = 30.0  # seconds that a store may be silent before it is asked again, at most three times
_URI = re.compile(r"([a-z][a-z0-9+.-]+)://(.*)", re.DOTALL)
_REFUSED = ("ACCESS_DENIED", "INVALID_ACCESS_KEY_ID", "SIGNATURE_DOES_NOT_MATCH", "UNRECOGNIZED_CLIENT", "EXPIRED")


@dataclass(frozen=True)
class Remote:
    """A file or a folder in an object store."""

    scheme: str
    path: str  # as the file system has it, such as bucket/folder/a.parquet
    system: fs.FileSystem = field(compare=False, repr=False)

    def __str__(self) -> str:
        return f"{self.scheme}://{self.path}"

    def __truediv__(self, name: str) -> Remote:
        return Remote(self.scheme, f"{self.path}/{name}", self.system)

    @property
    def suffix(self) -> str:
        """The ending of the name, such as ``.parquet``."""
        return PurePosixPath(self.path).suffix

    @property
    def parent(self) -> Remote:
        """The folder that it lies in."""
        return Remote(self.scheme, self.path.rpartition("/")[0], self.system)


Location: TypeAlias = Path | Remote


@dataclass(frozen=True)
class FoundFile:
    """A file that was seen in a store: its size in bytes, and when it last changed, in nanoseconds."""

    place: Remote
    bytes: int
    changed: int


def is_remote(name: str | Path) -> bool:
    """Say whether a name is a URI, and not a path.

    >>> is_remote("s3://bucket/a.parquet"), is_remote("folder/a.parquet")
    (True, False)
    """
    return _URI.match(str(name)) is not None


def locate(uri: str) -> Remote:
    """Return the place that a URI names, without asking the store about it.

    Raises:
        InputError: no file system of pyarrow's knows such URIs, or it cannot be set up.
    """
    found = _URI.match(uri)
    assert found is not None
    scheme, rest = found[1], found[2].rstrip("/")
    try:
        if scheme == "s3":
            return Remote(scheme, rest, _s3(rest.partition("/")[0]))
        system, path = fs.FileSystem.from_uri(uri)
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{uri} cannot be reached: {_first_line(error)}; check the name and the network") from error
    return Remote(scheme, path.rstrip("/"), system)


def look(place: Remote) -> FoundFile | None:
    """Return a file as the store has it now, None where there is none of that name.

    Raises:
        InputError: the store refuses or cannot be reached.
    """
    with reaching(place):
        info = place.system.get_file_info(place.path)
    return FoundFile(place, info.size, info.mtime_ns or 0) if info.type == fs.FileType.File else None


def below(folder: Remote) -> list[FoundFile]:
    """Return all files below a folder, sorted by their paths; none where there is no such folder.

    Raises:
        InputError: the store refuses or cannot be reached, or there is no such bucket.
    """
    with reaching(folder):
        infos = folder.system.get_file_info(fs.FileSelector(folder.path, recursive=True, allow_not_found=True))
    files = [info for info in infos if info.type == fs.FileType.File]
    return [
        FoundFile(Remote(folder.scheme, info.path, folder.system), info.size, info.mtime_ns or 0)
        for info in sorted(files, key=lambda info: str(info.path))
    ]


@contextmanager
def reaching(place: Remote) -> Iterator[None]:
    """Say in the user's words what a store answered.

    Raises:
        InputError: there is no such file, the store refuses, or it cannot be reached.
    """
    try:
        yield
    except FileNotFoundError as error:
        raise InputError(f"there is no file {place}; check the path") from error
    except OSError as error:
        raise InputError(f"{place} cannot be read: {_reason(str(error))}") from error


def _s3(bucket: str) -> fs.FileSystem:
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    patient = {"request_timeout": PATIENCE, "connect_timeout": PATIENCE}
    if not endpoint:
        return fs.S3FileSystem(region=fs.resolve_s3_region(bucket), **patient)
    scheme, _, host = endpoint.rpartition("://")
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"
    return fs.S3FileSystem(endpoint_override=host.rstrip("/"), scheme=scheme or "https", region=region, **patient)


def _reason(said: str) -> str:
    """Return what went wrong and what to do about it, from pyarrow's words of a store's error."""
    found = re.search(r"AWS Error (\w+)", said)
    kind = found[1] if found else ""
    if kind.startswith(_REFUSED) or "HTTP status 403" in said or "code 403" in said:
        return "the store refuses it; check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY or your profile, and its rights"
    if kind == "NO_SUCH_BUCKET":
        return "there is no such bucket; check the name"
    if kind in ("NETWORK_CONNECTION", "REQUEST_TIMEOUT"):
        return "the store cannot be reached; check the network and AWS_ENDPOINT_URL, then run the command again"
    return f"{said.splitlines()[0]}; the same command tries again"


def _first_line(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]

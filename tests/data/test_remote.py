"""Files in an object store: found, read like those of a folder, and what goes wrong is said in our words."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from buckets import Bucket, bucket

from labelsvc.data.columns import ColumnNames
from labelsvc.data.decoding import DecodedBatch, decode_batches
from labelsvc.data.reading import read_schema, read_span
from labelsvc.data.remote import Remote, below, is_remote, locate, look
from labelsvc.data.sources import Named, Source, find_sources, survey
from labelsvc.errors import InputError
from labelsvc.records import PictureShape

from .parquet_files import grey_pngs, images, picture_file, written

pytestmark = pytest.mark.seconds

SHAPE = PictureShape(6, 6, 1)
ANY = ColumnNames()


@pytest.fixture(scope="module")
def server() -> Iterator[Bucket]:
    """Give a bucket for all tests of this file."""
    with bucket() as one:
        yield one


@pytest.fixture
def store(server: Bucket, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    """Give the bucket, which the environment names."""
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    return server


def read(sources: tuple[Source, ...], number: int = 0) -> list[DecodedBatch]:
    """Return all rows of a source, decoded."""
    one = sources[number]
    batches = read_span(one.place, one.columns, first=0, count=one.rows, rows=one.step, number=number)
    return list(decode_batches(batches, SHAPE, hashed=False))


def surveyed(found: tuple[Named, ...], folder: Path) -> tuple[Source, ...]:
    """Return what was found with its rows."""
    return survey(found, ANY, SHAPE, folder)


def test_an_object_is_read_as_a_file_is(store: Bucket, tmp_path: Path) -> None:
    """A Parquet object gives the rows and pixels of the file that it was made from."""
    pixels, pngs = grey_pngs(9)
    uri = store.put("one/a.parquet", picture_file(tmp_path / "a.parquet", pngs, row_group_size=4))
    sources = surveyed(find_sources([uri]), tmp_path)
    assert [(one.name, one.rows, one.key) for one in sources] == [(uri, 9, "id")]
    (batch,) = read(sources)
    assert (batch.decoded == pixels).all()


def test_a_prefix_is_a_folder(store: Bucket, tmp_path: Path) -> None:
    """A prefix stands for the Parquet objects below it, sorted, hidden ones left out, partitions as columns."""
    file = written(tmp_path / "x.parquet", {"image": images(grey_pngs(2)[1])})
    for name in ("two/b.parquet", "two/id=7/a.parquet", "two/_temporary/c.parquet", "two/notes.txt"):
        store.put(name, file)
    sources = find_sources(["s3://digits/two/"])
    assert [str(one.place) for one in sources if not hasattr(one, "folder")] == [
        "s3://digits/two/b.parquet",
        "s3://digits/two/id=7/a.parquet",
    ]
    with pytest.raises(InputError, match=r"known by 'row', those of .* by 'id'"):
        surveyed(sources, tmp_path)


def test_pictures_in_a_store(store: Bucket, tmp_path: Path) -> None:
    """A prefix of pictures is read in the order of their paths; an object that is gone meanwhile fails alone."""
    pixels, pngs = grey_pngs(4)
    for number, data in enumerate(pngs):
        store.put(f"three/{number}/p.png", data)
    store.put("three/notes.txt", b"no picture")
    sources = surveyed(find_sources(["s3://digits/three"]), tmp_path)
    store.remove("three/2/p.png")
    (batch,) = read(sources)
    assert batch.ids == ["0/p.png", "1/p.png", "3/p.png"]
    assert (batch.decoded == pixels[[0, 1, 3]]).all()
    assert [(one.row, one.id, "there is no file" in one.reason) for one in batch.failures] == [(2, "2/p.png", True)]


def test_paths_lead_into_the_store(store: Bucket, tmp_path: Path) -> None:
    """Paths in a Parquet object lead to objects beside it, and never out of its folder."""
    pixels, pngs = grey_pngs(1)
    store.put("four/p.png", pngs[0])
    paths = ["p.png", "../one/a.parquet", "/one/a.parquet"]
    cells = pa.array([{"bytes": None, "path": path} for path in paths])
    uri = store.put("four/paths.parquet", written(tmp_path / "paths.parquet", {"image": cells}))
    (batch,) = read(surveyed(find_sources([uri]), tmp_path))
    assert (batch.decoded == pixels).all()
    assert [(one.row, "leads outside s3://digits/four" in one.reason) for one in batch.failures] == [
        (1, True),
        (2, True),
    ]


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("s3://digits/none.parquet", "nothing to read at s3://digits/none.parquet"),
        ("s3://nobodys/a.parquet", "nothing to read at s3://nobodys/a.parquet"),
        ("s3://digits/*.parquet", "patterns are for local files"),
        ("s3x://digits/a", "cannot be reached"),
    ],
)
@pytest.mark.usefixtures("store")
def test_what_is_not_there_is_named(uri: str, said: str) -> None:
    """A missing object, a missing bucket, a pattern and an unknown scheme are bad input, named before any work."""
    with pytest.raises(InputError, match=said.replace("*", r"\*")):
        find_sources([uri])


def test_an_object_that_is_no_parquet(store: Bucket, tmp_path: Path) -> None:
    """An object of another format is refused by name."""
    found = find_sources([store.put("five/text.parquet", b"no table at all, and long enough to look at")])
    with pytest.raises(InputError, match=r"five/text\.parquet cannot be read as Parquet"):
        surveyed(found, tmp_path)


def test_refused_credentials(store: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that refuses is said so, with what to check; pictures that it refuses are no failed rows."""
    from moto.core.responses import ActionAuthenticatorMixin

    pngs = grey_pngs(1)[1]
    uri = store.put("six/a.parquet", picture_file(tmp_path / "a.parquet", pngs))
    store.put("seven/p.png", pngs[0])
    pictured = surveyed(find_sources(["s3://digits/seven"]), tmp_path)
    place = locate(uri)
    monkeypatch.setattr(ActionAuthenticatorMixin, "request_count", 0)
    monkeypatch.setattr("moto.settings.INITIAL_NO_AUTH_ACTION_COUNT", 0)
    for attempt in (
        lambda: find_sources([uri]),
        lambda: below(locate("s3://digits/six")),
        lambda: read_schema(place),
        lambda: read(pictured),
    ):
        with pytest.raises(InputError, match="the store refuses it; check AWS_ACCESS_KEY_ID"):
            attempt()


def test_a_store_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nobody answers, that is said, with what to check."""
    for name, value in {"AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_ACCESS_KEY_ID": "a"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
    with pytest.raises(InputError, match="cannot be reached; check the network and AWS_ENDPOINT_URL"):
        look(locate("s3://digits/a.parquet"))


def test_names_of_places(tmp_path: Path) -> None:
    """A URI is told from a path, and a local file by its URI is read too."""
    assert is_remote("s3://a/b")
    assert not is_remote(Path("s3/a:b"))
    (tmp_path / "a b.txt").write_text("x")
    found = look(locate((tmp_path / "a b.txt").as_uri()))
    assert found is not None
    assert isinstance(found.place, Remote)
    assert found.bytes == os.path.getsize(tmp_path / "a b.txt")  # noqa: PTH202 - what the system says

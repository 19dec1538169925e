"""An object store in this process, as S3's clients see it: moto's server, with one bucket."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pyarrow import fs

BUCKET = "digits"


@dataclass(frozen=True)
class Bucket:
    """A bucket, and the environment in which it is found."""

    system: fs.FileSystem
    environment: Mapping[str, str]

    def put(self, name: str, data: bytes | Path) -> str:
        """Write an object and return its URI."""
        with self.system.open_output_stream(f"{BUCKET}/{name}") as stream:
            stream.write(data if isinstance(data, bytes) else data.read_bytes())
        return f"s3://{BUCKET}/{name}"

    def remove(self, name: str) -> None:
        """Remove an object."""
        self.system.delete_file(f"{BUCKET}/{name}")


@contextmanager
def bucket() -> Iterator[Bucket]:
    """Start a store on a free port, and end it."""
    from moto.server import ThreadedMotoServer  # half a second

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        system = fs.S3FileSystem(
            access_key="somebody",
            secret_key="secret",  # noqa: S106 - of a store that lives as long as a test
            endpoint_override=f"{host}:{port}",
            scheme="http",
            region="us-east-1",
            allow_bucket_creation=True,
            request_timeout=60,
            connect_timeout=60,
        )
        system.create_dir(BUCKET)
        environment = {
            "AWS_ENDPOINT_URL": f"http://{host}:{port}",
            "AWS_ACCESS_KEY_ID": "somebody",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_EC2_METADATA_DISABLED": "true",
        }
        yield Bucket(system, environment)
    finally:
        server.stop()

"""A real S3 API: moto's server in a process of its own, and in an environment of its own (`requirements-moto.in` says
why), which is made at the first use."""

import fcntl
import hashlib
import itertools
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile

import requests

from tests.support.passengers import PROJECT
from tests.support.waiting import until

SECRET = "not-shown-in-any-message"
_ENVIRONMENT = PROJECT / ".venv-moto"
_REQUIREMENTS = Path(__file__).with_name("requirements-moto.txt")
# The server takes any signature, but gives nothing to a request without one.
_SIGNED = {"Authorization": "AWS4-HMAC-SHA256 Credential=tests/20261101/us-east-1/s3/aws4_request, Signature=0"}
_buckets = itertools.count()


@dataclass(frozen=True)
class S3:
    """A running server with an empty bucket."""

    server: str
    bucket: str

    @property
    def url(self) -> str:
        """The URL of a folder in the bucket."""
        return f"s3://{self.bucket}/models/titanic"

    @property
    def variables(self) -> dict[str, str]:
        """What a client needs in its environment."""
        return {
            "AWS_ENDPOINT_URL": self.server,
            "AWS_ALLOW_HTTP": "true",
            "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "tests",
            "AWS_SECRET_ACCESS_KEY": SECRET,
        }

    def object(self, name: str) -> str:
        """The HTTP URL of a file of the folder."""
        return f"{self.server}/{self.bucket}/models/titanic/{name}"

    def read(self, name: str) -> bytes:
        """The content of a file of the folder."""
        answer = requests.get(self.object(name), headers=_SIGNED, timeout=30)
        answer.raise_for_status()
        return answer.content

    def write(self, name: str, content: bytes) -> None:
        """Replaces a file of the folder."""
        requests.put(self.object(name), content, headers=_SIGNED, timeout=30).raise_for_status()

    def remove(self, name: str) -> None:
        """Removes a file of the folder."""
        requests.delete(self.object(name), headers=_SIGNED, timeout=30).raise_for_status()

    @contextmanager
    def strict(self) -> Iterator[None]:
        """Meanwhile the server knows no credentials, and so refuses all requests."""
        self._check_after("0")
        try:
            yield
        finally:
            self._check_after("inf")

    def _check_after(self, requests_without: str) -> None:
        reset = f"{self.server}/moto-api/reset-auth"
        requests.post(reset, requests_without, timeout=30).raise_for_status()


@contextmanager
def s3_server() -> Iterator[str]:
    """The URL of a server that runs until the block ends."""
    command = [_moto_server(), "-H", "127.0.0.1", "-p", "0"]
    with (
        NamedTemporaryFile("w+") as log,  # no pipe: the server would stop when nobody reads what it logs
        subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=log) as process,
    ):
        found: list[str] = []

        def is_ready() -> bool:
            assert process.poll() is None, f"moto does not start:\n{Path(log.name).read_text()}"
            found[:] = re.findall(r"Running on (http://127\.0\.0\.1:\d+)", Path(log.name).read_text())
            return bool(found)

        try:
            until(is_ready)
            yield found[0]
        finally:
            process.terminate()


def new_bucket(server: str) -> S3:
    """The server with a bucket that no other test uses."""
    s3 = S3(server, f"bucket-{next(_buckets)}")
    requests.put(f"{server}/{s3.bucket}", headers=_SIGNED, timeout=30).raise_for_status()
    return s3


def _moto_server() -> str:
    stamp, wanted = _ENVIRONMENT / "installed", hashlib.sha256(_REQUIREMENTS.read_bytes()).hexdigest()
    with (PROJECT / ".venv-moto.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not stamp.is_file() or stamp.read_text() != wanted:
            variables = {**os.environ, "VENV": str(_ENVIRONMENT), "PYTHON": sys.executable}
            command = [str(PROJECT / "tools" / "install.sh"), str(_REQUIREMENTS)]
            subprocess.run(command, cwd=PROJECT, env=variables, check=True)
            stamp.write_text(wanted)
    return str(_ENVIRONMENT / "bin" / "moto_server")

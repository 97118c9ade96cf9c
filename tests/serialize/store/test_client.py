"""A server that fails in any way ends a transfer in bounded time, with one sentence that shows no secret."""

import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from serialize import ArtifactError
from serialize.store.client import read_files, write_files
from tests.support.moto import S3, SECRET
from tests.support.passengers import PROJECT
from tests.support.replies import Reply, replies, send

pytestmark = pytest.mark.long  # each transfer starts a process

URL = "s3://bucket/folder"
PATIENCE = 1.2
LIMIT = 1000


@pytest.fixture(autouse=True)
def _credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in S3("", "bucket").variables.items():
        monkeypatch.setenv(name, value)


def hang(connection: socket.socket) -> None:
    """Sends nothing until the client closes."""
    connection.recv(1)


def drip(connection: socket.socket) -> None:
    """Sends a byte now and then, so that there is always something to wait for."""
    send("200 OK", length=1000)(connection)
    connection.settimeout(0.02)
    while True:
        with suppress(TimeoutError):
            connection.recv(1)
            return
        connection.sendall(b"x")


def refusal(reply: Reply, monkeypatch: pytest.MonkeyPatch, patience: float = PATIENCE) -> str:
    """What is told of a server that answers so."""
    with replies(reply) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.address)
        return failed(URL, patience)


def failed(url: str, patience: float = PATIENCE) -> str:
    with pytest.raises(ArtifactError) as refused:
        read_files(url, ["manifest.json"], LIMIT, patience=patience)
    told = str(refused.value)
    assert url in told
    assert SECRET not in told
    assert "\n" not in told
    return told


@pytest.mark.parametrize(
    ("reply", "told"),
    [
        (send("500 Internal Server Error", SECRET.encode()), "the server answered with the status 500"),
        (send("400 Bad Request", SECRET.encode()), "the server answered with the status 400"),
        (send("403 Forbidden", SECRET.encode()), "the server refuses access; check the credentials in the AWS_"),
        (send("401 Unauthorized", SECRET.encode()), "the server refuses access"),
        (send("200 OK", b"half", length=8), "the transfer broke off"),
        (send("200 OK", b"x" * 8, length=LIMIT + 1), "more bytes than MODEL_MAX_BYTES allows"),
        (send("404 Not Found", b"<Code>NoSuchBucket</Code>"), "there is no such bucket"),
        (hang, "does not answer"),
    ],
)
def test_a_server_that_fails_is_given_up(reply: Reply, told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    started = time.monotonic()

    assert told in refusal(reply, monkeypatch)

    assert time.monotonic() - started < 10 * PATIENCE


def test_a_transfer_that_goes_on_and_on_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "took more than 3 s" in refusal(drip, monkeypatch, patience=0.3)


def test_a_transfer_does_not_keep_the_sockets_of_its_starter_open(monkeypatch: pytest.MonkeyPatch) -> None:
    listening: list[int] = []

    def reply(connection: socket.socket) -> None:
        (transfer,) = [each for each in psutil.Process().children() if "transfer.py" in " ".join(each.cmdline())]
        listening.extend(one.laddr.port for one in transfer.net_connections() if one.status == psutil.CONN_LISTEN)
        send("200 OK", b"{}")(connection)

    with socket.create_server(("127.0.0.1", 0)) as kept, replies(reply) as server:
        kept.set_inheritable(True)  # as gunicorn does
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.address)

        assert read_files(URL, ["a"], LIMIT) == {"a": b"{}"}
    assert listening == []


def test_a_server_that_is_not_there_is_named() -> None:
    with replies(hang) as gone:
        pass
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", gone.address)
        assert "the server cannot be reached" in failed(URL)


def test_a_store_without_tls_must_be_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ALLOW_HTTP")
    with replies(send("200 OK", b"{}")) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.address)
        assert "set AWS_ALLOW_HTTP=true in a private network" in failed(URL)
    assert not server.requests


def test_an_azure_account_must_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AZURE_STORAGE_ACCOUNT_NAME", raising=False)

    assert "set AZURE_STORAGE_ACCOUNT_NAME" in failed("az://container/folder")


def test_a_web_server_with_tls_is_read(certificate: Path) -> None:
    with replies(send("200 OK", b"{}"), certificate) as server:
        found = read_files(f"{server.address}/folder", ["manifest.json"], LIMIT, patience=PATIENCE)

    assert found == {"manifest.json": b"{}"}
    assert server.requests == ["GET /folder/manifest.json HTTP/1.1"]


def test_a_redirect_from_https_to_http_is_not_followed(certificate: Path) -> None:
    with replies(send("200 OK", b"{}")) as plain:
        redirect = send("302 Found", b"", f"Location: {plain.address}/folder/manifest.json")
        with replies(redirect, certificate) as server:
            told = failed(f"{server.address}/folder")

    assert "the server redirects to a URL that is not followed" in told
    assert server.requests
    assert not plain.requests


def test_a_certificate_that_nobody_trusts_is_refused(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    with replies(send("200 OK", b"{}"), certificate) as server:
        assert "the certificate of the server is not trusted" in failed(f"{server.address}/folder")

    assert not server.requests


def test_files_of_a_bucket_are_written_removed_and_read(s3: S3) -> None:
    s3.write("old", b"old")
    write_files(s3.url, {"a": b"first", "old": None, "never there": None, "b": b""})

    found = read_files(s3.url, ["a", "b", "old"], LIMIT, optional=["c"])

    assert found == {"a": b"first", "b": b"", "old": None, "c": None}


def test_the_limit_is_for_all_files_together(s3: S3) -> None:
    write_files(s3.url, {"a": b"x" * 600, "b": b"x" * 600})

    with pytest.raises(ArtifactError, match="MODEL_MAX_BYTES"):
        read_files(s3.url, ["a", "b"], LIMIT)


def test_a_bucket_that_is_not_there_is_named(s3: S3) -> None:
    missing = "s3://no-such-bucket/folder"
    with pytest.raises(ArtifactError, match=f"{missing} cannot be read: there is no such bucket"):
        read_files(missing, ["a"], LIMIT)
    with pytest.raises(ArtifactError, match=f"{missing} cannot be written: there is no such bucket"):
        write_files(missing, {"a": b"first"})


def test_a_large_write_to_a_server_that_fails_ends_with_its_sentence(s3: S3) -> None:
    with pytest.raises(ArtifactError, match="there is no such bucket"):
        write_files("s3://no-such-bucket/folder", {"a": b"x" * 10_000_000, "b": b"x" * 10_000_000})


def test_a_folder_is_a_store_too(tmp_path: Path) -> None:
    url = f"file://{tmp_path}/new/folder"
    write_files(url, {"a": b"first"})

    assert read_files(url, ["a", "b"], LIMIT) == {"a": b"first", "b": None}


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    assert "there is no such folder" in failed(f"file://{tmp_path}/nothing")


def test_a_denied_file_counts_as_missing_only_if_it_is_optional(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter([send("200 OK", b"{}"), send("403 Forbidden"), send("403 Forbidden")])

    def reply(connection: socket.socket) -> None:
        next(answers)(connection)

    with replies(reply) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.address)

        assert read_files(URL, ["a"], LIMIT, optional=["b"]) == {"a": b"{}", "b": None}
        assert "the server refuses access" in failed(URL)


def test_a_thread_of_an_event_loop_reads_and_is_told_of_errors(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x" * 1_000_000)
    script = f"""
from gevent import monkey
monkey.patch_all()
import subprocess
import sys
from gevent import get_hub
from serialize.store.client import read_files

def read(url):
    try:
        return len(read_files(url, ["a"], 2_000_000)["a"])
    except ValueError as error:
        return type(error).__name__

for _ in range(2):
    print([get_hub().threadpool.spawn(read, url).get() for url in ("file://{tmp_path}", "file://{tmp_path}/no")])
    subprocess.run(["true"])  # from now on the event loop takes the status of every process
"""
    ended = subprocess.run(
        [sys.executable, "-c", script], cwd=PROJECT, capture_output=True, text=True, timeout=60, check=False
    )

    assert ended.stdout == 2 * "[1000000, 'StoreError']\n", ended.stderr

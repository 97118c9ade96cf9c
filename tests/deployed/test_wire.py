"""The deployed service answers any bytes with JSON, quickly and without a 5xx."""

import itertools
import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from select import POLLIN, poll

import pytest

from tests.support.passengers import prediction
from tests.support.served import Served, serve
from tests.support.wire import POST, Answered, answer, chunked, connected, exchange, until_closed, with_length

MIB = 1024 * 1024
_ids = itertools.count()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder: Path = tmp_path_factory.mktemp("wire")
    with serve(folder, f"sqlite:///{folder}/log.db", variables={"REQUEST_TIMEOUT": "1"}) as served:
        yield served
    assert "event=error" not in served.log.read_text()


def body() -> bytes:
    return json.dumps(prediction(f"wire-{next(_ids)}")).encode()


def statuses(answered: bytes) -> list[int]:
    return [int(status) for status in re.findall(rb"HTTP/1.1 (\d+) ", answered)]


def assert_problem(answered: Answered, status: int) -> None:
    assert answered.status == status
    assert answered.headers["content-type"] == "application/problem+json"
    assert answered.json["status"] == status


def test_a_body_may_come_in_pieces(served: Served) -> None:
    request = with_length(body())

    with connected(served) as connection:
        for i in range(0, len(request), 20):
            connection.sendall(request[i : i + 20])
        answered = answer(connection)

    assert answered.status == 200


def test_a_body_may_come_in_chunks(served: Served) -> None:
    content = body()

    assert exchange(served, chunked(content)).status == 200
    assert exchange(served, chunked(*(bytes([byte]) for byte in body()))).status == 200
    with_extension = POST + b"Transfer-Encoding: chunked\r\n\r\n%X;a=b\r\n%b\r\n0\r\nX-After: 1\r\n\r\n"
    assert exchange(served, with_extension % (len(content), content)).headers["idempotent-replayed"] == "true"


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (chunked(b'{"id": "' + b"x" * MIB + b'"}'), 413),
        (chunked(*[b" " * MIB] * 17), 413),
        (POST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n", 400),
        (POST + b"Transfer-Encoding: chunked\r\n\r\n-2\r\n{}\r\n0\r\n\r\n", 400),
        (POST + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}x\r\n0\r\n\r\n", 400),
        (POST + b"Transfer-Encoding: chunked\r\n\r\n" + b"1" * 20_000, 400),
        (POST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (POST + b"Transfer-Encoding: unknown\r\n\r\n0\r\n\r\n", 501),
        (POST + b"Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n2\r\n{}\r\n0\r\n\r\n", 400),
    ],
    ids=["long object", "long", "no size", "negative", "no end", "endless size", "empty", "unknown", "length too"],
)
def test_invalid_chunks_are_refused(served: Served, request_: bytes, status: int) -> None:
    assert_problem(exchange(served, request_), status)


@pytest.mark.parametrize("length", ["-1", "abc", "1e3", "+5", "0x10", "1_0", "1.0", "", "5, 6", "9" * 30])
def test_an_invalid_content_length_is_refused(served: Served, length: str) -> None:
    answered = exchange(served, with_length(body(), length))

    assert_problem(answered, 413 if length == "9" * 30 else 400)


def test_a_body_that_ends_too_soon_is_refused(served: Served) -> None:
    content = body()

    assert_problem(exchange(served, with_length(content, len(content) + 100), ends=True), 400)
    assert_problem(exchange(served, chunked(content)[:-10], ends=True), 400)


@pytest.mark.parametrize(
    "request_", [with_length(b'{"id": 1', 100), chunked(b'{"id": 1')[:-5]], ids=["length", "chunks"]
)
def test_a_body_that_stalls_gets_408_and_the_connection_closes(served: Served, request_: bytes) -> None:
    with connected(served) as connection:
        connection.sendall(request_)
        answered = answer(connection)
        rest = connection.recv(1)

    assert_problem(answered, 408)
    assert answered.seconds < 5
    assert answered.headers["connection"] == "close"
    assert rest == b""


def test_a_body_that_trickles_in_gets_408(served: Served) -> None:
    with connected(served) as connection:
        connection.sendall(with_length(b"", 1000))
        began = time.monotonic()
        waiting = poll()
        waiting.register(connection, POLLIN)
        while not waiting.poll(200):
            assert time.monotonic() - began < 10
            connection.sendall(b" ")
        answered = answer(connection)

    assert_problem(answered, 408)


def test_a_short_content_length_cuts_the_body_and_the_rest_is_no_request(served: Served) -> None:
    content = body()

    with connected(served) as connection:
        connection.sendall(with_length(content, len(content) - 5) + b"\r\n\r\n")
        answered = until_closed(connection)

    assert statuses(answered) == [400, 400]


def test_a_body_without_a_length_is_empty(served: Served) -> None:
    assert_problem(exchange(served, POST + b"\r\n"), 400)


def test_pipelined_requests_are_answered_in_order(served: Served) -> None:
    first, second = body(), body()

    with connected(served) as connection:
        last = chunked(second).replace(b"Host:", b"Connection: close\r\nHost:", 1)
        connection.sendall(with_length(first) + b"GET /livez HTTP/1.1\r\nHost: test\r\n\r\n" + last)
        answered = until_closed(connection)

    assert statuses(answered) == [200, 200, 200]
    ids = [json.loads(content)["id"].encode() for content in (first, second)]
    assert answered.index(ids[0]) < answered.index(b'"up"') < answered.index(ids[1])


def test_expect_100_continue_is_answered(served: Served) -> None:
    content = body()

    with connected(served) as connection:
        connection.sendall(POST + f"Content-Length: {len(content)}\r\nExpect: 100-continue\r\n\r\n".encode())
        go_on = connection.recv(25)
        connection.sendall(content)
        answered = answer(connection)

    assert go_on.startswith(b"HTTP/1.1 100 Continue")
    assert answered.status == 200


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET /" + b"x" * 5000 + b" HTTP/1.1\r\n\r\n", 414),
        (b"GET /" + b"x" * 1_000_000, 414),
        (b"GET /livez HTTP/1.1\r\n" + b"".join(b"X-%d: 1\r\n" % i for i in range(101)) + b"\r\n", 431),
        (b"GET /livez HTTP/1.1\r\nX: " + b"x" * 9000 + b"\r\n\r\n", 431),
        (b"GET /livez HTTP/1.1\r\nX: a\0b\r\n\r\n", 400),
        (b"GET /livez HTTP/1.1\r\nX : a\r\n\r\n", 400),
        (b"GET /livez HTTP/9.9\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
        (b"hello\r\n\r\n", 400),
        (with_length(b"{}").replace(b"\r\n\r\n", b"\r\nExpect: tea\r\n\r\n"), 417),
        (with_length(b"{}").replace(b"\r\n\r\n", b"\r\nContent-Encoding: gzip\r\n\r\n"), 415),
        (b"GET /livez HTTP/1.1\r\n\r\n", 400),
        (b"GET /livez HTTP/1.1\r\nHost: a\r\nConnection: close, keep-alive\r\n\r\n", 400),
        (POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501),
    ],
    ids=[
        "url",
        "endless url",
        "headers",
        "header",
        "nul",
        "space",
        "version",
        "tls",
        "text",
        "expect",
        "gzip",
        "no host",
        "options",
        "codings",
    ],
)
def test_an_invalid_head_is_refused(served: Served, request_: bytes, status: int) -> None:
    assert_problem(exchange(served, request_), status)


@pytest.mark.parametrize("line", [b"Transfer-Encoding: gzip, chunked", b"Connection: close, keep-alive"])
def test_the_body_of_a_refused_head_is_no_request(served: Served, line: bytes) -> None:
    with connected(served) as connection:
        connection.sendall(POST + line + b"\r\n\r\nGET /livez HTTP/1.1\r\nHost: test\r\n\r\n")
        answered = until_closed(connection)

    assert statuses(answered) in ([400], [501])


@pytest.mark.parametrize(
    "path", [b"/%00", b"/\xff", b"/%ff%fe", b"/../../etc/passwd", b"//predict//", b"/predict?" + b"a" * 3000]
)
def test_any_url_is_answered_without_a_5xx(served: Served, path: bytes) -> None:
    answered = exchange(served, b"GET " + path + b" HTTP/1.1\r\nHost: test\r\n\r\n")

    assert answered.status in (400, 404, 405)
    assert answered.json["status"] == answered.status


def test_a_long_object_is_refused_before_all_of_it_has_arrived(served: Served) -> None:
    beginning = b'{"id": "' + b"x" * 2 * MIB

    assert_problem(exchange(served, with_length(beginning, 10 * MIB)), 413)


def test_a_long_array_may_begin_after_white_space(served: Served) -> None:
    many = b" \r\n\t" * 10_000 + b"[" + b",".join(body() for _ in range(5)) + b" " * MIB + b"]"

    assert exchange(served, with_length(many)).status == 200
    assert exchange(served, chunked(many)).headers["idempotent-replayed"] == "true"


@pytest.mark.parametrize(
    "head",
    [
        POST.replace(b"json", b"text") + b"Connection: close\r\nContent-Length: 4194304\r\n\r\n",
        POST.replace(b"1.1", b"1.0") + b"Content-Length: 41943040\r\n\r\n",
        POST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"GET /livez HTTP/1.1\r\nX: ",
    ],
    ids=["close", "1.0", "chunk", "header"],
)
def test_a_client_refused_while_it_sends_still_gets_the_response(served: Served, head: bytes) -> None:
    with connected(served) as connection:
        connection.sendall(head)
        for _ in range(4):
            connection.sendall(b"x" * MIB)
        answered = until_closed(connection)

    assert statuses(answered) in ([400], [413], [415], [431])

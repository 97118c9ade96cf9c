"""The requests of a connection are read in order with their bodies, plain heads and others alike, and nothing leaks
from one to another."""

import socket
from collections.abc import Callable, Iterator
from threading import Thread

import pytest
from gunicorn.config import Config
from gunicorn.http.errors import InvalidHeader, InvalidHeaderName, LimitRequestHeaders, UnsupportedTransferCoding

from service.server.plain_heads import PlainHeads
from service.server.request_reader import Request, RequestReader

LISTENER = ("127.0.0.1", 5000)
POST = b"POST /predict?a=b HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"

Connect = Callable[..., tuple[socket.socket, RequestReader]]


@pytest.fixture
def connect() -> Iterator[Connect]:
    """Makes connections: the client's socket, and a reader of the other end."""
    ends: list[socket.socket] = []
    config = Config()
    heads = PlainHeads(config)

    def connection(peer: tuple[str, int] = ("127.0.0.1", 4000)) -> tuple[socket.socket, RequestReader]:
        client, server = socket.socketpair()
        ends.extend((client, server))
        return client, RequestReader(config, server, peer, LISTENER, heads, 5.0)

    yield connection
    for end in ends:
        end.close()


def post(body: bytes) -> bytes:
    return POST % (len(body), body)


def read(requests: RequestReader) -> Request:
    request = requests.read()
    assert request is not None
    return request


def environ_values(request: Request) -> dict[str, object]:
    """The plain values of a request's environment."""
    return {name: value for name, value in request.environ.items() if isinstance(value, str | bool | tuple)}


def test_the_same_head_again_gives_the_same_values_and_its_own_body(connect: Connect) -> None:
    client, requests = connect()

    client.sendall(post(b"one"))
    first = read(requests)
    assert first.environ["wsgi.input"].read(3) == b"one"
    client.sendall(post(b"two"))
    second = read(requests)

    assert second.environ["wsgi.input"].read(3) == b"two"
    assert environ_values(second) == environ_values(first)
    assert second.environ["QUERY_STRING"] == "a=b"
    assert second.environ is not first.environ


@pytest.mark.parametrize("missing", [0, 3])
@pytest.mark.parametrize(
    "lines",
    [
        b"POST /a%20b?c=d HTTP/1.1\r\nHost: a\r\nX-Request-Id: 1",
        b"POST /a HTTP/1.1\r\nHost: a\r\nConnection: close",
        b"HEAD /a HTTP/1.0\r\nX-Forwarded-Proto: https",
        b"POST /a HTTP/1.0\r\nConnection: keep-alive",
    ],
)
def test_a_plain_head_gives_the_same_request_as_with_an_empty_line_before_it(
    connect: Connect, lines: bytes, missing: int
) -> None:
    found = []
    for before in (b"", b"\r\n"):  # gunicorn parses a head after an empty line
        client, requests = connect()
        message = before + lines + b'\r\nContent-Length: 9\r\n\r\n{"a": 12}'
        client.sendall(message[: len(message) - missing])
        request = read(requests)
        client.sendall(message[len(message) - missing :])
        found.append((environ_values(request), request[1:], request.environ["wsgi.input"].read(9)))

    assert found[0] == found[1]
    assert found[0][2] == b'{"a": 12}'


@pytest.mark.parametrize("length", [2**19, 2**19 + 1])  # a long body is read in steps
def test_a_long_body_is_read_to_its_last_byte(connect: Connect, length: int) -> None:
    client, requests = connect()
    body = b"x" * (length - 1) + b"y"
    sender = Thread(target=client.sendall, args=(post(body),))
    sender.start()

    found = read(requests).environ["wsgi.input"].read(length)
    sender.join()

    assert found == body


def test_a_change_of_one_environment_is_not_in_the_next(connect: Connect) -> None:
    client, requests = connect()

    for _ in range(3):
        client.sendall(post(b"one"))
        request = read(requests)
        assert "left.behind" not in request.environ
        request.environ["left.behind"] = True


def test_requests_that_arrive_together_are_read_one_by_one(connect: Connect) -> None:
    client, requests = connect()

    client.sendall(b"".join(post(b"%03d" % i) for i in range(20)))

    assert [read(requests).environ["wsgi.input"].read(3) for _ in range(20)] == [b"%03d" % i for i in range(20)]


def test_an_unread_body_is_skipped(connect: Connect) -> None:
    client, requests = connect()

    for _ in range(2):
        client.sendall(post(b"GET /livez HTTP/1.1\r\n\r\n") + b"GET /readyz HTTP/1.1\r\nHost: test\r\n\r\n")
        assert read(requests).environ["PATH_INFO"] == "/predict"
        assert read(requests).environ["PATH_INFO"] == "/readyz"


def test_the_unread_rest_of_a_body_is_skipped_when_it_arrives(connect: Connect) -> None:
    client, requests = connect()
    client.sendall(post(b"GET /livez HTTP/1.1\r\n\r\n")[:-9])
    body = read(requests).environ["wsgi.input"]

    client.sendall(b"1.1\r\n\r\n--" + b"GET /readyz HTTP/1.1\r\nHost: test\r\n\r\n")

    assert body.read(3) == b"GET"
    assert read(requests).environ["PATH_INFO"] == "/readyz"


def test_a_head_waits_for_the_rest_of_its_body(connect: Connect) -> None:
    client, requests = connect()
    client.sendall(post(b"whole"))
    read(requests).environ["wsgi.input"].read(5)

    client.sendall(post(b"parts")[:-3])
    request = read(requests)
    client.sendall(b"rts")

    assert request.environ["wsgi.input"].read(5) == b"parts"


def test_each_peer_has_its_own_address_port_and_trust(connect: Connect) -> None:
    seen = []
    for peer in (("127.0.0.1", 4000), ("10.0.0.9", 4001), ("127.0.0.1", 4002)):
        client, requests = connect(peer)
        client.sendall(b"GET /livez HTTP/1.1\r\nHost: test\r\nX-Forwarded-Proto: https\r\n\r\n")
        environ = read(requests).environ
        seen.append((environ["REMOTE_ADDR"], environ["REMOTE_PORT"], environ["wsgi.url_scheme"]))

    # gunicorn trusts this header from the loopback interface only.
    assert seen == [
        ("127.0.0.1", "4000", "https"),
        ("10.0.0.9", "4001", "http"),
        ("127.0.0.1", "4002", "https"),
    ]


def test_an_invalid_head_is_refused_each_time(connect: Connect) -> None:
    for _ in range(2):
        client, requests = connect()
        client.sendall(b"GET / HTTP/1.1\r\nHo st: test\r\n\r\n")
        with pytest.raises(InvalidHeaderName):
            requests.read()


def test_the_limits_of_gunicorn_apply(connect: Connect) -> None:
    client, requests = connect()
    client.sendall(b"GET / HTTP/1.1\r\nHost: test\r\nX-Long: " + b"x" * 9000 + b"\r\n\r\n")

    with pytest.raises(LimitRequestHeaders):
        requests.read()


@pytest.mark.parametrize(
    ("lines", "error"),
    [
        (b"Host: a\r\nConnection: close, keep-alive", InvalidHeader),
        (b"Host: a\r\nConnection: Keep-Alive\r\nConnection: x,\tClose", InvalidHeader),
        (b"X-Host: a", InvalidHeader),
        (b"Host: a\r\nHost: a", InvalidHeader),
        (b"Host: a\r\nTransfer-Encoding: gzip, chunked", UnsupportedTransferCoding),
        (b"Host: a\r\nTransfer-Encoding: gzip\r\nTransfer-Encoding: chunked", UnsupportedTransferCoding),
        (b"Host: a\r\nTransfer-Encoding: identity, chunked", UnsupportedTransferCoding),
        (b"Host: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked", InvalidHeader),
    ],
)
def test_a_head_with_unclear_framing_is_refused_each_time(
    connect: Connect, lines: bytes, error: type[Exception]
) -> None:
    for _ in range(2):
        client, requests = connect()
        client.sendall(b"POST /predict HTTP/1.1\r\n" + lines + b"\r\n\r\n0\r\n\r\n")
        with pytest.raises(error):
            requests.read()


@pytest.mark.parametrize(
    ("version", "value", "closes"),
    [
        (b"1.1", b"close", True),
        (b"1.1", b"x, close", True),
        (b"1.1", b"x, Keep-Alive", False),
        (b"1.1", b"upgrade\r\nConnection: close", True),
        (b"1.0", b"keep-alive", False),
        (b"1.0", b"x", True),
    ],
)
def test_the_options_of_all_connection_headers_count(
    connect: Connect, version: bytes, value: bytes, closes: bool
) -> None:
    client, requests = connect()
    for _ in range(2):
        client.sendall(b"GET / HTTP/%b\r\nHost: a\r\nConnection: %b\r\n\r\n" % (version, value))
        assert read(requests).closes is closes


def test_http_1_0_needs_no_host(connect: Connect) -> None:
    client, requests = connect()
    client.sendall(b"GET /livez HTTP/1.0\r\n\r\n")

    assert read(requests).environ["PATH_INFO"] == "/livez"


@pytest.mark.parametrize(
    ("framing", "is_broken"),
    [
        (b"Content-Length: 1000", False),
        (b"Content-Length: 1000000", True),
        (b"Transfer-Encoding: chunked", True),
    ],
)
def test_a_connection_ends_after_a_body_that_is_mostly_unread(
    connect: Connect, framing: bytes, is_broken: bool
) -> None:
    client, requests = connect()

    client.sendall(b"POST /predict HTTP/1.1\r\nHost: test\r\n" + framing + b"\r\n\r\n5\r\nabcde\r\n")

    assert read(requests).is_broken == is_broken


def test_a_long_body_is_read_in_steps(connect: Connect) -> None:
    client, requests = connect()
    body = b"0123456789" * 10_000 + b"x" * 200_000
    Thread(target=client.sendall, args=(post(body),)).start()

    request = read(requests)

    assert request.environ["wsgi.input"].read(300_000) == body
    assert not request.is_broken

"""A head that was seen before means what it meant, and nothing of another request, another peer or another body."""

import socket
from collections.abc import Callable, Iterator

import pytest
from gunicorn.config import Config
from gunicorn.http.errors import InvalidHeaderName, LimitRequestHeaders

from service.server.request_reader import HeadCache, Request, RequestReader

LISTENER = ("127.0.0.1", 5000)
POST = b"POST /predict?a=b HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"

Connect = Callable[..., tuple[socket.socket, RequestReader]]


@pytest.fixture
def connect() -> Iterator[Connect]:
    """Makes connections: the client's end, and the requests that arrive on the other."""
    ends: list[socket.socket] = []
    heads = HeadCache()

    def connection(peer: tuple[str, int] = ("127.0.0.1", 4000)) -> tuple[socket.socket, RequestReader]:
        client, server = socket.socketpair()
        ends.extend((client, server))
        return client, RequestReader(Config(), server, peer, LISTENER, heads, 5.0)

    yield connection
    for end in ends:
        end.close()


def post(body: bytes) -> bytes:
    return POST % (len(body), body)


def next_of(requests: RequestReader) -> Request:
    request = requests.read()
    assert request is not None
    return request


def said(request: Request) -> dict[str, object]:
    """What the environment says of a request, without the objects that it is read and answered by."""
    return {name: value for name, value in request.environ.items() if isinstance(value, str | bool | tuple)}


def test_a_head_seen_before_says_the_same_and_has_its_own_body(connect: Connect) -> None:
    client, requests = connect()

    client.sendall(post(b"one"))
    first = next_of(requests)
    assert first.environ["wsgi.input"].read(3) == b"one"
    client.sendall(post(b"two"))
    second = next_of(requests)

    assert second.environ["wsgi.input"].read(3) == b"two"
    assert said(second) == said(first)
    assert second.environ["QUERY_STRING"] == "a=b"
    assert second.environ is not first.environ


def test_what_a_request_leaves_in_its_environment_is_not_in_the_next(connect: Connect) -> None:
    client, requests = connect()

    for _ in range(3):
        client.sendall(post(b"one"))
        request = next_of(requests)
        assert "left.behind" not in request.environ
        request.environ["left.behind"] = True


def test_requests_that_arrive_together_are_read_one_by_one(connect: Connect) -> None:
    client, requests = connect()

    client.sendall(b"".join(post(b"%03d" % i) for i in range(20)))

    assert [next_of(requests).environ["wsgi.input"].read(3) for _ in range(20)] == [b"%03d" % i for i in range(20)]


def test_a_body_that_is_left_unread_is_no_request(connect: Connect) -> None:
    client, requests = connect()

    for _ in range(2):
        client.sendall(post(b"GET /livez HTTP/1.1\r\n\r\n") + b"GET /readyz HTTP/1.1\r\nHost: test\r\n\r\n")
        assert next_of(requests).environ["PATH_INFO"] == "/predict"
        assert next_of(requests).environ["PATH_INFO"] == "/readyz"


def test_a_known_head_whose_body_is_still_on_its_way_waits_for_it(connect: Connect) -> None:
    client, requests = connect()
    client.sendall(post(b"whole"))
    next_of(requests).environ["wsgi.input"].read(5)

    client.sendall(post(b"parts")[:-3])
    request = next_of(requests)
    client.sendall(b"rts")

    assert request.environ["wsgi.input"].read(5) == b"parts"


def test_another_peer_is_another_peer(connect: Connect) -> None:
    seen = []
    for peer in (("127.0.0.1", 4000), ("10.0.0.9", 4001), ("127.0.0.1", 4002)):
        client, requests = connect(peer)
        client.sendall(b"GET /livez HTTP/1.1\r\nHost: test\r\nX-Forwarded-Proto: https\r\n\r\n")
        environ = next_of(requests).environ
        seen.append((environ["REMOTE_ADDR"], environ["REMOTE_PORT"], environ["wsgi.url_scheme"]))

    # gunicorn believes what the header says from the loopback interface only.
    assert seen == [
        ("127.0.0.1", "4000", "https"),
        ("10.0.0.9", "4001", "http"),
        ("127.0.0.1", "4002", "https"),
    ]


def test_a_head_that_is_refused_is_refused_again(connect: Connect) -> None:
    for _ in range(2):
        client, requests = connect()
        client.sendall(b"GET / HTTP/1.1\r\nHo st: test\r\n\r\n")
        with pytest.raises(InvalidHeaderName):
            requests.read()


def test_the_limits_of_gunicorn_hold_for_heads_too_long_to_be_kept(connect: Connect) -> None:
    client, requests = connect()
    client.sendall(b"GET / HTTP/1.1\r\nHost: test\r\nX-Long: " + b"x" * 9000 + b"\r\n\r\n")

    with pytest.raises(LimitRequestHeaders):
        requests.read()


def test_heads_are_forgotten_when_there_are_too_many(connect: Connect) -> None:
    client, requests = connect()
    for i in range(1100):
        client.sendall(b"GET /%d HTTP/1.1\r\nHost: test\r\n\r\n" % i)
        assert next_of(requests).environ["PATH_INFO"] == f"/{i}"

    assert 0 < len(requests._heads) <= 1024

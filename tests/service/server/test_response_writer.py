"""A response is framed by its length, by chunks or by the end of the connection, and no header splits it."""

import socket
from types import SimpleNamespace
from typing import Any

import pytest
from gunicorn.config import Config

from service.server.plain_heads import PlainHeads
from service.server.request_reader import RequestReader
from service.server.response_writer import ResponseWriter

GET = b"GET / HTTP/1.1\r\nHost: test\r\n\r\n"


def respond(request: bytes, headers: list[tuple[str, str]], *parts: bytes) -> tuple[bytes, bool]:
    """The bytes that a client gets for its request, and whether the connection closes."""
    client, server = socket.socketpair()
    with client, server:
        client.sendall(request)
        found = RequestReader(
            Config(), server, ("127.0.0.1", 4000), ("127.0.0.1", 5000), PlainHeads(Config()), 5.0
        ).read()
        assert found is not None
        writer = ResponseWriter(server.sendall, found, closes=False)
        writer.start("200 OK", headers)
        writer.send(parts)
        return client.recv(65536), writer.closes


def test_a_response_with_a_length_is_sent_in_one_piece() -> None:
    sent, closes = respond(GET, [("Content-Length", "4")], b"{}\r\n")

    head, _, body = sent.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"\r\nConnection: keep-alive" in head
    assert b"\r\nDate: " in head
    assert b"\r\nServer" not in head
    assert body == b"{}\r\n"
    assert not closes


def test_a_response_without_a_length_is_framed_by_chunks_or_by_closing() -> None:
    chunks, closes = respond(GET, [], b"ab", b"", b"c")
    assert b"\r\nTransfer-Encoding: chunked\r\n" in chunks
    assert chunks.partition(b"\r\n\r\n")[2] == b"2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"
    assert not closes

    plain, closes = respond(b"GET / HTTP/1.0\r\n\r\n", [], b"ab", b"c")
    assert plain.partition(b"\r\n\r\n")[2] == b"abc"
    assert b"chunked" not in plain
    assert closes


def test_a_long_body_that_was_not_read_closes_the_connection() -> None:
    head = b"POST / HTTP/1.1\r\nHost: test\r\nContent-Length: %d\r\n\r\n"

    assert respond(head % 10_000_000 + b"{}", [("Content-Length", "2")], b"{}")[1]
    assert not respond(head % 2 + b"{}", [("Content-Length", "2")], b"{}")[1]


def test_a_short_response_closes_the_connection_and_a_long_one_is_cut() -> None:
    _, closes = respond(GET, [("Content-Length", "9")], b"short")
    assert closes

    sent, closes = respond(GET, [("Content-Length", "2")], b"longer")
    assert sent.endswith(b"\r\n\r\nlo")
    assert not closes


def test_the_response_to_head_has_no_body() -> None:
    sent, closes = respond(b"HEAD / HTTP/1.1\r\nHost: test\r\n\r\n", [("Content-Length", "5")], b"hello")

    assert b"Content-Length: 5" in sent
    assert sent.endswith(b"\r\n\r\n")
    assert not closes


@pytest.mark.parametrize("value", ["a\r\nSet-Cookie: b", "a\nb", "a\0"])
def test_a_header_with_a_line_break_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match="line break"):
        respond(GET, [("X-Request-ID", value)], b"")


def test_an_error_after_the_start_of_a_response_is_raised() -> None:
    request: Any = SimpleNamespace(closes=False, is_broken=False, is_head=False, is_http_1_1=True)
    writer = ResponseWriter(lambda data: None, request, closes=False)
    error = ValueError("too late")

    writer.start("200 OK", [("Content-Length", "4")])
    writer.start("500 Internal Server Error", [], (ValueError, error, None))
    writer.write(b"{}")

    with pytest.raises(ValueError, match="too late"):
        writer.start("500 Internal Server Error", [], (ValueError, error, None))

"""A head that the parser of plain heads takes gives what gunicorn's parser makes of it. The heads of typical clients
are taken; whatever is not plain is not."""

from typing import Any

import pytest
from gunicorn.config import Config
from gunicorn.http.errors import ParseException
from gunicorn.http.parser import RequestParser
from hypothesis import example, given, settings
from hypothesis import strategies as st

from service.server.plain_heads import Head, Origin, PlainHeads, environ_of

LISTENER = ("127.0.0.1", 5000)
TRUSTED, STRANGER = ("127.0.0.1", 4000), ("10.0.0.9", 4001)
TRACED = "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
JSON = "Content-Type: application/json"

TYPICAL = {
    "curl": [
        "POST /predict HTTP/1.1",
        "Host: a:5000",
        "User-Agent: curl/8.5.0",
        "Accept: */*",
        JSON,
        "Content-Length: 9",
    ],
    "requests": [
        "POST /predict HTTP/1.1",
        "Host: a:5000",
        "User-Agent: python-requests/2.32.5",
        "Accept-Encoding: gzip, deflate, br, zstd",
        "Accept: */*",
        "Connection: keep-alive",
        "Content-Length: 9",
        JSON,
        "Authorization: Bearer 8Zk-_0~./+=",
        TRACED,
    ],
    "urllib3": [
        "GET /log?limit=10&after=4 HTTP/1.1",
        "Host: a",
        "Accept-Encoding: identity",
        "User-Agent: urllib3/2.5.0",
    ],
    "aiohttp": [
        "GET /openapi.json HTTP/1.1",
        "Host: [::1]:5000",
        "Accept: */*",
        "Accept-Encoding: gzip, deflate",
        "User-Agent: Python/3.11 aiohttp/3.13.0",
    ],
    "go": [
        "POST /update HTTP/1.1",
        "Host: a:5000",
        "User-Agent: Go-http-client/1.1",
        "Content-Length: 9",
        JSON,
        "X-Request-Id: 0b9f1c1e-8b0c-4b5c-9d52-0a3f8b1f3a55",
        "Accept-Encoding: gzip",
    ],
    "browser behind a router": [
        "GET /performance?since=2026-11-01T00%3A00%3A00%2B01%3A00&by=a HTTP/1.1",
        "Host: example.herokuapp.com",
        "Connection: keep-alive",
        'sec-ch-ua: "Chromium";v="130", "Not?A_Brand";v="99"',
        "sec-ch-ua-mobile: ?0",
        "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0",
        "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
        "Cookie: a=b; c=d",
        "X-Request-Id: 0b9f1c1e-8b0c-4b5c-9d52-0a3f8b1f3a55",
        "X-Forwarded-For: 203.0.113.9, 10.1.2.3",
        "X-Forwarded-Proto: https",
        "X-Forwarded-Port: 443",
        "Via: 1.1 vegur",
        "Connect-Time: 0",
        "X-Request-Start: 1764446400000",
        TRACED,
    ],
    "proxy": ["POST /predict HTTP/1.0", "Host: a", "X-Real-IP: 203.0.113.9", "Connection: close", "Content-Length: 9"],
    "wrk": ["GET /livez HTTP/1.1", "Host: 127.0.0.1:5000"],
    "percent-encoded": ["GET /predictions/a%20b%C3%A9%00%zz HTTP/1.1", "Host: a"],
}

NOT_PLAIN = [
    "",
    "GET",
    "GET /",
    "GET / HTTP/1.1",
    "GET / HTTP/1.1\r\nHost",
    "GET / HTTP/1.1\r\nHost a",
    "GET / HTTP/1.1\r\nHost: a\r\nX",
    "GET / HTTP/1.1\r\nHost : a",
    "GET / HTTP/1.1\r\n Host: a",
    "GET / HTTP/1.1\r\n: a\r\nHost: a",
    "GET / HTTP/1.1\r\nHost: a\r\n b",
    "GET / HTTP/1.1\r\nHost: a\r\n\tb: c",
    "GET / HTTP/1.1\r\nHost: a\nX: b",
    "GET / HTTP/1.1\r\nHost: a\rX: b",
    "GET / HTTP/1.1\nHost: a",
    "GET / HTTP/1.1\r\nHost: a\r\nX: \0",
    "GET / HTTP/1.1\r\nHost: a\r\nX: \x7f",
    "GET / HTTP/1.1\r\nHost: a\r\nX: \x80",
    "GET / HTTP/1.1\r\nHost: a\r\nX: b\tc",
    "GET / HTTP/1.1\r\nHost: a\r\nX(: b",
    "GET / HTTP/1.1\r\nHost: a\r\nHost: a",
    "GET / HTTP/1.1\r\nHost: a\r\nX: b\r\nx: c",
    "GET / HTTP/1.1\r\nHost: a\r\nX_Y: b",
    "GET / HTTP/1.1\r\nHost: a\r\nSCRIPT_NAME: /",
    "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: h2c",
    "GET / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue",
    "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked",
    "GET / HTTP/1.1\r\nHost: a\r\ntransfer-encoding: identity",
    "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 5",
    "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 5",
    *(
        f"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: {length}"
        for length in ["", "-1", "+1", "1, 1", "0x1", "1_0", "1 0"]
    ),
    "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 9999999999999999",
    *(
        f"GET / HTTP/1.1\r\nHost: a\r\nConnection: {value}"
        for value in ["", "upgrade", "close, x", "close, keep-alive"]
    ),
    "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nConnection: keep-alive",
    *(
        f"GET {target} HTTP/1.1\r\nHost: a"
        for target in ["//", "*", "http://a/", "a:80", "/#a", "/?a#b", "a", "/a b", " /", ""]
    ),
    *(f"{method} / HTTP/1.1\r\nHost: a" for method in ["get", "CONNECT", "TRACE", "G", "", "GET\t", " GET", "PROXY"]),
    *(
        f"GET / {version}\r\nHost: a"
        for version in ["", "HTTP/1.2", "HTTP/2.0", "HTTP/0.9", "http/1.1", "HTTP/1.1 ", "HTTP/11"]
    ),
    "\r\nGET / HTTP/1.1\r\nHost: a",
    "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Ssl: on",
    "GET / HTTP/1.1\r\nHost: a\r\n" + "\r\n".join(f"X-{i}: a" for i in range(100)),
]


def origin_of(heads: PlainHeads, peer: tuple[str, int]) -> Origin:
    origin = heads.origin(peer, LISTENER)
    assert origin is not None
    return origin


CONFIG = Config()
HEADS = PlainHeads(CONFIG)
ORIGINS = {peer: origin_of(HEADS, peer) for peer in (TRUSTED, STRANGER)}


def encoded(*lines: str) -> bytes:
    return "\r\n".join([*lines, "\r\n"]).encode("latin-1")


def by_gunicorn(head: bytes, peer: tuple[str, int], config: Config = CONFIG) -> Head:
    """What gunicorn makes of a head, with the length of its body and whether it closes. Raises its errors."""
    parser = RequestParser(config, iter([head]), peer)
    message = next(parser)
    assert parser.unreader.read() == b""
    length = message.body.reader.length
    return Head(environ_of(message, None, peer, LISTENER, config), length, message.should_close())


def values(head: Head) -> dict[str, Any]:
    """The values of an environment, without gunicorn's stream of errors: each has its own."""
    return {name: value for name, value in head.environ.items() if name != "wsgi.errors"}


def assert_equal(plain: Head, head: bytes, peer: tuple[str, int], config: Config = CONFIG) -> None:
    theirs = by_gunicorn(head, peer, config)
    assert (values(plain), plain.length, plain.closes) == (values(theirs), theirs.length, theirs.closes)


@pytest.mark.parametrize("peer", [TRUSTED, STRANGER])
@pytest.mark.parametrize("lines", TYPICAL.values(), ids=TYPICAL)
def test_the_heads_of_typical_clients_are_plain(lines: list[str], peer: tuple[str, int]) -> None:
    plain = HEADS.parse(encoded(*lines), ORIGINS[peer])

    assert plain is not None
    assert_equal(plain, encoded(*lines), peer)


@pytest.mark.parametrize("head", NOT_PLAIN)
def test_a_head_with_anything_to_decide_is_left_to_gunicorn(head: str) -> None:
    assert HEADS.parse(encoded(head), ORIGINS[TRUSTED]) is None


# ---- Generated heads

TOKEN = st.text(st.sampled_from("abcXYZ019!#$%&'*+.^`|~-"), min_size=1, max_size=8)
PRINTABLE = st.characters(min_codepoint=0x20, max_codepoint=0x7E)
PATH = st.text(st.sampled_from("aZ09/%2fFcC3.;:@!$&'()*+,=-_~[]{}|\\\"<>^`"), max_size=20).filter(
    lambda path: path[:1] != "/"
)
QUERY = st.text(st.sampled_from("aZ09/%2fF?.;:@!$&'()*+,=-_~[]{}|\\\"<>^`"), max_size=20)
SPACES = st.text(" ", max_size=2)
FORWARDED = st.sampled_from(
    ["X-Forwarded-Proto: https", "x-forwarded-proto: http", "X-FORWARDED-SSL: on", "X-Forwarded-Protocol: HTTPS"]
)
CONNECTION = st.sampled_from(["Connection: close", "connection:Keep-Alive", "CONNECTION:  CLOSE "])
LENGTH = st.integers(0, 10**15 - 1).map(lambda length: f"Content-length: {length}")


@st.composite
def plain_heads(draw: st.DrawFn) -> bytes:
    """The heads that are plain by their making, with a Host."""
    method = draw(st.sampled_from(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]))
    query = draw(st.none() | QUERY)
    target = "/" + draw(PATH) + ("" if query is None else f"?{query}")
    names = draw(st.lists(TOKEN, max_size=6, unique_by=str.upper))
    free = [f"{name}:{draw(SPACES)}{draw(st.text(PRINTABLE, max_size=20))}" for name in names]
    known = [draw(each) for each in (FORWARDED, CONNECTION, LENGTH) if draw(st.booleans())]
    fields = draw(st.permutations(["Host: a", *known, *free]))
    return encoded(f"{method} {target} HTTP/{draw(st.sampled_from(['1.0', '1.1']))}", *fields)


@settings(max_examples=300, deadline=None)
@given(plain_heads(), st.sampled_from([TRUSTED, STRANGER]))
def test_a_plain_head_gives_what_gunicorn_makes_of_it(head: bytes, peer: tuple[str, int]) -> None:
    plain = HEADS.parse(head, ORIGINS[peer])

    assert plain is not None
    assert_equal(plain, head, peer)


MARKS = st.sampled_from(
    [
        b"\r",
        b"\n",
        b"\r\n",
        b"\t",
        b" ",
        b":",
        b"\0",
        b"\x7f",
        b"\x85",
        b"\xa0",
        b"\xff",
        b"_",
        b",",
        b"#",
        b"/",
        b"HTTP/1.1",
    ]
) | st.sampled_from(
    [
        b"Host: b\r\n",
        b"Expect: x\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"Content-Length: 7\r\n",
        b"Connection: close\r\n",
    ]
)


@pytest.mark.long
@settings(max_examples=3000, deadline=None)
@given(plain_heads(), st.data(), st.sampled_from([TRUSTED, STRANGER]))
def test_a_damaged_head_is_left_to_gunicorn_or_gives_the_same(
    head: bytes, data: st.DataObject, peer: tuple[str, int]
) -> None:
    for _ in range(data.draw(st.integers(0, 2))):
        start = data.draw(st.integers(0, len(head)))
        stop = start + data.draw(st.integers(0, 3))
        head = head[:start] + data.draw(MARKS | st.just(b"") | st.binary(max_size=2)) + head[stop:]
    end = head.find(b"\r\n\r\n") + 4
    if end < 4:
        return

    plain = HEADS.parse(head[:end], ORIGINS[peer])

    if plain is not None:
        assert_equal(plain, head[:end], peer)


@settings(max_examples=200, deadline=None)
@example(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
@given(
    st.binary(max_size=60).map(
        lambda some: b"GET / HTTP/1.1\r\nHost: a\r\n" + some.replace(b"\r\n\r\n", b"") + b"\r\n\r\n"
    )
)
def test_a_head_that_gunicorn_refuses_is_never_plain(head: bytes) -> None:
    head = head[: head.find(b"\r\n\r\n") + 4]
    try:
        by_gunicorn(head, STRANGER)
    except ParseException:
        assert HEADS.parse(head, ORIGINS[STRANGER]) is None


# ---- The configuration


@pytest.mark.parametrize(
    ("changed", "extra"),
    [
        ({"limit_request_line": 20}, "GET /0123456789 HTTP/1.1\r\nHost: a"),
        ({"limit_request_field_size": 30}, "GET / HTTP/1.1\r\nHost: a\r\nX: 0123456789012345678901234567"),
        ({"limit_request_fields": 1}, "GET / HTTP/1.1\r\nHost: a\r\nX: a"),
    ],
)
def test_the_limits_of_the_configuration_apply(changed: dict[str, int], extra: str) -> None:
    config = Config()
    for name, value in changed.items():
        config.set(name, value)
    heads = PlainHeads(config)
    head = encoded(extra)

    assert len(head) > heads.max_bytes or heads.parse(head, origin_of(heads, TRUSTED)) is None
    with pytest.raises(ParseException):
        by_gunicorn(head, TRUSTED, config)


def test_a_limit_of_zero_is_none() -> None:
    config = Config()
    for name in ("limit_request_line", "limit_request_field_size", "limit_request_fields"):
        config.set(name, 0)
    heads = PlainHeads(config)
    head = encoded(*TYPICAL["requests"])

    plain = heads.parse(head, origin_of(heads, TRUSTED))

    assert plain is not None
    assert_equal(plain, head, TRUSTED, config)


def test_as_many_fields_as_gunicorn_takes_are_plain() -> None:
    head = encoded("GET / HTTP/1.1", "Host: a", *(f"X-{i}: a" for i in range(CONFIG.limit_request_fields - 1)))

    plain = HEADS.parse(head, ORIGINS[TRUSTED])

    assert plain is not None
    assert_equal(plain, head, TRUSTED)


@pytest.mark.parametrize("lines", [[], ["X-Forwarded-Proto: http"]])
def test_with_tls_the_scheme_is_https_unless_a_proxy_says_http(lines: list[str]) -> None:
    config = Config()
    config.set("certfile", __file__)
    heads = PlainHeads(config)
    head = encoded("GET / HTTP/1.1", "Host: a", *lines)

    plain = heads.parse(head, origin_of(heads, TRUSTED))

    assert plain is not None
    assert plain.environ["wsgi.url_scheme"] == ("http" if lines else "https")
    assert_equal(plain, head, TRUSTED, config)


@pytest.mark.parametrize("allowed", ["*", "10.0.0.0/8,::1", "127.0.0.1"])
@pytest.mark.parametrize("address", ["127.0.0.1", "10.0.0.9", "::1", "fe80::1%eth0", "no address"])
def test_the_peers_that_gunicorn_trusts_are_trusted(allowed: str, address: str) -> None:
    config = Config()
    config.set("forwarded_allow_ips", allowed)
    heads = PlainHeads(config)
    head = encoded(*TYPICAL["browser behind a router"])

    plain = heads.parse(head, origin_of(heads, (address, 4000)))

    assert plain is not None
    assert_equal(plain, head, (address, 4000), config)


def test_an_empty_scheme_table_leaves_the_scheme() -> None:
    config = Config()
    config.set("secure_scheme_headers", {})
    heads = PlainHeads(config)
    head = encoded(*TYPICAL["browser behind a router"])

    plain = heads.parse(head, origin_of(heads, TRUSTED))

    assert plain is not None
    assert plain.environ["wsgi.url_scheme"] == "http"
    assert_equal(plain, head, TRUSTED, config)


@pytest.mark.parametrize("name", ["/a", "/"])
def test_below_a_script_name_gunicorn_parses_all(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv("SCRIPT_NAME", name)

    assert PlainHeads(Config()).origin(TRUSTED, LISTENER) is None


def test_with_the_proxy_protocol_gunicorn_parses_all() -> None:
    config = Config()
    config.set("proxy_protocol", "auto")

    assert PlainHeads(config).origin(TRUSTED, LISTENER) is None


def test_on_a_unix_socket_gunicorn_parses_all() -> None:
    assert HEADS.origin("", LISTENER) is None
    assert HEADS.origin(TRUSTED, "/tmp/socket") is None


def test_no_environment_is_part_of_another() -> None:
    head = encoded("GET / HTTP/1.1", "Host: a")
    for peer in (TRUSTED, STRANGER, TRUSTED):
        plain = HEADS.parse(head, ORIGINS[peer])
        assert plain is not None
        assert "left.behind" not in plain.environ
        assert plain.environ["REMOTE_ADDR"] == peer[0]
        assert plain.environ["wsgi.multithread"] is True
        plain.environ["left.behind"] = True

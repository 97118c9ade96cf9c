"""No input of a client can start or end a log line or control a terminal. Tested against running servers."""

import re
from pathlib import Path
from typing import Any

import pytest

from tests.service.server.test_development import AS_SERVED, raw
from tests.support.passengers import prediction
from tests.support.served import Served, serve
from tests.support.waiting import until

FORGED = "time=2026-01-01T00:00:00.000Z level=info event=request method=POST path=/forged status=200"
BREAKS = {
    "line feed": "\n",
    "carriage return": "\r",
    "both": "\r\n",
    "vertical tab": "\v",
    "form feed": "\f",
    "file separator": "\x1c",
    "group separator": "\x1d",
    "record separator": "\x1e",
    "next line": "\x85",
    "line separator": "\u2028",
    "paragraph separator": "\u2029",
    "escape": "\x1b[2K\x1b[1A\x1b[31m",
    "backspace": "\b" * 200,
    "bell and delete": "\a\x7f",
    "control sequence introducer": "\x9b2K",
    "right-to-left override": "\u202e",
    "quote": '" event=forged x="',
    "backslash": "\\n\\",
    "space": " ",
}
PAIR = re.compile(r'[a-z_]+=(?:"(?:[^"\\]|\\.)*"|[\w.:/@+\-]+)', re.ASCII)
QUIET = {"LOG_LEVEL": "debug"}


def quoted(text: str) -> str:
    """The text with every byte percent-encoded."""
    return "".join(f"%{byte:02X}" for byte in text.encode())


def head(target: bytes, *headers: bytes, method: bytes = b"GET") -> bytes:
    lines = [method + b" " + target + b" HTTP/1.1", *headers, b"Connection: close", b"Content-Length: 0"]
    return b"\r\n".join(lines) + b"\r\n\r\n"


def send_everywhere(served: Served, text: str) -> None:
    """Sends a text as an id, a column, a path, a query, a method, and in every header that the service reads."""
    bodies: list[Any] = [prediction(text), prediction(text, **{text: 1}), {text: 1}, [prediction(text)] * 7]
    for body in bodies:
        served.post("/predict", body)
        served.post("/update", body)
    served.post("/update", {"id": text, "true_class": text})
    octets = text.encode()
    for sent in (
        head(f"/{quoted(text)}".encode(), b"Host: x"),
        head(f"/model?x={quoted(text)}".encode(), b"Host: x"),
        head(b"/" + octets, b"Host: x"),
        head(b"/model?x=" + octets, b"Host: x"),
        head(b"/model", b"Host: " + octets),
        head(b"/model", b"Host: x", b"X-Request-ID: " + octets),
        head(b"/model", b"Host: x", b"User-Agent: " + octets, b"X-Forwarded-For: " + octets, b"Referer: " + octets),
        head(b"/model", b"Host: x", b"Authorization: Bearer " + octets, b"X-API-Key: " + octets),
        head(b"/predict", b"Host: x", b"Content-Type: " + octets, method=b"POST"),
        head(
            b"/predict", b"Host: x", b"Content-Type: application/json", b"Content-Encoding: " + octets, method=b"POST"
        ),
        head(b"/model", b"Host: x", octets + b": x"),
        head(b"/model", b"Host: x", method=b"GET" + octets),
        head(b"/model", b"Host: x").replace(b"HTTP/1.1", b"HTTP/" + octets),
    ):
        raw(served, sent)


@pytest.mark.long
@AS_SERVED
def test_no_client_input_forges_a_log_line(tmp_path: Path, command: tuple[str, str]) -> None:
    with serve(tmp_path, f"sqlite:///{tmp_path}/log.db", command, variables=QUIET) as served:
        started = len(served.log.read_bytes())
        for between in BREAKS.values():
            send_everywhere(served, f"a{between}{FORGED}{between}")
        served.post("/predict", prediction("the last"))
        until(lambda: b'observation_id="the last"' in served.log.read_bytes())  # a line is written after its response

    written = served.log.read_bytes()[started:]
    assert all(byte == 0x0A or 0x20 <= byte < 0x7F for byte in written)
    lines = written.decode("ascii").splitlines()
    for line in lines:
        assert line.startswith("time=20")
        assert PAIR.sub("", line).strip() == "", line
        pairs = PAIR.findall(line)
        assert [pair for pair in pairs if pair.startswith(("time=", "event="))] == [pairs[0], pairs[2]]
        assert "path=/forged" not in pairs
    assert len(lines) > 10 * len(BREAKS)


TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


def line_of_a_request(client: Any, capsys: pytest.CaptureFixture[str], *, traceparent: str) -> str:
    response = client.get("/livez", headers={"traceparent": traceparent})
    response.close()
    (line,) = [line for line in capsys.readouterr().out.splitlines() if "path=/livez" in line]
    return str(line)


@pytest.mark.parametrize(
    ("rows", "logged"),
    [(0, None), (1, "row-0"), (5, "row-0,row-1,row-2,row-3,row-4"), (6, "row-0,row-1,row-2,row-3,row-4,...(6)")],
)
def test_the_first_ids_of_a_request_are_in_its_line(
    make_client: Any, capsys: pytest.CaptureFixture[str], rows: int, logged: str | None
) -> None:
    make_client().post("/predict", json=[prediction(f"row-{i}") for i in range(rows)]).close()

    (line,) = [line for line in capsys.readouterr().out.splitlines() if "path=/predict" in line]
    assert re.findall(r'observation_id="?([^" ]*)', line) == ([] if logged is None else [logged])


@pytest.mark.parametrize("flags", ["00", "01", "ff"])
def test_a_valid_trace_is_logged(make_client: Any, capsys: pytest.CaptureFixture[str], flags: str) -> None:
    line = line_of_a_request(make_client(), capsys, traceparent=f"00-{TRACE}-{PARENT}-{flags}")

    assert line.endswith(f" trace_id={TRACE} parent_id={PARENT}")


@pytest.mark.parametrize(
    "traceparent",
    [
        *("", "00", f"{TRACE}-{PARENT}", f"00-{TRACE}-{PARENT}", f"00-{TRACE}-{PARENT}-", f"00-{TRACE}-{PARENT}-0"),
        *(f"00-{'0' * 32}-{PARENT}-01", f"00-{TRACE}-{'0' * 16}-01", f"00-{TRACE[1:]}-{PARENT}-01"),
        *(f"00-{TRACE.upper()}-{PARENT}-01", f"00-{TRACE}-{PARENT.upper()}-01", f"00-{TRACE}-{PARENT}-0A"),
        *(f"01-{TRACE}-{PARENT}-01", f"ff-{TRACE}-{PARENT}-01", f"00-{TRACE}-{PARENT}-01-more"),
        *(f"00-{TRACE}-{PARENT}-01,00-{TRACE}-{PARENT}-01", f"00-{TRACE[:-1]}g-{PARENT}-01", f"00_{TRACE}_{PARENT}_01"),
    ],
)
def test_an_invalid_trace_is_not_logged(make_client: Any, capsys: pytest.CaptureFixture[str], traceparent: str) -> None:
    line = line_of_a_request(make_client(), capsys, traceparent=traceparent)

    assert "trace_id" not in line
    assert "parent_id" not in line


@pytest.mark.parametrize("id_", [*BREAKS.values(), "é", "x" * 129, "a,b", '"', "<b>", "%0a"])
def test_a_request_id_with_other_characters_is_replaced(make_client: Any, id_: str) -> None:
    response = make_client().get("/livez", environ_overrides={"HTTP_X_REQUEST_ID": f"a{id_}b"})

    assert re.fullmatch("[0-9a-f]{32}", response.headers["X-Request-ID"])

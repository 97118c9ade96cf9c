"""The loads whose requests have a traceparent each, as those of real clients have."""

import re
import shutil
import sys
from email.message import Message
from pathlib import Path

import pytest

from benchmarks.contenders import Contender, with_traceparent
from benchmarks.loads import wrk
from benchmarks.passengers import PASSENGER, PROBA, prediction, write_templates
from benchmarks.rounds import measure
from tests.support.answering import answering

ANSWER = f'{{"proba": {PROBA}}}'.encode()
TRACEPARENT = re.compile("00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-01")
SERVER = f"""
import os
from http.server import BaseHTTPRequestHandler, HTTPServer

class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write({ANSWER!r})

HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""
WRK = """#!/bin/sh
for last; do :; done
if [ "$last" = true ]; then requests=2; else requests=1; fi
echo "{\\"requests\\": $requests, \\"microseconds\\": 1000000, \\"status_errors\\": 0, \\"wrong_answers\\": 0,\\
 \\"socket_errors\\": 0, \\"p50_us\\": 1, \\"p99_us\\": 1, \\"p999_us\\": 1}"
"""


@pytest.mark.long
@pytest.mark.skipif(shutil.which("wrk") is None, reason="wrk is not installed")  # pip cannot install it
def test_no_two_requests_have_the_same_traceparent_and_none_has_one_unless_asked_for(tmp_path: Path) -> None:
    templates = tmp_path / "templates.txt"
    write_templates(templates, prediction, [PASSENGER])

    got: list[str | None] = []

    def answer(headers: Message, _: bytes) -> bytes:
        got.append(headers["traceparent"])
        return ANSWER

    with answering(answer) as url:
        wrk.run(url, templates, 2, 1.0, lambda: None)
        without = got.copy()
        got.clear()
        for _ in range(2):
            wrk.run(url, templates, 2, 1.0, lambda: None, traceparent=True)

    assert set(without) == {None}
    assert len(set(got)) == len(got) > 2
    assert all(TRACEPARENT.fullmatch(one or "") for one in got)


@pytest.mark.long
def test_a_contender_is_measured_with_a_traceparent_under_a_name_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = tmp_path / "wrk"
    fake.write_text(WRK)
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    server = tmp_path / "server.py"
    server.write_text(SERVER)
    plain = Contender("constant", (sys.executable, str(server)), lambda _: {})

    found = measure([plain, with_traceparent(plain)], [1], 1.0, 1, lambda _: None)

    assert {name: one.failure for name, one in found.items()} == {"constant": None, "constant, traceparent": None}
    assert [one.loads[1][0].requests for one in found.values()] == [1, 2]

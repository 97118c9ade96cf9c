"""The error examples of /openapi.json that the server answers below the application are true, too."""

from pathlib import Path

import pytest

from tests.support.openapi_examples import answer_like, problem_examples
from tests.support.served import serve
from tests.support.wire import POST, exchange, with_length

REQUESTS = {
    "bad-request": b"GET /livez\r\n\r\n",
    "slow-body": with_length(b"{", 2),
    "request-uri-too-long": b"GET /" + b"x" * 5000 + b" HTTP/1.1\r\nHost: test\r\n\r\n",
    "expectation-failed": with_length(b"{}").replace(b"\r\n\r\n", b"\r\nExpect: tea\r\n\r\n"),
    "request-header-fields-too-large": b"GET /livez HTTP/1.1\r\nHost: test\r\nX: " + b"x" * 9000 + b"\r\n\r\n",
    "not-implemented": POST + b"Transfer-Encoding: unknown\r\n\r\n0\r\n\r\n",
}


@pytest.mark.long
def test_every_example_of_the_server_is_its_answer_to_a_request(tmp_path: Path) -> None:
    with serve(tmp_path, f"sqlite:///{tmp_path}/log.db", variables={"REQUEST_TIMEOUT": "1"}) as served:
        examples = problem_examples(served.session.get(served.url + "/openapi.json", timeout=20).json())
        for name, request in REQUESTS.items():
            answered = exchange(served, request)

            example = answer_like(examples[name], answered.headers["x-request-id"])
            if name == "slow-body":  # here the service waits less long than by default
                example |= {key: example[key].replace("20 seconds", "1 seconds") for key in ("detail", "error")}
            assert (answered.status, answered.json) == (example["status"], example)

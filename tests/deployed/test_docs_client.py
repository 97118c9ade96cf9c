"""The examples of docs/client.md run one after the other against the real service, and print what they show."""

import re
from pathlib import Path
from typing import Any

import pytest

from tests.support.passengers import PROJECT
from tests.support.served import serve

PAGE = (PROJECT / "docs" / "client.md").read_text()
EXAMPLES = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.long
def test_the_examples_run_and_print_what_they_show(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, Any] = {}
    with serve(tmp_path, f"sqlite:///{tmp_path}/log.db") as served:
        for example in EXAMPLES:
            code = example.replace("http://127.0.0.1:5000", served.url)
            exec(compile(code, "docs/client.md", "exec"), names)

    shown = re.findall(r"^ *print\(.*\)  # (.*)$", "".join(EXAMPLES), re.MULTILINE)
    assert capsys.readouterr().out.splitlines() == shown
    assert (len(EXAMPLES), len(shown)) == (3, 6)

"""The Python examples of docs/models.md run, one after the other."""

import re
from pathlib import Path
from typing import Any

import pytest

from tests.support.passengers import PROJECT

EXAMPLES = re.findall(r"```python\n(.*?)```", (PROJECT / "docs" / "models.md").read_text(), re.DOTALL)


@pytest.mark.long  # dumps a dozen models
def test_the_examples_run_in_their_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("serialize.writing.steps._verify_in_new_process", lambda folder: None)
    names: dict[str, Any] = {}

    for example in EXAMPLES:
        exec(compile(example, "docs/models.md", "exec"), names)

    assert len(EXAMPLES) > 8
    assert (tmp_path / "artifacts" / "manifest.json").is_file()

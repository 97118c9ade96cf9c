"""`python -m serialize push` says what it did, and what comes next."""

import pytest
from click.testing import CliRunner

from serialize.__main__ import main
from serialize.content import read_content
from tests.support.passengers import ARTIFACTS


def test_push_names_the_model_and_the_settings_that_serve_it(monkeypatch: pytest.MonkeyPatch) -> None:
    pushed: list[str] = []
    monkeypatch.setattr("serialize.cli.remote.push_content", lambda content, place: pushed.append(place))
    content = read_content(ARTIFACTS)

    ran = CliRunner().invoke(main, ["push", str(ARTIFACTS), "s3://bucket/titanic/"])

    assert pushed == ["s3://bucket/titanic"]
    assert ran.output.splitlines() == [
        f"Pushed {ARTIFACTS} to s3://bucket/titanic: titanic, version {content.version}.",
        f"Next: ARTIFACTS=s3://bucket/titanic MODEL_DIGEST={content.digest}",
    ]

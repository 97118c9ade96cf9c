"""A pull with a digest takes this model and no other."""

import hashlib
from pathlib import Path

from click.testing import CliRunner

from serialize.__main__ import main
from tests.support.passengers import ARTIFACTS

DIGEST = hashlib.sha256((ARTIFACTS / "manifest.json").read_bytes()).hexdigest()


def test_a_model_with_another_digest_is_not_pulled(tmp_path: Path) -> None:
    wrong, right = (
        CliRunner().invoke(main, ["pull", ARTIFACTS.as_uri(), str(tmp_path / "pulled"), "--digest", digest])
        for digest in ("0" * 64, DIGEST)
    )

    assert (wrong.exit_code, right.exit_code) == (1, 0), right.output
    assert wrong.output.startswith("Error: ")
    assert (tmp_path / "pulled" / "manifest.json").read_bytes() == (ARTIFACTS / "manifest.json").read_bytes()

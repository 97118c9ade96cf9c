"""`python -m service migrate` makes the tables of the log, and says how many steps it took."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from service.__main__ import main
from service.storage.connection import connect
from service.storage.migrate import MIGRATIONS, require_log


def test_migrate_makes_the_tables_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"sqlite:///{tmp_path}/log.db"
    monkeypatch.setenv("DATABASE_URL", url)

    first, second = (CliRunner().invoke(main, ["migrate"]) for _ in range(2))

    steps = len(list(MIGRATIONS.glob("0*.py")))
    assert first.output == f"The sqlite database is up to date; {steps} migrations ran now.\n"
    assert second.output == "The sqlite database is up to date; 0 migrations ran now.\n"
    require_log(connect(url))

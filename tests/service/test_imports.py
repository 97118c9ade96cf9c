"""What starts often, or stays in memory, imports only what it needs."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.missing import WITHOUT_PYARROW
from tests.support.passengers import PROJECT
from tests.support.served import environment

HEAVY = ("matplotlib", "PIL", "onnx", "service.web.openapi", "service.report")


@pytest.mark.long  # starts a process for each
@pytest.mark.parametrize("imported", ["service.factory", "service.__main__", "app"])
def test_what_is_served_imports_no_charts_no_compiler_and_no_document(imported: str, tmp_path: Path) -> None:
    code = f"import sys, {imported}; print([name for name in {HEAVY!r} if name in sys.modules])"
    variables = environment(DATABASE_URL=f"sqlite:///{tmp_path}/log.db", PYTHONPATH=str(PROJECT))

    ran = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, env=variables, capture_output=True, check=True)

    assert ran.stdout.decode().splitlines()[-1] == "[]"


@pytest.mark.long  # starts a process for each
@pytest.mark.parametrize("imported", ["service.__main__", "service.cli.retrain"])
def test_a_command_that_runs_beside_a_busy_service_starts_without_scikit_learn(imported: str) -> None:
    code = f"import sys, {imported}; print([name for name in ('sklearn', 'pandas', 'numpy') if name in sys.modules])"

    ran = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, check=True)

    assert ran.stdout.decode() == "[]\n"


@pytest.mark.long  # starts a process
def test_what_is_served_and_the_worker_of_jobs_need_no_pyarrow(tmp_path: Path) -> None:
    code = f"{WITHOUT_PYARROW}\nimport app, service.cli.worker, service.learning.worker, service.learning.retrain"
    variables = environment(DATABASE_URL=f"sqlite:///{tmp_path}/log.db", PYTHONPATH=str(PROJECT))

    subprocess.run([sys.executable, "-c", code], cwd=PROJECT, env=variables, check=True)

"""The deployed service keeps to its /openapi.json: a fuzzer sends valid and invalid requests to every route, alone and
along the links."""

import subprocess
from pathlib import Path

import pytest

from tests.support.served import Served, environment, serve

pytestmark = [pytest.mark.long, pytest.mark.timeout(400)]  # hundreds of generated requests for each model

USER, ADMINISTRATOR = "a-key-of-sixteen-characters", "another-key-of-many-characters"
EXAMPLES = "20"
# All checks are on by default. The schema does not tell the name of the database, and every other name is refused.
# A run of 20 scenarios misses one of the links about once in ten times.
CONFIGURATION = """
hooks = "unambiguous_labels.py"

# A long value in a query is refused for its length before it is looked at.
[checks.negative_data_rejection]
expected-statuses = [400, 401, 403, 404, 405, 406, 409, 413, 414, 415, 422, 428, 429, 431, "5xx"]

[phases.stateful]
generation.max-examples = 150

[[operations]]
include-name = "POST /admin/reset"
checks.positive_data_acceptance.enabled = false
"""

# A schema cannot tell either that an array of /update names an id once, or with one label; two labels are 422. Nor can
# it tell 9007199254740993.0, which JSON may round to another id, from the integer; an id written so is 422.
HOOKS = """
import schemathesis


@schemathesis.hook
def filter_body(context, body):
    items = body if isinstance(body, list) else [body]
    given = [item.get("id") for item in items if isinstance(item, dict)]
    if any(isinstance(id_, float) and abs(id_) >= 2.0**53 for id_ in given):
        return False
    if context.operation.label != "POST /update":
        return True
    ids = [id_ if isinstance(id_, int | float | str) else repr(id_) for id_ in given]  # 1 and 1.0 are one id
    return len(set(ids)) == len(ids)
"""


# The fuzzer infers one link from a list of models to a model, and six between jobs, which are closed without a key.
COVERED = "4 covered / 10 selected / 10 total"


def fuzz(served: Served, folder: Path, *options: str) -> str:
    """Returns the report of the fuzzer. It fails on a 5xx, and on a status, header or body that is not described."""
    document = folder / "openapi.json"  # from a URL, the fuzzer would skip this route
    document.write_bytes(served.session.get(served.url + "/openapi.json", timeout=5).content)
    (folder / "schemathesis.toml").write_text(CONFIGURATION)
    (folder / "unambiguous_labels.py").write_text(HOOKS)
    command = ["schemathesis", "run", document.name, "--url", served.url, "--mode", "all"]
    command += ["--max-examples", EXAMPLES, "--continue-on-failure", *options]
    ran = subprocess.run(
        command, cwd=folder, env=environment(), capture_output=True, text=True, timeout=110, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


@pytest.mark.parametrize("name", ["titanic", "iris", "diabetes"])
def test_every_route_answers_as_described(name: str, artifacts: dict[str, Path], tmp_path: Path) -> None:
    with serve(tmp_path, f"sqlite:///{tmp_path}/log.db", artifacts=artifacts[name]) as served:
        reports = [fuzz(served, tmp_path)]
        while COVERED not in reports[-1] and len(reports) < 3:  # a run may miss a link by chance
            reports.append(fuzz(served, tmp_path))

    assert COVERED in reports[-1]
    assert "event=error" not in served.log.read_text()


def test_every_route_answers_as_described_with_the_admin_key(tmp_path: Path) -> None:
    settings = {"API_KEY": USER, "ADMIN_KEY": ADMINISTRATOR, "EXPORTS": str(tmp_path / "exports")}
    with serve(tmp_path, f"sqlite:///{tmp_path}/log.db", variables=settings) as served:
        fuzz(
            served,
            tmp_path,
            "--header",
            f"Authorization: Bearer {ADMINISTRATOR}",
            "--phases",
            "examples,coverage,fuzzing",
        )

    assert "event=error" not in served.log.read_text()

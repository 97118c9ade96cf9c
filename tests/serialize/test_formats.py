"""An artifact that an older version wrote is still read and scored. `artifacts/write.py` wrote those in artifacts/."""

from pathlib import Path

import numpy as np
import pytest

from serialize import load
from serialize.manifest import READABLE
from serialize.signature import Column
from serialize.task import Task

FORMATS = Path(__file__).parent / "artifacts"


def test_an_artifact_of_each_readable_format_is_kept() -> None:
    assert sorted(path.name for path in FORMATS.iterdir() if path.name.isdigit()) == list(map(str, READABLE))


@pytest.mark.parametrize("number", READABLE)
def test_an_artifact_of_an_older_format_is_loaded_and_gives_its_recorded_outputs(number: int) -> None:
    artifact = load(FORMATS / str(number))

    artifact.verify_all()
    assert artifact.manifest.name == "stored"
    assert artifact.manifest.task == Task("binary", ("no", "yes"), "yes", 0.25)
    assert tuple(artifact.manifest.signature) == (
        Column("age", "number", nullable=False, dtype="float64", minimum=0, maximum=120),
        Column("rank", "category", nullable=False, dtype="int64", categories=(1, 2, 3)),
        Column("old", "boolean", nullable=False, dtype="bool"),
    )
    outputs = artifact.model.outputs([{"age": 31.5, "rank": 1, "old": True}])
    assert outputs == pytest.approx(np.array(artifact.manifest.golden.outputs[:1]), abs=1e-9)

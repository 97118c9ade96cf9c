"""A manifest survives its bytes, and damaged bytes are refused in one sentence."""

import json
from dataclasses import replace
from typing import Any

import pytest

from serialize import ArtifactError, DumpError
from serialize.checks.golden_rows import GoldenRows
from serialize.manifest import FORMAT, READABLE, Manifest
from serialize.signature import Column, Signature
from serialize.task import Task
from tests.support.manifests import sealed

MANIFEST = Manifest(
    name="où",
    task=Task("binary", ("no", "yes"), "yes", 0.5),
    signature=Signature("frame", (Column("a", "number", nullable=True, dtype="float64"),)),
    profile={"columns": {}, "outputs": {}},
    golden=GoldenRows(({"a": None},), ((0.25, 0.75),), 1e-9),
    metrics={"method": "in-sample", "metrics": {}},
    importances={"metric": "roc_auc", "columns": {}},
    libraries={"python": "3.11"},
    modules=("features",),
    files={"pipeline.joblib": "00"},
)


def test_a_manifest_survives_its_bytes() -> None:
    assert Manifest.from_bytes(MANIFEST.to_bytes()) == MANIFEST


def test_the_same_manifest_has_the_same_bytes() -> None:
    assert Manifest.from_bytes(MANIFEST.to_bytes()).to_bytes() == MANIFEST.to_bytes()
    assert "où".encode() in MANIFEST.to_bytes()


def changed(**members: Any) -> bytes:
    """The manifest with other members and a matching sha256."""
    return sealed({**json.loads(MANIFEST.to_bytes()), **members})


def test_each_changed_byte_is_detected() -> None:
    content = MANIFEST.to_bytes()
    unnoticed = []
    for place in range(len(content)):
        flipped = content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]
        try:
            read = Manifest.from_bytes(flipped)
        except ArtifactError:
            continue
        if replace(read, libraries=MANIFEST.libraries) != MANIFEST:
            unnoticed.append(place)

    assert unnoticed == []


@pytest.mark.parametrize("libraries", [None, [], "x", 1, {"numpy": 1}, {"numpy": None}, {"": "1"}])
def test_libraries_without_names_or_versions_are_damage(libraries: Any) -> None:
    data = {**json.loads(MANIFEST.to_bytes()), "libraries": libraries}

    with pytest.raises(ArtifactError, match=r"manifest\.json is damaged"):
        Manifest.from_bytes(json.dumps(data).encode())


def test_changed_libraries_are_accepted() -> None:
    data = {**json.loads(MANIFEST.to_bytes()), "libraries": {"scikit-learn": "1.0.0"}}

    assert Manifest.from_bytes(json.dumps(data).encode()).libraries == {"scikit-learn": "1.0.0"}


@pytest.mark.parametrize("number", READABLE)
def test_older_formats_are_read(number: int) -> None:
    assert Manifest.from_bytes(changed(format=number)) == MANIFEST


@pytest.mark.parametrize("number", [FORMAT + 1, 1, 0, "3", None, [3]])
def test_another_format_is_refused_in_one_sentence(number: Any) -> None:
    with pytest.raises(ArtifactError) as refused:
        Manifest.from_bytes(changed(format=number))

    assert str(refused.value) == (
        f"manifest.json has format {number}, and this version reads format 3 and the older 2; dump the model again "
        "with the version that serves it."
    )


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"{}",
        f'{{"format": {FORMAT}}}'.encode(),
        b"\xff\xfe",
        b"[" * 100_000,
        changed(signature="frame"),
        changed(signature={"container": "frame", "columns": [{"named": "a"}]}),
        changed(signature=None),
        changed(golden={"rows": 5}),
        changed(golden={"rows": ["ab"], "tolerance": 1e-9}),
        changed(classes=None),
        changed(files=None),
        changed(files=["pipeline.joblib"]),
        changed(modules=5),
        MANIFEST.to_bytes().replace(b"0.25", b"0.26"),
        MANIFEST.to_bytes().replace(b"sha256", b"sha257"),
    ],
)
def test_damaged_bytes_are_refused_in_one_sentence(content: bytes) -> None:
    with pytest.raises(
        ArtifactError, match=r"^manifest.json is damaged; restore the artifact or dump the model again.$"
    ):
        Manifest.from_bytes(content)


@pytest.mark.parametrize("figure", [float("nan"), float("inf"), object()])
def test_metrics_that_json_cannot_carry_are_refused(figure: Any) -> None:
    with pytest.raises(DumpError, match="The manifest cannot be JSON"):
        replace(MANIFEST, metrics={"accuracy": figure}).to_bytes()


def test_plain_numbers_of_an_earlier_version_are_read_as_given() -> None:
    earlier = {**json.loads(MANIFEST.to_bytes()), "metrics": {"accuracy": 0.5, "note": "by hand"}}

    read = Manifest.from_bytes(sealed(earlier))

    assert read.metrics == {"method": "given", "metrics": {"accuracy": {"mean": 0.5}}}

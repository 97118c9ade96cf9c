"""A dumped model needs the modules of the user; it names what is missing."""

import functools
import importlib
import sys
from pathlib import Path

import pytest
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from serialize import ArtifactError, DumpError, dump, load
from tests.support.ship import (
    NUMBERS,
    SURVIVED,
)

LOGISTIC = functools.partial(LogisticRegression, max_iter=1000)


FITTED = LOGISTIC().fit(NUMBERS, SURVIVED)


OWN_MODULE = """
from sklearn.base import BaseEstimator, TransformerMixin

class Doubled(TransformerMixin, BaseEstimator):
    def fit(self, X, y=None):
        return self

    def transform(self, X):
        return X * 2
"""


def test_a_module_of_the_user_is_imported_in_the_new_process_and_named_if_it_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "features_of_mine.py").write_text(OWN_MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    step = importlib.import_module("features_of_mine").Doubled()

    pipeline = make_pipeline(step, LOGISTIC()).fit(NUMBERS, SURVIVED)
    artifact = dump(pipeline, NUMBERS, SURVIVED, tmp_path / "artifact")
    assert artifact.manifest.modules == ("features_of_mine",)

    (tmp_path / "features_of_mine.py").unlink()
    monkeypatch.delitem(sys.modules, "features_of_mine")
    with pytest.raises(
        ArtifactError, match=r"No module named 'features_of_mine'.*put features_of_mine.py beside app.py"
    ):
        load(tmp_path / "artifact")


def test_a_library_that_only_a_module_of_the_user_imports_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "features_of_mine.py").write_text(OWN_MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    step = importlib.import_module("features_of_mine").Doubled()
    dump(make_pipeline(step, LOGISTIC()).fit(NUMBERS, SURVIVED), NUMBERS, SURVIVED, tmp_path / "artifact")

    (tmp_path / "features_of_mine.py").write_text("import lost_library.parts\n" + OWN_MODULE)
    monkeypatch.delitem(sys.modules, "features_of_mine")
    with pytest.raises(ArtifactError, match="add the library that provides lost_library to"):
        load(tmp_path / "artifact")


def test_a_module_that_only_this_process_has_is_refused_and_the_folder_is_unchanged(
    artifact: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {path.name: path.read_bytes() for path in artifact.iterdir()}
    Only = type(
        "Only", (TransformerMixin, BaseEstimator), {"transform": lambda self, X: X, "fit": lambda self, X, y: self}
    )
    Only.__module__ = "made_up"
    monkeypatch.setitem(sys.modules, "made_up", type(sys)("made_up"))
    monkeypatch.setattr(sys.modules["made_up"], "Only", Only, raising=False)

    with pytest.raises(DumpError, match=r"A new process cannot read the model back: .*'made_up'"):
        dump(make_pipeline(Only(), FITTED), NUMBERS, SURVIVED, artifact)

    assert {path.name: path.read_bytes() for path in artifact.iterdir()} == before
    assert [path.name for path in artifact.parent.iterdir()] == ["artifact"]

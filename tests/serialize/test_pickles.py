"""The modules of a pipeline are found before it is pickled, and what another process cannot import is refused."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from serialize import ArtifactError, DumpError
from serialize.pickles import library_versions, modules_of, other_versions, own_modules, pickled, refuse_missing, remedy
from tests.support.own_steps import FareShare, centred


def test_the_modules_of_a_pipeline_are_those_of_its_classes() -> None:
    pipeline = make_pipeline(FareShare(), FunctionTransformer(centred), FunctionTransformer(np.log1p))

    modules = modules_of(pipeline)

    assert {"tests", "sklearn"} <= modules
    assert own_modules(modules) == ["tests"]


def test_the_versions_of_its_libraries_are_recorded() -> None:
    versions = library_versions({"sklearn", "yaml_of_the_user"})

    assert versions["python"] == ".".join(map(str, sys.version_info[:3]))
    assert {"scikit-learn", "numpy", "pandas", "scipy", "joblib"} <= set(versions)


def test_a_library_that_is_installed_meanwhile_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    before = own_modules({"brought"})
    (tmp_path / "brought-1.2.dist-info").mkdir()
    (tmp_path / "brought-1.2.dist-info" / "top_level.txt").write_text("brought\n")
    (tmp_path / "brought-1.2.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: brought\nVersion: 1.2\n")

    assert before == ["brought"]
    assert own_modules({"brought"}) == []
    assert library_versions({"brought"})["brought"] == "1.2"


def test_missing_libraries_are_refused_with_their_requirement_lines() -> None:
    refuse_missing({"python": "2.7.0", "numpy": "0.1"})

    with pytest.raises(ArtifactError) as refused:
        refuse_missing({"lightgbm-lost": "4.6.0", "numpy": "0.1", "torch-lost": "2.9.0+cpu"})

    assert str(refused.value) == (
        "The model needs lightgbm-lost 4.6.0 and torch-lost 2.9.0+cpu, not installed here; add lightgbm-lost==4.6.0 "
        "and torch-lost==2.9.0+cpu to requirements-model.in and run `make requirements` (docs/install.md)."
    )


def test_versions_are_compared_by_their_minor_or_major_part() -> None:
    major, minor, patch = np.__version__.split(".")[:3]
    same, other = f"{major}.{minor}.{patch}9", f"{major}.{minor}9.{patch}"

    assert other_versions({"numpy": same, "python": sys.version.split()[0]}) == []
    assert other_versions({"numpy": other}) == [("numpy", other, np.__version__)]
    assert other_versions({"numpy": other}, parts=1) == []
    assert other_versions({"numpy": "0.1"}, parts=1) == [("numpy", "0.1", np.__version__)]


def test_the_remedy_names_each_other_version() -> None:
    assert remedy({"numpy": np.__version__}) == "dump the model again"
    assert remedy({"numpy": "0.1", "python": "3.2.0"}) == (
        f"the model was dumped with numpy 0.1, python 3.2.0, and {np.__version__}, {sys.version.split()[0]} is "
        "installed here: add numpy==0.1 to requirements-model.in and run `make requirements` (docs/install.md), or "
        "dump the model again with the versions installed here"
    )


def test_a_pickled_pipeline_is_read_back_by_joblib(tmp_path: Path) -> None:
    (tmp_path / "model").write_bytes(pickled(StandardScaler().fit([[1.0], [3.0]])))

    assert joblib.load(tmp_path / "model").mean_.tolist() == [2.0]


def in_a_function() -> Any:
    return lambda X: X


class Unwilling(LogisticRegression):  # type: ignore[misc]
    """Raises an error when it is pickled."""

    def __getstate__(self) -> Any:
        raise RuntimeError("holds a connection")


@pytest.mark.parametrize(
    ("step", "says"),
    [
        (FunctionTransformer(lambda X: X), "define its functions and classes with def"),
        (FunctionTransformer(in_a_function()), "define its functions and classes with def"),
        (Unwilling(), "holds a connection"),
    ],
)
def test_a_step_that_cannot_be_pickled_is_refused(step: Any, says: str) -> None:
    with pytest.raises(DumpError, match=says):
        modules_of(step)


MAIN = """
import sys
import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from serialize import DumpError, dump

class Doubled(TransformerMixin, BaseEstimator):
    def fit(self, X, y=None): return self
    def transform(self, X): return X * 2

def doubled(X): return X * 2

X, y = np.array([[0.0], [1.0], [2.0], [3.0]]), [0, 1, 0, 1]
for step in (Doubled(), FunctionTransformer(doubled), FunctionTransformer(lambda X: X * 2)):
    try:
        dump(make_pipeline(step, LogisticRegression()).fit(X, y), X, y, sys.argv[1])
    except DumpError as error:
        print(error)
"""


def test_classes_functions_and_lambdas_of_main_are_refused(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(MAIN)
    command = [sys.executable, str(tmp_path / "train.py"), str(tmp_path / "artifact")]

    ended = subprocess.run(command, capture_output=True, text=True, check=True, env={"PYTHONPATH": ":".join(sys.path)})

    first, second, third = ended.stdout.splitlines()
    assert first.startswith("Doubled is defined in __main__")
    assert second.startswith("doubled is defined in __main__")
    assert third.startswith("A lambda is defined in __main__")
    assert all("such as features.py" in line for line in (first, second, third))
    assert [path.name for path in tmp_path.iterdir()] == ["train.py"]

"""A pickle that cannot be used here is refused with the reason and what to do."""

import io
import pickle
from collections.abc import Callable
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.linear_model import LogisticRegression

from serialize import DumpError
from serialize.original.unpickling import unpickled_dtypes, unpickled_pipeline

X = np.array([[0.0], [1.0]])


class Raises:
    """Its pickle raises an error with this name."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __reduce__(self) -> tuple[Any, ...]:
        return exec, (f"raise {self.name}(3)",)


def pickled(thing: object, compress: int = 0) -> bytes:
    buffer = io.BytesIO()
    joblib.dump(thing, buffer, compress=compress)
    return buffer.getvalue()


def made_with(version: str, monkeypatch: pytest.MonkeyPatch) -> bytes:
    """A pipeline that says that this version of scikit-learn has made it."""
    with monkeypatch.context() as changed:
        changed.setattr("sklearn.base.__version__", version)
        return pickled(LogisticRegression().fit(X, [0, 1]))


@pytest.mark.parametrize("compress", [0, 3])
def test_a_pipeline_of_this_scikit_learn_is_unpickled(compress: int) -> None:
    assert unpickled_pipeline(pickled(LogisticRegression(C=3), compress)).C == 3


def test_dtypes_may_be_written_by_pickle_and_by_joblib() -> None:
    dtypes = pd.DataFrame({"a": [1], "b": ["x"]}).dtypes

    for content in (pickle.dumps(dtypes), pickle.dumps(dtypes, protocol=0), pickled(dtypes, 3)):
        pd.testing.assert_series_equal(unpickled_dtypes(content), dtypes)


@pytest.mark.parametrize("version", ["0.24.2", "1.2.2", "99.0"])
def test_a_pipeline_of_another_scikit_learn_must_be_fitted_again(version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DumpError) as refused:
        unpickled_pipeline(made_with(version, monkeypatch))

    assert str(refused.value) == (
        f"pipeline.pickle was made with scikit-learn {version}: fit the pipeline again with scikit-learn "
        f"{sklearn.__version__}, which is installed here (the service needs 1.6 or later)."
    )


def test_another_patch_release_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    major, minor, *_ = sklearn.__version__.split(".")

    assert unpickled_pipeline(made_with(f"{major}.{minor}.99", monkeypatch)).C == 1.0


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (
            b"csklearn.ensemble._gb_losses\nBinomialDeviance\n.",
            "was made with another scikit-learn .* fit the pipeline",
        ),
        (b"csklearn.base\nNoSuchClass\n.", "was made with another scikit-learn .* fit the pipeline again"),
        (b"clightgbm_of_old.sklearn\nModel\n.", "needs the module lightgbm_of_old, which is not installed here"),
        (b"c__main__\nMyTransformer\n.", r"MyTransformer.* define it in a module beside app\.py, not in a script"),
        (b"", r"cannot be unpickled \(EOFError"),
        (b"no pickle at all", r"cannot be unpickled \("),
        (pickled(LogisticRegression())[:-20], r"cannot be unpickled \("),
    ],
)
def test_what_cannot_be_unpickled_is_refused_with_the_reason(content: bytes, says: str) -> None:
    with pytest.raises(DumpError, match=rf"^pipeline\.pickle .*{says}"):
        unpickled_pipeline(content)


@pytest.mark.parametrize("unpickled", [unpickled_dtypes, unpickled_pipeline])
@pytest.mark.parametrize("ends", ["SystemExit", "GeneratorExit", "BaseException"])
def test_a_pickle_that_ends_the_process_is_refused(ends: str, unpickled: Callable[[bytes], Any]) -> None:
    with pytest.raises(DumpError, match=rf"cannot be unpickled \({ends}: 3\)"):
        unpickled(pickled(Raises(ends)))


def test_the_user_can_interrupt_unpickling() -> None:
    with pytest.raises(KeyboardInterrupt):
        unpickled_pipeline(pickled(Raises("KeyboardInterrupt")))


def test_damaged_dtypes_are_refused() -> None:
    with pytest.raises(DumpError, match=r"^dtypes\.pickle cannot be unpickled \(.*write the dtypes"):
        unpickled_dtypes(b"\x80\x04")

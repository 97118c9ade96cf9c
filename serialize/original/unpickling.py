"""Unpickles the files of the original app. This runs code of the files: call it only after the user has said that they
are trusted."""

import io
import warnings
from dataclasses import dataclass
from typing import Any

import joblib
import sklearn
from sklearn.exceptions import InconsistentVersionWarning

from serialize.errors import DumpError, one_line
from serialize.original.files import DTYPES, PIPELINE

_OLDEST = "1.6"  # the oldest scikit-learn whose models the service can serve


def unpickled_dtypes(content: bytes) -> Any:
    """The object in dtypes.pickle. Raises DumpError if it cannot be unpickled."""
    attempt = _attempt(content)
    if attempt.error is not None:
        raise DumpError(
            f"{DTYPES} cannot be unpickled ({one_line(attempt.error)}); restore it, or write the dtypes of the "
            "training rows again with the pandas that is installed here."
        ) from attempt.error
    return attempt.loaded


def unpickled_pipeline(content: bytes) -> Any:
    """The estimator in pipeline.pickle. Raises DumpError if it cannot be unpickled, and if another minor version of
    scikit-learn has made it: such a pipeline may answer something else without an error."""
    attempt = _attempt(content)
    other = [version for version in attempt.versions if _minor(version) != _minor(sklearn.__version__)]
    if other:
        raise DumpError(f"{PIPELINE} was made with scikit-learn {other[0]}: {fit_again()}.") from attempt.error
    if attempt.error is not None:
        raise DumpError(f"{PIPELINE} {_reason(attempt.error)}.") from attempt.error
    return attempt.loaded


@dataclass(frozen=True, slots=True)
class _Attempt:
    """The unpickled object or the error, and other versions of scikit-learn that made a part of the pickle."""

    loaded: Any
    error: BaseException | None
    versions: list[str]


def _attempt(content: bytes) -> _Attempt:
    loaded: Any = None
    failure: BaseException | None = None
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            loaded = joblib.load(io.BytesIO(content))
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001 - a pickle can raise anything, SystemExit too; the caller words it
            failure = error
    messages = [each.message for each in caught]
    made_by = [each.original_sklearn_version for each in messages if isinstance(each, InconsistentVersionWarning)]
    return _Attempt(loaded, failure, list(map(str, made_by)))


def _reason(error: BaseException) -> str:
    """Why the pipeline cannot be unpickled, and what to do, as the end of a sentence."""
    text = one_line(error)
    if isinstance(error, AttributeError | ImportError) and "sklearn" in text:
        return f"was made with another scikit-learn ({text}): {fit_again()}"
    if isinstance(error, ModuleNotFoundError):
        module = (error.name or "").partition(".")[0]
        return (
            f"needs the module {module}, which is not installed here: add the library that provides it to "
            "requirements-model.in and run `make requirements` (docs/install.md), or put your own module beside app.py"
        )
    if isinstance(error, AttributeError | ImportError):
        return (
            f"needs something that cannot be imported here ({text}): define it in a module beside app.py, not in a "
            "script or notebook, and fit the pipeline again"
        )
    return f"cannot be unpickled ({text}): restore the file, or {fit_again()}"


def fit_again() -> str:
    """What to do with a pipeline that this scikit-learn did not make, as a clause."""
    return (
        f"fit the pipeline again with scikit-learn {sklearn.__version__}, which is installed here (the service needs "
        f"{_OLDEST} or later)"
    )


def _minor(version: str) -> list[str]:
    return version.split(".")[:2]

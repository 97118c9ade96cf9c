"""Checks that a model answers as the original app did, which scored one frame of one row for each observation."""

import warnings
from collections.abc import Sequence

import numpy as np

from serialize.checks.edge_rows import changed
from serialize.errors import DumpError, one_line
from serialize.frame import Row
from serialize.model import Model
from serialize.original.dtypes import Dtypes, as_original
from serialize.original.unpickling import fit_again
from serialize.task import Outputs

_MOST_ROWS = 200
_TOLERANCE = 1e-12


def check_same_answers(model: Model, original: Model, dtypes: Dtypes, rows: Sequence[Row]) -> int:
    """Compares the outputs of at most 200 of the rows, and of the first row with each null that the signature accepts,
    between the model and the `original`, which gets the frames of the original app. Gives the number of compared
    observations. Raises DumpError for one that the pipeline cannot answer, or that gets another output."""
    spread = np.unique(np.linspace(0, len(rows) - 1, _MOST_ROWS).astype(int))
    nulls = [{**rows[0], column.name: None} for column in model.signature if column.nullable]
    observations: list[Row] = [*(rows[place] for place in spread), *nulls]
    for observation in observations:
        try:
            expected, found = _original_outputs(original, dtypes, observation), model.outputs([observation])
        except Exception as error:
            raise DumpError(
                f"The pipeline cannot answer an observation{_nulls(observation)} as the original app passed it "
                f"({one_line(error)}); if it could before, {fit_again()}."
            ) from error
        if not np.allclose(found, expected, rtol=_TOLERANCE, atol=_TOLERANCE, equal_nan=True):
            raise DumpError(
                f"An observation with {changed(observation, rows[0]) or 'the values of the first row'} gets the output "
                f"{found[0].tolist()}, but {expected[0].tolist()} in the original app."
            )
    return len(observations)


def _nulls(observation: Row) -> str:
    names = [name for name, value in observation.items() if value is None]
    return f" with null in {', '.join(names)}" if names else ""


def _original_outputs(original: Model, dtypes: Dtypes, observation: Row) -> Outputs:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return original.outputs_of(as_original(observation, dtypes))

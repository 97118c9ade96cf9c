"""Each kind of pipeline has a program that answers as the pipeline does, also for rows that it was not made from. The
rules of a program read private attributes of libraries: a step that is called itself, although it has a rule, fails."""

import warnings

import numpy as np
import pytest

from serialize.checks.edge_rows import answers
from serialize.compiler.compile import compile_model
from serialize.compiler.runtime.compiled_model import CompiledModel
from tests.support.by_column import by_column
from tests.support.kinds.data import new_rows
from tests.support.kinds.table import KINDS, fitted

# The steps that a program calls, by the name of the kind. All other kinds have none.
NATIVE = {
    "quadratic discriminant analysis": ["QuadraticDiscriminantAnalysis"],
    "nearest neighbours, brute force": ["KNeighborsClassifier"],
    "nearest neighbours, kd-tree": ["KNeighborsClassifier"],
    "SVC, sparse": ["SVC"],
    "SVC, dense": ["SVC"],
    "SVC, calibrated": ["SVC"],
    "SVR": ["SVR"],
    "Gaussian process": ["GaussianProcessRegressor"],
    "stacking": ["SVC"],
    "quantile transform": ["QuantileTransformer"],
    "splines": ["SplineTransformer"],
    "Nyström": ["Nystroem"],
    "imputer of neighbours": ["KNNImputer"],
    "iterative imputer": ["IterativeImputer"],
    "own function of an array": ["FunctionTransformer"],
    "own function of a frame": ["FunctionTransformer"],
    "own class of an array": ["ClippedColumns"],
    "own class of a frame": ["GroupMeans"],
    "TF-IDF by an own function": ["TfidfVectorizer"],
}


@pytest.mark.long
@pytest.mark.parametrize("name", KINDS)
def test_a_kind_has_a_program_that_answers_as_its_pipeline(name: str) -> None:
    model, rows = fitted(name)
    built = compile_model(model, rows)
    assert built.content is not None, built.reason
    program = CompiledModel(built.content, model)

    assert program.native == NATIVE.get(name, [])

    new = new_rows(model.signature, rows, 1_000)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wanted = answers(model.outputs, new, len(model.task.classes) or 1)
    assert np.isfinite(wanted).all()
    np.testing.assert_allclose(program.outputs(new), wanted, rtol=1e-9, atol=1e-9)
    np.testing.assert_array_equal(program.outputs_by_column(by_column(new)), program.outputs(new))


def test_there_are_kinds_of_at_least_66_pipelines_and_each_declared_one_exists() -> None:
    assert len(KINDS) >= 66
    assert set(NATIVE) <= set(KINDS)
    assert len(NATIVE) <= len(KINDS) / 4


def test_new_rows_hold_unseen_texts_and_nulls_and_no_row_of_the_training() -> None:
    model, rows = fitted("logistic regression")

    new = new_rows(model.signature, rows, 1_000)

    assert 10 < sum(row["a"] not in {one["a"] for one in rows} for row in new) < 60
    assert 60 < sum(row["n0"] is None for row in new) < 130  # 5 % from the training rows, and 3 %
    assert not any(row["n5"] in {one["n5"] for one in rows} for row in new)
    assert all(tuple(row) == model.signature.names for row in new)

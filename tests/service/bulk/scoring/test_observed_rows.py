"""The texts of observations are canonical JSON, by column as one by one. test_batch_scorer compares those of files with
the ones of POST /predict."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from serialize.compiler.runtime.columns import DistinctColumn, NumberColumn
from service.bulk.scoring.observed_rows import ObservationTexts, ObservedRows
from service.prediction.observation import canonical

ODD = 'a "b"\\\n\t,:{}\u2028é'
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
INTEGERS = st.integers(-(2**53) + 1, 2**53 - 1)


def number(values: list[float | None], *, are_integers: bool = False) -> NumberColumn:
    array = np.array([np.nan if value is None else value for value in values], dtype=np.float64)
    return NumberColumn(array, are_integers=are_integers)


@given(
    st.lists(
        st.tuples(FLOATS | st.none(), INTEGERS | st.none(), st.sampled_from([ODD, "", None, True, 1, 0.5])),
        min_size=1,
        max_size=20,
    ),
    st.data(),
)
def test_a_text_is_the_canonical_json_of_the_values(rows: list[tuple[object, ...]], data: st.DataObject) -> None:
    floats, integers, others = zip(*rows, strict=True)
    distinct = DistinctColumn(list(others), np.arange(len(rows)))
    columns: dict[str, NumberColumn | DistinctColumn] = {
        "f": number(list(floats)),
        ODD: number(list(integers), are_integers=True),
        "other": distinct,
    }
    places = np.array(data.draw(st.lists(st.integers(0, len(rows) - 1))), dtype=np.intp)

    texts = ObservationTexts(ObservedRows(columns, {})).at(places)

    assert texts == [canonical(dict(zip(columns, rows[place], strict=True))) for place in places.tolist()]


def test_rows_that_were_parsed_alone_have_their_own_values() -> None:
    columns = {"x": number([1.0, float("inf"), None, float("inf")], are_integers=True)}
    observed = ObservedRows(columns, {1: {"x": 7}, 3: {"x": None}})

    assert ObservationTexts(observed).at(np.array([0, 1, 2, 3])) == ['{"x":1}', '{"x":7}', '{"x":null}', '{"x":null}']
    assert ObservationTexts(observed).at(np.array([3, 1])) == ['{"x":null}', '{"x":7}']
    assert ObservationTexts(observed).at(np.array([], dtype=np.intp)) == []


def test_rows_without_columns_are_empty_objects() -> None:
    assert ObservationTexts(ObservedRows({}, {})).at(np.array([0, 1])) == ["{}", "{}"]
    assert ObservationTexts(ObservedRows({}, {1: {"x": 2}})).at(np.array([1])) == ['{"x":2}']

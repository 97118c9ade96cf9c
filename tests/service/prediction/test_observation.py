"""Every JSON value is either parsed into an observation or reported as a fault."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serialize import load
from serialize.formats.datetimes import Datetimes
from serialize.frame import build_input
from serialize.signature import Column, Levels, Signature
from service.errors import InvalidBody
from service.prediction.observation import ObservationParser, key_of, parse_id
from tests.service.web.test_payload import values
from tests.support.passengers import ARTIFACTS, PASSENGER, prediction

parser = ObservationParser(load(ARTIFACTS).manifest.signature)


def parse_one(column: Column, value: Any) -> Any:
    """The parsed value, for a model with only this column."""
    parsed = ObservationParser(Signature("frame", (column,))).parse({"id": 1, "observation": {column.name: value}})
    return parsed.values[column.name]


@given(values)
def test_any_json_value_as_a_body_is_parsed_or_reported(payload: Any) -> None:
    with pytest.raises(InvalidBody) as refused:
        parser.parse(payload)

    assert refused.value.faults
    json.dumps([fault.to_json() for fault in refused.value.faults], allow_nan=False)


@given(st.sampled_from(sorted(PASSENGER)), values)
def test_any_json_value_in_any_column_is_parsed_or_reported(column: str, value: Any) -> None:
    try:
        observation = parser.parse(prediction(0, **{column: value}))
    except InvalidBody as error:
        assert {fault.pointer for fault in error.faults} == {f"/observation/{column}"}
    else:
        assert observation.values[column] == value


@given(values | st.datetimes().map(str) | st.datetimes().map(lambda at: at.isoformat() + "Z"))
def test_any_json_value_of_a_datetime_is_kept_as_sent_or_reported(value: Any) -> None:
    column = Column("when", "datetime", nullable=False, dtype="datetime64[ns, UTC]", datetimes=Datetimes("ns", "UTC"))
    try:
        parsed = parse_one(column, value)
    except InvalidBody as error:
        assert [(fault.pointer, fault.expected) for fault in error.faults] == [("/observation/when", column.expected)]
    else:
        assert parsed == value
        assert str(build_input(Signature("frame", (column,)), [{"when": parsed}]).dtypes["when"]) == column.dtype


@given(values)
def test_any_json_value_as_an_id_survives_its_canonical_form_or_is_reported(value: Any) -> None:
    try:
        id_ = parse_id(value)
    except InvalidBody as error:
        assert [fault.pointer for fault in error.faults] == ["/id"]
    else:
        assert id_ == value
        assert json.loads(key_of(id_)) == value


@pytest.mark.parametrize("text", ["1.0", "1e3", "-0.0", "9e15", "9007199254740991.0", "-9007199254740991.0"])
def test_a_float_that_is_an_exact_integer_is_that_id(text: str) -> None:
    id_ = parse_id(json.loads(text))

    assert type(id_) is int
    assert id_ == int(float(text))


@pytest.mark.parametrize(
    "text", ["9007199254740992.0", "-9007199254740992.0", "9007199254740993.0", "9.1e15", "-1e18", "1e300"]
)
def test_a_float_that_may_be_rounded_onto_another_id_is_refused(text: str) -> None:
    value = json.loads(text)

    with pytest.raises(InvalidBody) as refused:
        parse_id(value)

    (fault,) = refused.value.faults
    assert (fault.pointer, fault.value) == ("/id", value)
    assert "2**53" in fault.detail


@pytest.mark.parametrize("id_", [2**53 - 1, 2**53, 2**53 + 1, -(2**53) - 1, 2**63 - 1, -(2**63)])
def test_an_integer_id_is_exact_up_to_64_bits(id_: int) -> None:
    assert parse_id(json.loads(str(id_))) == id_
    assert key_of(id_) == str(id_)


def test_the_canonical_text_has_the_order_of_the_signature_and_every_null() -> None:
    observation = parser.parse({"id": 1, "observation": {"Sex": "male", "Pclass": 3, "SibSp": 1, "Parch": 0}})

    assert observation.text == (
        '{"Pclass":3,"Sex":"male","Age":null,"SibSp":1,"Parch":0,"Fare":null,"Cabin":null,"Embarked":null}'
    )


@pytest.mark.parametrize(
    "name", ["", "a b", "_x", "é", "a/b~c", "class", "model_config", "id", "observation", "__root__"]
)
def test_a_column_may_have_any_name(name: str) -> None:
    column = Column(name, "number", nullable=False, dtype="float64")

    assert parse_one(column, 1) == 1.0
    with pytest.raises(InvalidBody) as refused:
        parse_one(column, "x")
    assert refused.value.faults[0].pointer == "/observation/" + name.replace("~", "~0").replace("/", "~1")


COLUMNS: list[tuple[Column, list[Any], list[Any]]] = [
    (Column("c", "integer", False, "int64"), [3, 3.0, -(2**63), 1e3], [3.5, "3", True, None, 2**63, 1e300, [3]]),
    (Column("c", "integer", False, "uint8"), [0, 255], [-1, 256]),
    (Column("c", "integer", False, "Int16"), [-32768, 32767], [32768]),
    (
        Column("c", "number", False, "float64"),
        [1, 1.5, -0.0, 1e15, -(10**15)],
        ["1", True, None, 2**70, 10**400, -1e16],
    ),
    (Column("c", "number", False, "float64", largest=1e20), [2**70, 1e308], ["1", None]),
    (Column("c", "number", False, "float32", largest=1e20), [3.4e38], [3.5e38]),
    (Column("c", "number", False, "float16"), [65504], [65505]),
    (Column("c", "number", False, "float64", minimum=0, maximum=1), [0, 1, 0.5], [-0.1, 1.1]),
    (Column("c", "boolean", False, "bool"), [True, False], [0, 1, "true", None]),
    (Column("c", "category", False, "object", categories=("a", "b")), ["a"], ["c", "A", "", 1, None, ["a"]]),
    (Column("c", "category", True, "object", categories=("a", "b")), ["a", None], ["c"]),
    (Column("c", "category", False, "category", categories=(1, 2)), [1, 2.0], [3, 1.5, True, "1", None]),
    (Column("c", "category", False, "category", categories=(0.5, 2.0)), [0.5, 2], [1, True, "0.5", None]),
    (Column("c", "category", False, "category", categories=(True, False)), [True], [1, 0, None]),
    (
        Column("c", "category", False, "object", categories=("a", "b"), accepts_unseen=True),
        ["a", "c", "", "x" * 1000],
        ["x" * 1001, "\0", 1, True, None],
    ),
    (
        Column(
            "c",
            "category",
            True,
            "category",
            categories=(1, 2),
            levels=Levels((1, 2), "int8", False),
            accepts_unseen=True,
        ),
        [1, 3.0, -128, None],
        [200, 1.5, True, "1"],
    ),
    (
        Column("c", "category", False, "float64", categories=(0.5, 2.0), accepts_unseen=True),
        [0.5, 7, -1.5],
        [True, "1", None, 1e16],
    ),
    (Column("c", "text", False, "object", longest=3), ["", "x" * 1000, "é\n"], ["x" * 1001, 1, None, "\0"]),
    (Column("c", "text", True, "object", longest=200), ["x" * 2000, None], ["x" * 2001]),
]


@pytest.mark.parametrize(
    ("column", "accepted", "refused"),
    COLUMNS,
    ids=lambda case: f"{case.kind}-{case.dtype}" if isinstance(case, Column) else "",
)
def test_each_kind_of_column_accepts_only_its_own_values(
    column: Column, accepted: list[Any], refused: list[Any]
) -> None:
    for value in accepted:
        assert parse_one(column, value) == value
    for value in refused:
        with pytest.raises(InvalidBody):
            parse_one(column, value)


@pytest.mark.parametrize("value", ["x" * 10**6, ["x"] * 10**6, {"k": "x" * 300}, [[[1] * 500]]])
def test_a_long_value_is_cut_in_the_fault(value: Any) -> None:
    with pytest.raises(InvalidBody) as refused:
        parser.parse(prediction(0, Age=value))

    (fault,) = refused.value.faults
    assert fault.to_json()["value"] == json.dumps(value)[:200] + "..."


def test_an_unknown_column_whose_name_has_a_lone_surrogate_is_named_with_the_other_faults() -> None:
    parser = ObservationParser(Signature("frame", (Column("x", "integer", False, "int64"),)))

    with pytest.raises(InvalidBody) as refused:
        parser.parse({"id": 1, "observation": {"\ud800": 2, "x": "a", "y": 3}})

    assert [fault.pointer for fault in refused.value.faults] == [
        "/observation/x", "/observation/\ud800", "/observation/y",
    ]  # fmt: skip

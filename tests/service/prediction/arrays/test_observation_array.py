"""An array of observations by column is the same as its items one by one, or is left to the parser of single items."""

import json
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serialize import load
from serialize.formats.datetimes import Datetimes
from serialize.signature import Column, Signature
from service.errors import ServiceError
from service.prediction.arrays.observation_array import ColumnParser
from service.prediction.columns import ObservationColumns
from service.prediction.observation import Observation, ObservationParser
from service.prediction.strict_json import decode
from tests.support.array_bodies import SIGNATURES, broken, plain_observations, written
from tests.support.passengers import ARTIFACTS, all_passengers, prediction

ALL = {**SIGNATURES, "shipped": load(ARTIFACTS).manifest.signature}
PARSERS = {name: (ColumnParser(signature), ObservationParser(signature)) for name, signature in ALL.items()}


def one_by_one(parser: ObservationParser, body: bytes) -> list[Observation] | None:
    """The observations of a body that is an array of valid items, or None."""
    try:
        payload = decode(body)
        return [parser.parse(item) for item in payload] if isinstance(payload, list) else None
    except ServiceError:
        return None


def exact(observations: Any) -> list[str]:
    """The observations as text, which shows the types of their values and the sign of a zero."""
    return [repr((each.observation_id, each.key, dict(each.values), each.text)) for each in observations]


def parsed(columns: ColumnParser, single: ObservationParser, body: bytes) -> ObservationColumns | None:
    """What the parser of columns gives, after a comparison with the items one by one."""
    found = columns.parse(body)
    if found is not None:
        observations = one_by_one(single, body)
        assert observations is not None, body
        assert exact(found.observations()) == exact(observations), body
        assert all(type(value) is str for value in (*found.keys, *found.texts))
    require_the_same_alone(columns, single, body.strip()[1:-1], is_parsed=found is not None and len(found) == 1)
    return found


def require_the_same_alone(columns: ColumnParser, single: ObservationParser, body: bytes, *, is_parsed: bool) -> None:
    """A body that is one item is parsed as by the other parser, and if its array was parsed, it is parsed too."""
    found = columns.parse_one(body)
    assert found is not None or not is_parsed, body
    if found is not None:
        observations = one_by_one(single, b"[" + body + b"]")
        assert observations is not None, body
        assert exact([found]) == exact(observations), body


def of_one_column(column: Column, body: str) -> ObservationColumns | None:
    signature = Signature("frame", (column,))
    return parsed(ColumnParser(signature), ObservationParser(signature), body.encode("utf-8", "surrogatepass"))


@pytest.mark.parametrize("name", ALL)
@given(random=st.randoms(use_true_random=False), items=st.integers(1, 4))
def test_a_plain_array_is_parsed_by_column_as_its_items_are_one_by_one(name: str, random: Random, items: int) -> None:
    body = written(random, plain_observations(random, ALL[name], items))

    columns = parsed(*PARSERS[name], body)

    assert columns is not None, body
    assert len(columns) == items
    assert tuple(columns.values) == ALL[name].names


@pytest.mark.parametrize("name", ALL)
@given(random=st.randoms(use_true_random=False), items=st.integers(1, 3))
def test_a_broken_array_is_parsed_as_its_items_are_or_not_at_all(name: str, random: Random, items: int) -> None:
    parsed(*PARSERS[name], broken(random, plain_observations(random, ALL[name], items)))


@pytest.mark.parametrize("name", ALL)
@given(body=st.binary() | st.binary().map(lambda body: b'[{"id":1,"observation":{' + body + b"}}]"))
def test_any_bytes_are_parsed_as_the_items_are_or_not_at_all(name: str, body: bytes) -> None:
    parsed(*PARSERS[name], body)


@pytest.mark.long
@pytest.mark.parametrize("name", ALL)
def test_of_thousands_of_broken_arrays_each_is_parsed_as_its_items_are_or_not_at_all(name: str) -> None:
    outcomes = []
    for seed in range(20_000):
        random = Random(seed)
        body = broken(random, plain_observations(random, ALL[name], random.randint(1, 5)))
        outcomes.append(parsed(*PARSERS[name], body) is not None)

    assert 1000 < sum(outcomes) < 16_000


def test_all_passengers_are_parsed_by_column() -> None:
    body = json.dumps([{"id": i, "observation": row} for i, row in enumerate(all_passengers())])

    columns = parsed(*PARSERS["shipped"], body.encode())

    assert columns is not None
    assert len(columns) == 1309


def test_what_was_left_out_is_missing_in_the_values_and_null_in_the_texts() -> None:
    items = [{"id": 1, "observation": {"Parch": 0, "SibSp": 1, "Sex": "male", "Pclass": 3}}, prediction("b")]

    columns = parsed(*PARSERS["shipped"], json.dumps(items).encode())

    assert columns is not None
    assert columns.ids == [1, "b"]
    assert columns.keys == ["1", '"b"']
    assert columns.values["Age"] == (None, 22.0)
    assert columns.texts[0] == (
        '{"Pclass":3,"Sex":"male","Age":null,"SibSp":1,"Parch":0,"Fare":null,"Cabin":null,"Embarked":null}'
    )


INTEGER = Column("c", "integer", False, "int64")
NUMBER = Column("c", "number", True, "float64")
LARGE = Column("c", "number", False, "float64", largest=1e300)
TEXT = Column("c", "text", False, "str", longest=100)
STRINGS = Column("c", "category", False, "object", categories=("a", "b"))
INTEGERS = Column("c", "category", False, "category", categories=(0, 1, 2))
FLOATS = Column("c", "category", True, "category", categories=(0.5, 2.0, 1e20))
TRUE = Column("c", "category", True, "category", categories=(True,))
UTC = Column("c", "datetime", True, "datetime64[us, UTC]", datetimes=Datetimes("us", "UTC"))
DAY = Column("c", "datetime", False, "object", datetimes=Datetimes("D", earliest="2024-01-01", latest="2024-12-31"))

IS_PARSED: list[tuple[Column, str, str | None]] = [
    (INTEGER, "-0", "0"),
    (INTEGER, "9223372036854775807", "9223372036854775807"),
    (INTEGER, "-9223372036854775808", "-9223372036854775808"),
    (NUMBER, "3", "3.0"),
    (NUMBER, "-0", "0.0"),
    (NUMBER, "-0.0", "-0.0"),
    (NUMBER, "1e2", "100.0"),
    (NUMBER, "1E+2", "100.0"),
    (NUMBER, "1e-4", "0.0001"),
    (NUMBER, "0.00001", "0.00001"),
    (NUMBER, "1.5e-7", "1.5e-7"),
    (NUMBER, "1e-400", "0.0"),
    (NUMBER, "1e15", "1000000000000000.0"),
    (NUMBER, "null", "null"),
    (LARGE, "9999999999999998", "9999999999999998.0"),
    (LARGE, "1e16", "1e+16"),
    (LARGE, "-18446744073709551617", "-1.8446744073709552e+19"),
    (LARGE, "9007199254740993", "9007199254740992.0"),
    (TEXT, '"\x7f"', '"\x7f"'),
    (TEXT, r'"\u0001\t\b\f\/\"\\"', r'"\u0001\t\b\f/\"\\"'),
    (TEXT, '"é☃😀\u2028"', '"é☃😀\u2028"'),
    (TEXT, r'"\u00e9\ud83d\ude00"', '"é😀"'),
    (TEXT, '":a:\\":"', '":a:\\":"'),
    (TEXT, '"' + "é" * 1000 + '"', '"' + "é" * 1000 + '"'),
    (STRINGS, r'"\u0061"', '"a"'),
    (INTEGERS, "1", "1"),
    (FLOATS, "2", "2.0"),
    (FLOATS, "1e20", "1e+20"),
    (FLOATS, "null", "null"),
    (TRUE, "true", "true"),
    (UTC, '"2024-05-31T12:30:00.000001+02:00"', '"2024-05-31T12:30:00.000001+02:00"'),
    (DAY, '"2024-12-31"', '"2024-12-31"'),
]
IS_LEFT: list[tuple[Column, str]] = [
    *((INTEGER, token) for token in ("3.0", "1e2", "true", "null", '"1"', "9223372036854775808", "9" * 5000)),
    *((Column("c", "integer", False, "uint8"), token) for token in ("-1", "256")),
    *((NUMBER, token) for token in ("NaN", "Infinity", "-Infinity", "1e999", "1e16", "true", '"1"', "[1]", "01", "1.")),
    *((Column("c", "number", False, "float64", minimum=0, maximum=1), token) for token in ("-0.1", "1.1")),
    (LARGE, "9" * 400),
    (Column("c", "number", False, "float32", largest=1e20), "3.5e38"),
    *((TEXT, token) for token in (r'"\u0000"', '"\0"', r'"\ud800"', r'"\udc00x"', '"\ud800"', '"\x1f"', r'"\x"', "1")),
    (TEXT, '"' + "é" * 1001 + '"'),
    *((STRINGS, token) for token in ('"c"', "1", "null", '["a"]')),
    *((INTEGERS, token) for token in ("1.0", "true", "false", "3", '"1"', "null")),
    *((FLOATS, token) for token in ("1", "true", '"0.5"')),
    *((TRUE, token) for token in ("false", "1", "1.0")),
    *((UTC, f'"{text}"') for text in ("2024-05-31T12:30:00", "2024-05-31", "2024-02-30T12:30:00Z", "x", "")),
    (UTC, '"2024-05-31T12:30:00.0000001Z"'),
    *((DAY, f'"{text}"') for text in ("2023-12-31", "2025-01-01", "2024-05-31T00:00:00", "\uff12024-05-31")),
]


@pytest.mark.parametrize(("column", "token", "text"), IS_PARSED)
def test_a_value_is_parsed_by_column_and_written_as_it_is_alone(column: Column, token: str, text: str) -> None:
    columns = of_one_column(column, f'[{{"id":1,"observation":{{"c":{token}}}}}]')

    assert columns is not None
    assert columns.texts == [f'{{"c":{text}}}']


@pytest.mark.parametrize(("column", "token"), IS_LEFT)
def test_a_value_that_is_wrong_or_is_written_as_another_type_is_left_to_the_other_parser(
    column: Column, token: str
) -> None:
    assert of_one_column(column, f'[{{"id":1,"observation":{{"c":{token}}}}}]') is None


@pytest.mark.parametrize(
    ("token", "key"),
    [
        ("0", "0"),
        ("-0", "0"),
        ("9223372036854775807", "9223372036854775807"),
        ("-9223372036854775808", "-9223372036854775808"),
        ('"1"', '"1"'),
        ('"a:\\":b"', '"a:\\":b"'),
        ('"\x7fé\u2028"', '"\x7fé\u2028"'),
        (r'"\u001f\u00e9"', r'"\u001fé"'),
        ('"' + "☃" * 255 + '"', '"' + "☃" * 255 + '"'),
    ],
)
def test_an_id_has_the_key_that_it_has_alone(token: str, key: str) -> None:
    columns = of_one_column(INTEGER, f'[{{"id":{token},"observation":{{"c":1}}}}]')

    assert columns is not None
    assert columns.keys == [key]


@pytest.mark.parametrize(
    "token",
    [
        *("1.0", "1e2", "true", "null", "[1]", '""', "9223372036854775808", "-9223372036854775809", "9" * 5000),
        *(r'"\u0000"', r'"\ud800"', '"' + "x" * 256 + '"'),
    ],
)
def test_an_id_that_is_wrong_or_is_written_as_a_float_is_left_to_the_other_parser(token: str) -> None:
    assert of_one_column(INTEGER, f'[{{"id":{token},"observation":{{"c":1}}}}]') is None


ITEM = '{"id":1,"observation":{"c":1}}'


@pytest.mark.parametrize(
    "body",
    [
        "",
        "[]",
        "null",
        ITEM,
        f"[[{ITEM}]]",
        f"[{ITEM},]",
        f"[{ITEM}] x",
        f"[{ITEM}]\0",
        f"[{ITEM}]\x0b",
        f"\ufeff[{ITEM}]",
        f"[{ITEM},{ITEM}]",
        f"[{ITEM},null]",
        '[{"id":1}]',
        '[{"observation":{"c":1}}]',
        '[{"id":1,"observation":null}]',
        '[{"id":1,"observation":{}}]',
        '[{"id":1,"observation":{"c":1,"d":1}}]',
        '[{"id":1,"observation":{"c0":1}}]',
        '[{"id":1,"observation":{"c":1},"x":1}]',
        '[{"id":1,"id":1,"observation":{"c":1}}]',
        '[{"id":"a:b","id":1,"observation":{"c":1}}]',
        '[{"id":1,"observation":{"c":1},"observation":{"c":1}}]',
        '[{"id":1,"observation":{"c":1,"c":1}}]',
        r'[{"id":1,"observation":{"c":1,"\u0063":1}}]',
    ],
)
def test_a_body_that_is_no_array_of_whole_items_with_different_ids_is_left_to_the_other_parser(body: str) -> None:
    assert of_one_column(INTEGER, body) is None


TWO = Signature("frame", (Column("a:b", "text", True, "str"), Column("c", "text", True, "str")))


@pytest.mark.parametrize(
    "observation",
    [
        '{"c":"x","c":"y"}',  # as many keys as columns
        '{"a:b":"x","a:b":"y","c":"z"}',
        r'{"a\u003ab":"x","c":"y","c":"z"}',  # as many colons as without the second `c`
        r'{"a\u003Ab":"x","c":"y","c":"z"}',
        r'{"c":"\u003a","c":"\u003a"}',
        r'{"c":"x","c":"y\u003a"}',
    ],
)
def test_a_key_that_occurs_twice_is_never_taken(observation: str) -> None:
    body = f'[{{"id":1,"observation":{observation}}}]'.encode()

    assert parsed(ColumnParser(TWO), ObservationParser(TWO), body) is None


@pytest.mark.parametrize(
    "observation",
    ["{}", '{"a:b":"x:y"}', '{"c":":::","a:b":":"}', '{"c":null}', r'{"\u0063":"x","a:b":"\"c\":1"}'],
)
def test_colons_in_names_and_values_are_no_keys(observation: str) -> None:
    body = f'[{{"id":":","observation":{observation}}}]'.encode()

    assert parsed(ColumnParser(TWO), ObservationParser(TWO), body) is not None


@pytest.mark.parametrize(
    "columns",
    [
        *((Column(name, "number", False, "float64"),) for name in ('a"b', "a\\b", "a\nb", "\x1f", "\0", "\ud800")),
        (Column("c", "category", False, "object", categories=(1, True)),),
        (Column("c", "category", False, "object", categories=(2**63, 1)),),
        (Column("c", "number", False, "float64"), Column("c", "text", False, "str")),
        (),
        tuple(Column(f"c{i}", "number", True, "float64") for i in range(4000)),
    ],
)
def test_a_signature_that_cannot_be_checked_by_column_is_left_to_the_other_parser(columns: tuple[Column, ...]) -> None:
    parser = ColumnParser(Signature("frame", columns))

    assert parser.parse(b'[{"id":1,"observation":{"c":1}}]') is None
    assert parser.parse(b"[") is None


@pytest.mark.parametrize(("columns", "items", "is_parsed"), [(31, 10_000, True), (33, 10_000, False), (100, 900, True)])
def test_a_long_array_of_many_columns_is_left_to_the_other_parser(columns: int, items: int, is_parsed: bool) -> None:
    """The decoder compares each key with all columns, and no other thread runs meanwhile."""
    names = [f"c{i}" for i in range(columns)]
    parser = ColumnParser(Signature("frame", tuple(Column(name, "number", True, "float64") for name in names)))
    body = json.dumps([{"id": i, "observation": {names[-1]: 1}} for i in range(items)]).encode()

    assert (parser.parse(body) is not None) == is_parsed


@pytest.mark.parametrize(
    "name", ["", "a b", "é", "a/b~c", "class", "id", "observation", "__root__", "c1", ":", "\x7f", "'"]
)
def test_a_column_may_have_any_other_name(name: str) -> None:
    column = Column(name, "number", False, "float64")

    assert of_one_column(column, json.dumps([{"id": 1, "observation": {name: 1}}])) is not None

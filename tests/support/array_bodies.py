"""Arrays of observations and of labels as bytes: plain ones, and the same with something broken in them."""

import json
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

from serialize.formats.datetimes import Datetimes
from serialize.signature import Column, Signature
from serialize.task import Task

# An object as its members, in order. Values are JSON as text, so that one number can be written in several ways.
Member = tuple[str, Any]
Members = list[Member]

SIGNATURES = {
    "numbers": Signature(
        "frame",
        (
            Column("int64", "integer", False, "int64"),
            Column("uint8", "integer", True, "uint8"),
            Column("uint64", "integer", False, "uint64", minimum=1),
            Column("float64", "number", False, "float64"),
            Column("float32", "number", True, "float32", largest=1e20),
            Column("share", "number", True, "float64", minimum=0, maximum=1),
        ),
    ),
    "categories": Signature(
        "frame",
        (
            Column("text", "category", True, "object", categories=("a", "b:c", 'd"é')),
            Column("integer", "category", True, "category", categories=(0, 1, 2)),
            Column("mixed", "category", False, "object", categories=("1", 1, "x")),
            Column("float", "category", True, "category", categories=(0.0, 0.5, 2.0)),
            Column("truth", "category", False, "category", categories=(True, False)),
            Column("unseen", "category", True, "category", categories=(1, 2), accepts_unseen=True),
        ),
    ),
    "texts": Signature(
        "frame",
        (
            Column("is:it", "boolean", True, "boolean"),
            Column("naïve : ☃", "text", True, "object"),
            Column("id", "text", False, "str", longest=3),
            Column("", "number", True, "Float64"),
            Column("\x7f", "integer", False, "Int16"),
        ),
    ),
    "datetimes": Signature(
        "frame",
        (
            Column("at", "datetime", True, "datetime64[ns, UTC]", datetimes=Datetimes("ns", "UTC")),
            Column("day", "datetime", False, "object", datetimes=Datetimes("D", element="date", latest="2024-12-31")),
            Column("local", "datetime", True, "datetime64[s]", datetimes=Datetimes("s")),
            Column("observation", "boolean", False, "bool"),
        ),
    ),
}

TOKENS = (
    *("null", "true", "false", "[]", "{}", "[1]", '{"a": 1}', '{"a": {"b": "c:d"}}', "NaN", "Infinity", "-Infinity"),
    *("0", "-0", "-0.0", "1", "1.0", "3.0", "1e2", "2", "0.5", "255", "256", "-1", "01", "1.", ".5", "+1", "1e", "--1"),
    *("1e-4", "1e-5", "1.5e-7", "1e15", "1e16", "1.5e+22", "123456789012345678", "1e300", "1e999", "1e-999", "3.5e38"),
    *("9007199254740993", "9223372036854775807", "9223372036854775808", "-9223372036854775808", "-9223372036854775809"),
    *("18446744073709551615", "18446744073709551617", "9" * 400, "9" * 5000, "0." + "0" * 400 + "1"),
    *('""', '"a"', '"male"', '"S"', '"yes"', '"1"', '"a:b"', '"b:c"', '":"', '"é"', '"\x7f"', '"\u2028"', '"😀"'),
    *(r'"\u003a"', r'"\u003A"', r'"\\u003a"', r'"\u0000"', r'"\\u0000"', r'"\ud800"', r'"\udc00"', r'"\ud83d\ude00"'),
    *(r'"\u0061"', r'"\t"', r'"\/"', r'"\""', r'"\\"', r'"\x"', r'"\u12"', '"\t"', '"\x00"', '"' + "x" * 1001 + '"'),
    *('"2024-05-31"', '"2024-05-31T12:30:00Z"', '"2024-02-30"', '"2025-01-01"', '"0001-01-01"'),
    *('"\\":1,\\"a\\":', '"a": 1, "a"', '"' + "é" * 255 + '"', '"' + "é" * 256 + '"'),
)  # fmt: skip

_LETTERS = 'ab:,{}[]"\\/ -0e.\t\x01\x7fé☃😀\u2028'
_BYTES = b'":,{}[]\\01-.eE+ \t\nantfu\x00\x0b\x1f\x7f\x80\xc3\xa9\xed\xa0\xff'


def plain_observations(random: Random, signature: Signature, items: int) -> list[Members]:
    """Valid items with different ids, in which the columns are in some order and some nullable ones are left out."""
    return [[("id", _id(random, i)), ("observation", _observation(random, signature))] for i in range(items)]


def plain_labels(random: Random, task: Task, items: int) -> list[Members]:
    """Valid items with different ids."""
    name = "true_value" if task.kind == "regression" else "true_class"
    return [
        [("id", _id(random, i)), (name, _json(random, random.choice(task.classes) if task.classes else _float(random)))]
        for i in range(items)
    ]


def written(random: Random, items: list[Members]) -> bytes:
    """The items as JSON, with space and escapes in some places."""
    space = random.choice(["", "", " ", "\n\t\r "])
    return f"{space}[{f',{space}'.join(_object(random, item, space) for item in items)}]{space}".encode()


def broken(random: Random, items: list[Members]) -> bytes:
    """The items with one to three changes of their members, of the text, or of both."""
    changes = random.choice([1, 1, 1, 2, 3])
    in_text = random.randint(0, changes)
    for _ in range(changes - in_text):
        random.choice(_CHANGES)(random, _an_object(random, items), items)
    body = written(random, items)
    for _ in range(in_text):
        body = _damaged(random, body)
    return body


def _id(random: Random, i: int) -> str:
    if random.random() < 0.5:
        return str(i - 2)
    return _json(random, f"{i}" + _text(random))


def _observation(random: Random, signature: Signature) -> Members:
    columns = [column for column in signature if not column.nullable or random.random() < 0.8]
    if random.random() < 0.2:
        random.shuffle(columns)
    return [(column.name, _valid(random, column)) for column in columns]


def _valid(random: Random, column: Column) -> str:
    if column.nullable and random.random() < 0.2:
        return "null"
    low, high = column.limits
    if column.datetimes is not None:
        least, greatest = column.datetimes.limits
        return _json(random, column.datetimes.text(random.randint(least, greatest)))
    match column.accepted:
        case "boolean":
            return random.choice(["true", "false"])
        case "integer":
            return str(min(max(random.choice([0, 1, 3, 10**6, int(low), int(high)]), int(low)), int(high)))
        case "number":
            number = _float(random)
            return _json(random, number if low <= number <= high else random.choice([low, high, 1, 0.25]))
        case "text":
            return _json(random, _text(random))
        case _:
            return _json(random, random.choice(column.categories or ()))


def _float(random: Random) -> float:
    scale: float = random.choice([1.0, 100.0, 1e-6, 1e14, 1e25])
    number = random.uniform(-1, 1) * scale
    return random.choice([number, abs(number), round(number, 2), float(round(number))])


def _text(random: Random) -> str:
    return "".join(random.choice(_LETTERS) for _ in range(random.randint(0, 6)))


def _json(random: Random, value: Any) -> str:
    return json.dumps(value, ensure_ascii=random.random() < 0.5)


def _object(random: Random, members: Members, space: str) -> str:
    texts = [
        f"{_json(random, key)}:{space}{value if isinstance(value, str) else _object(random, value, space)}"
        for key, value in members
    ]
    return "{" + f",{space}".join(texts) + "}"


def _an_object(random: Random, items: list[Members]) -> Members:
    """One of the items, or an object in one."""
    item = random.choice(items)
    within = [value for _, value in item if isinstance(value, list)]
    return random.choice(within) if within and random.random() < 0.8 else item


def _replace(random: Random, members: Members, _: Sequence[Members]) -> None:
    if members:
        i = random.randrange(len(members))
        members[i] = (members[i][0], random.choice(TOKENS))


def _repeat(random: Random, members: Members, _: Sequence[Members]) -> None:
    if members:
        key, value = random.choice(members)
        new = value if random.random() < 0.5 else random.choice(TOKENS)
        members.insert(random.randint(0, len(members)), (key, new))


def _leave_out(random: Random, members: Members, _: Sequence[Members]) -> None:
    if members:
        del members[random.randrange(len(members))]


def _leave_out_and_repeat(random: Random, members: Members, items: Sequence[Members]) -> None:
    _leave_out(random, members, items)
    _repeat(random, members, items)


def _add(random: Random, members: Members, _: Sequence[Members]) -> None:
    members.insert(
        random.randint(0, len(members)), (random.choice(["x", "id ", "ID", "", "c0"]), random.choice(TOKENS))
    )


def _share_an_id(random: Random, _: Members, items: Sequence[Members]) -> None:
    one, other = random.choice(items), random.choice(items)
    if one and other and one[0][0] == other[0][0] == "id":
        one[0] = other[0]


_CHANGES: tuple[Callable[[Random, Members, Sequence[Members]], None], ...] = (
    *(_replace, _replace, _replace, _repeat, _leave_out, _leave_out_and_repeat, _add, _share_an_id),
)  # fmt: skip


def _damaged(random: Random, body: bytes) -> bytes:
    at, to = sorted(random.randint(0, len(body)) for _ in range(2))
    to = min(to, at + random.choice([1, 1, 2, 20]))
    some = bytes(random.choice(_BYTES) for _ in range(random.randint(1, 2)))
    token = random.choice(TOKENS).encode()
    escape = b"".join(rb"\u%04x" % byte for byte in body[at : at + 1])
    return random.choice(
        [
            body[:at] + some + body[at:],
            body[:at] + some + body[to:],
            body[:at] + body[to:],
            body[:to] + body[at:],
            body[:at] + token + body[to:],
            body[:at] + escape + body[at + 1 :],
            body + some,
            random.choice([b"\xef\xbb\xbf", some]) + body,
        ]
    )

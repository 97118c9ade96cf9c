"""The notice of a dump tells which values the service refuses, and how to accept them."""

from serialize.declarations import strictness
from serialize.signature import Column, Signature


def notice(name: str) -> list[str]:
    return strictness(
        Signature("frame", (Column(name, "category", False, "object", categories=("a", "b")),))
    ).splitlines()


def test_the_notice_gives_the_argument_and_the_option() -> None:
    assert notice("port") == [
        "The service will answer 422",
        '  to a value that is not listed, in port; such as port: expected one of "a", "b"; got "unseen"',
        '    To accept it: accept_unseen=["port"] (train, and adopt with --data: --accept-unseen COLUMN)',
        '  to null, in port; such as port: expected one of "a", "b"; got null',
        '    To accept it: nullable=["port"] (train, and adopt with --data: --nullable COLUMN)',
    ]


def test_a_line_break_in_a_name_does_not_break_the_notice() -> None:
    lines = notice("port\nof\u2028call")

    assert len(lines) == 5
    assert r"in port\nof\u2028call; such as port\nof\u2028call: expected" in lines[1]

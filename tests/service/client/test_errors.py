"""A problem of the service becomes an error whose positions are those of the whole input."""

from typing import Any

import pytest

from service.client.errors import Fault, refusal


def body(count: int, more: str = "") -> dict[str, Any]:
    errors: list[dict[str, Any]] = [
        {"pointer": f"/{i}/id", "detail": f"item {i}: bad", "value": i, "expected": "good"} for i in range(count)
    ]
    return {"title": "Invalid", "detail": "; ".join(each["detail"] for each in errors[:20]) + more, "errors": errors}


def test_the_message_names_positions_in_the_whole_input() -> None:
    error = refusal(422, body(2), None, first=1000)

    assert error.detail == "item 1000: bad; item 1001: bad"
    assert error.faults[1] == Fault("/1001/id", "item 1001: bad", 1, "good")


@pytest.mark.parametrize("more", ["; and 5 more", "; and at least 5 more"])
def test_a_message_that_names_only_some_faults_says_so(more: str) -> None:
    error = refusal(422, body(25, more), None, first=1000)

    assert len(error.faults) == 25
    assert error.detail.endswith(f"; item 1019: bad{more}")


def test_the_message_of_the_first_chunk_is_that_of_the_service() -> None:
    assert refusal(422, body(2), None).detail == body(2)["detail"]


@pytest.mark.parametrize("pointer", ["", "/id", "/observation/3"])
def test_a_pointer_without_a_position_stays(pointer: str) -> None:
    fault = Fault(pointer, "bad", None, "good")

    assert fault.moved(1000) == fault


@pytest.mark.parametrize("status", [299, 599, 999])
def test_an_unknown_status_has_a_title(status: int) -> None:
    assert str(refusal(status, None, None)) == f"{status} Unknown status"

"""Cuts a long input into chunks, and sends one after the other."""

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any

from service.client.answers import Prediction
from service.client.errors import ClientError, Refused

# Sends the items that begin at a position of the whole input, and returns their answers in order.
Send = Callable[[list[dict[str, Any]], int], list[Prediction]]


def answers(items: Iterable[dict[str, Any]], chunk: int, send: Send) -> Iterator[Prediction]:
    """The answers for all items, in order, a chunk at a time. The items of a chunk are taken when the answers of the
    one before it are used up. If a chunk is too large for the service (413), its first half is sent instead, and the
    next chunks are not longer than that. Raises what `send` raises, with the number of `stored` items. What `items`
    raises passes unchanged."""
    source, waiting, stored = iter(items), list[dict[str, Any]](), 0
    while True:
        waiting += islice(source, max(chunk - len(waiting), 0))
        if not waiting:
            return
        part = waiting[:chunk]
        try:
            found = send(part, stored)
        except ClientError as error:
            if not _is_too_large(error) or len(part) == 1:
                error.stored = stored
                raise
            chunk = len(part) // 2
            continue
        yield from found
        stored += len(part)
        del waiting[: len(part)]


def _is_too_large(error: ClientError) -> bool:
    return isinstance(error, Refused) and error.status == 413

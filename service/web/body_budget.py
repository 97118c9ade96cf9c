"""The memory that the requests of one worker may take: their bodies, what is parsed from them, and long answers.

Half of the budget is for bodies until they are parsed, and half for what is parsed from them. So bodies that wait
cannot keep each other from being parsed."""

from service.batching import Budget
from service.errors import BodyTooLarge, Unavailable

_SENTENCE = "The service has no memory for this request now; try again shortly."


class BodyBudget:
    """A budget of `capacity` bytes. A request waits `timeout` seconds at most for memory to parse its body."""

    def __init__(self, capacity: int, timeout: float) -> None:
        self.unparsed = Budget(capacity // 2, timeout)
        self.parsed = Budget(capacity - capacity // 2, timeout)


class Held:
    """What one request holds of the budget."""

    __slots__ = ("_budget", "_parsed", "_unparsed")

    def __init__(self, budget: BodyBudget) -> None:
        self._budget = budget
        self._unparsed = self._parsed = 0

    def hold_body(self, length: int) -> None:
        """Holds this many bytes for the body, more or fewer than before. Raises Unavailable if there is no room."""
        if not self._budget.unparsed.take(length - self._unparsed):
            raise Unavailable(_SENTENCE, reason="memory")
        self._unparsed = length

    def hold_parsed(self, count: int) -> None:
        """Waits for room for what a body is parsed into. Raises BodyTooLarge if it can never fit, and Unavailable
        after the timeout."""
        budget = self._budget.parsed
        if count > budget.capacity:
            raise BodyTooLarge(
                f"The body needs about {count} bytes of memory; the limit is {budget.capacity}, half of "
                "MAX_BYTES_IN_FLIGHT. Send fewer items or values at once."
            )
        if not budget.wait(count):
            raise Unavailable(_SENTENCE, reason="memory")
        self._parsed += count

    def try_answer(self, length: int) -> bool:
        """Holds the bytes of a long refusal and returns True, or returns False if refusals and their slow readers would
        leave too little room for others."""
        budget, more = self._budget.parsed, max(length - self._parsed, 0)
        if more > budget.free - budget.capacity // 2 or not budget.take(more):
            return False
        self._parsed += more
        return True

    def hold_answer(self, length: int) -> None:
        """Holds the bytes of the answer and nothing else, even if there is no room."""
        self.hold_body(0)
        self._budget.parsed.give(self._parsed - length)
        self._parsed = length

    def release(self) -> None:
        """Gives everything back."""
        self.hold_answer(0)

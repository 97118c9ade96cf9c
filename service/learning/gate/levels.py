"""The error level of repeated tests. The levels of all attempts add up to 5 %, however many there are."""

ALPHA = 0.05
FIRST_LOOK = 200


def level(attempt: int) -> float:
    """The error level of the k-th attempt, 5 % / (k (k + 1)). Raises ValueError for an attempt below 1."""
    if attempt < 1:
        raise ValueError(f"The attempt is {attempt}; the first one is 1.")
    return ALPHA / (attempt * (attempt + 1))


def looks(labels: int) -> int:
    """The number of looks that are due with so many labels: one at 200 labels, the next at 400, then at 800, ..."""
    return max(0, labels // FIRST_LOOK).bit_length()


def labels_of_look(look: int) -> int:
    """The labels from which on the k-th look is due. Raises ValueError for a look below 1."""
    if look < 1:
        raise ValueError(f"The look is {look}; the first one is 1.")
    return int(FIRST_LOOK << (look - 1))

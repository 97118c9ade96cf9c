"""All probabilities of a multiclass task as texts, by class."""

from collections.abc import Callable, Sequence

from serialize.task import Outputs, Task


def columns_by_name(task: Task) -> dict[str, int]:
    """The classes as the keys of `probas`, in order, and their columns in the outputs. Of classes with one name, such
    as 1 and "1", the last one counts, as in a dictionary that is filled."""
    return {str(label): column for column, label in enumerate(task.classes)}


def texts_by_class(
    outputs: Outputs, columns: Sequence[int], texts_of: Callable[[Sequence[float]], list[str]]
) -> list[list[str]]:
    """The texts of k columns of outputs of shape (n, n_classes): n for each of the columns. `texts_of` makes them."""
    texts = texts_of(outputs[:, list(columns)].ravel().tolist())
    return [texts[place :: len(columns)] for place in range(len(columns))]

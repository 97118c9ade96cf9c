"""The built-in recipes by name."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from serialize.recipes.diabetes import diabetes
from serialize.recipes.iris import iris
from serialize.recipes.pairs import pairs
from serialize.recipes.recipe import Recipe
from serialize.recipes.sections import sections
from serialize.recipes.titanic import titanic


@dataclass(frozen=True, slots=True)
class BuiltIn:
    """A recipe that is built when it is called. One that learns from a user's file takes the rows of the file, a
    DataFrame of texts, and by each name in `file_columns` the column of the file. `columns` are those of its model,
    given if it takes seconds to build."""

    build: Callable[..., Recipe]
    file_columns: tuple[str, ...] = ()
    columns: frozenset[str] | None = None

    def __call__(self) -> Recipe:
        """The recipe with its own data."""
        return self.build()


RECIPES: Mapping[str, BuiltIn] = {
    "titanic": BuiltIn(titanic),
    "iris": BuiltIn(iris),
    "diabetes": BuiltIn(diabetes),
    "sections": BuiltIn(sections, ("title", "text", "section"), frozenset({"title", "text"})),
    "pairs": BuiltIn(pairs, ("author", "text"), frozenset({"a", "b", "text"})),
}

__all__ = ["RECIPES", "BuiltIn"]

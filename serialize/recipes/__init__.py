"""The built-in recipes by name: a binary, a multiclass and a regression model."""

from collections.abc import Callable

from serialize.recipes.diabetes import diabetes
from serialize.recipes.iris import iris
from serialize.recipes.recipe import Recipe
from serialize.recipes.titanic import titanic

RECIPES: dict[str, Callable[[], Recipe]] = {"titanic": titanic, "iris": iris, "diabetes": diabetes}

__all__ = ["RECIPES"]

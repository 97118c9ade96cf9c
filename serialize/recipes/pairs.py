"""Who of two authors would say a text: the classifier of pairs, for the modules of Python's standard library as authors
or for the user's own texts."""

import numpy as np
import pandas as pd

from serialize.errors import DumpError
from serialize.estimators import PairClassifier
from serialize.recipes.own_rows import is_blank, require_columns
from serialize.recipes.recipe import Recipe
from serialize.recipes.standard_library import articles

LEAST_TEXTS = 10  # so that enough are left when a fifth is held out
_LEAST_WORDS = 10
_LIBRARY_TEXTS = 100


def pairs(rows: pd.DataFrame | None = None, *, author: str = "author", text: str = "text") -> Recipe:
    """In each row `a` or `b`, at random, is the author of the text, and the other is any other author.

    `rows` holds n texts with their authors, strings or nulls. Rows without one of them and authors with fewer than ten
    texts are left out, and the notes say so. Raises DumpError for a missing column, and if fewer than two authors are
    left. Without `rows` the authors are the packages and modules of the standard library with at least 100 paragraphs
    of ten words in their docstrings, and the paragraphs of a class or function are held out together."""
    if rows is not None:
        usable, notes = _usable(rows, author, text)
        return _recipe(usable[author], usable[text], notes)
    library = _library()
    return _recipe(library["author"], library["text"], [], groups=library["group"].to_numpy())


def _recipe(authors: "pd.Series[str]", texts: "pd.Series[str]", notes: list[str], **declared: object) -> Recipe:
    random = np.random.default_rng(0)
    names, numbers = np.unique(authors.to_numpy(dtype=str), return_inverse=True)
    others = (numbers + random.integers(1, len(names), len(numbers))) % len(names)
    is_a = random.random(len(numbers)) < 0.5
    X = pd.DataFrame(
        {
            "a": names[np.where(is_a, numbers, others)].astype(object),
            "b": names[np.where(is_a, others, numbers)].astype(object),
            "text": texts.to_numpy(dtype=object),
        }
    )
    return Recipe(
        name="pairs",
        pipeline=PairClassifier(),
        X=X,
        y=pd.Series(names[numbers].astype(object)),
        declared={
            "categories": dict.fromkeys(("a", "b"), names.tolist()),
            "text": ["text"],
            "importances": False,
            **declared,
        },
        notes=tuple(notes),
    )


def _library() -> pd.DataFrame:
    found = [
        {"author": article.module.partition(".")[0], "text": paragraph, "group": number}
        for number, article in enumerate(articles())
        for paragraph in article.text.split("\n\n")
        if len(paragraph.split()) >= _LEAST_WORDS
    ]
    library = pd.DataFrame(found).drop_duplicates("text")
    counts = library["author"].map(library["author"].value_counts())
    return library[counts >= _LIBRARY_TEXTS].reset_index(drop=True)


def _usable(rows: pd.DataFrame, author: str, text: str) -> tuple[pd.DataFrame, list[str]]:
    """The rows to learn from, and notes about what is left out."""
    require_columns(rows, (author, text))
    present = ~is_blank(rows[author]) & ~is_blank(rows[text])
    counts = rows.loc[present, author].value_counts().sort_index()
    rare = list(counts.index[counts < LEAST_TEXTS])
    if len(counts) - len(rare) < 2:
        raise DumpError(f"Column {author!r} has fewer than two authors with at least {LEAST_TEXTS} texts; add texts.")
    notes = [f"{(~present).sum()} rows without {author} or {text} were left out."] if not present.all() else []
    if rare:
        notes.append(f"Authors with fewer than {LEAST_TEXTS} texts were left out: {', '.join(map(str, rare))}.")
    return rows[present & ~rows[author].isin(rare)].reset_index(drop=True), notes

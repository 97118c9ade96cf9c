"""The section that an article belongs to: a multiclass model of its title and text, for articles of Python's standard
library or for the user's own."""

from typing import Any

import pandas as pd
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.svm import LinearSVC

from serialize.errors import DumpError
from serialize.recipes.own_rows import is_blank, require_columns
from serialize.recipes.recipe import Recipe
from serialize.recipes.standard_library import articles
from serialize.transformers import documents

LEAST_ROWS = 3
_FOLDS = 5


def sections(
    rows: pd.DataFrame | None = None, *, title: str | None = "title", text: str = "text", section: str = "section"
) -> Recipe:
    """TF-IDF of words and pairs of words, then a linear support vector machine with calibrated probabilities.

    `rows` holds n articles, with strings or nulls in the columns `title`, `text` and `section`; the model has the text
    only if there is no such `title` or all titles are empty. Rows without a section, rows without title and text, and
    sections with fewer than three rows are left out, and the notes say so. Raises DumpError for a missing column, and
    if fewer than two sections are left. Without `rows` the articles are those of the standard library, in the order of
    their modules, and the model is scored on modules that it was not fitted on."""
    if rows is not None:
        usable, notes = _usable(rows, title, text, section)
        return _recipe(usable, title, text, section, notes)
    library = pd.DataFrame(articles())
    return _recipe(library, "title", "text", "section", [], groups=library["module"].to_numpy())


def _recipe(
    rows: pd.DataFrame, title: str | None, text: str, section: str, notes: list[str], **declared: Any
) -> Recipe:
    columns = [text] if title is None or title not in rows.columns else [title, text]
    return Recipe(
        name="sections",
        pipeline=_pipeline(columns, _inner_folds(rows[section])),
        X=rows[columns],
        y=rows[section],
        declared={"text": columns, "nullable": columns[:-1], **declared},
        notes=tuple(notes),
    )


def _pipeline(columns: list[str], folds: int) -> Pipeline:
    """The unfitted pipeline. The sigmoids are fitted on `folds` folds in the order of the rows, so that most rows of a
    module are in one fold; the one machine of all rows answers."""
    *title, text = columns
    words = [("title", _words(1), title)] if title else []
    words += [("text", _words(2), [text])]
    machine = LinearSVC(tol=1e-6, max_iter=20_000, random_state=0)
    return make_pipeline(ColumnTransformer(words), CalibratedClassifierCV(machine, cv=folds, ensemble=False))


def _words(least: int) -> Pipeline:
    """The words and pairs of words in one column that occur in at least `least` rows; at most 50,000."""
    vectorizer = TfidfVectorizer(
        ngram_range=(1, 2), sublinear_tf=True, stop_words="english", min_df=least, max_features=50_000
    )
    return make_pipeline(FunctionTransformer(documents), vectorizer)


def _inner_folds(labels: "pd.Series[Any]") -> int:
    """As many folds as the least frequent section allows after a fold of `dump` has been held out; at most five."""
    least = int(labels.value_counts().min())
    held_out = -(-least // min(_FOLDS, least))
    return min(_FOLDS, least - held_out)


def _usable(rows: pd.DataFrame, title: str | None, text: str, section: str) -> tuple[pd.DataFrame, list[str]]:
    """The rows to learn from, and notes about what is left out."""
    require_columns(rows, (text, section))
    inputs = [name for name in (title, text) if name in rows.columns and not is_blank(rows[name]).all()]
    if text not in inputs:
        raise DumpError(f"Column {text!r} is empty in every row; name the column that holds the text.")
    unlabelled = is_blank(rows[section])
    wordless = ~unlabelled & pd.concat([is_blank(rows[name]) for name in inputs], axis=1).all(axis=1)
    usable = rows.loc[~unlabelled & ~wordless, [*inputs, section]]
    counts = usable[section].value_counts().sort_index()
    rare = list(counts.index[counts < LEAST_ROWS])
    if len(counts) - len(rare) < 2:
        raise DumpError(
            f"Column {section!r} has fewer than two sections with at least {LEAST_ROWS} articles; add articles."
        )
    notes = [
        f"{count} rows without {what} were left out."
        for count, what in ((unlabelled.sum(), section), (wordless.sum(), "a title and a text"))
        if count
    ]
    if rare:
        notes.append(f"Sections with fewer than {LEAST_ROWS} articles were left out: {', '.join(rare)}.")
    if title is not None and title not in inputs:
        notes.append(f"No row has a {title}, so the model has the text only.")
    return usable[~usable[section].isin(rare)].reset_index(drop=True), notes

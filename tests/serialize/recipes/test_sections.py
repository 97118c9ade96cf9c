"""The recipe `sections` makes a served model of the user's articles, and knows the sections of unseen modules."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from serialize import DumpError, cross_validate
from serialize.recipes.recipe import train
from serialize.recipes.sections import sections

WORDS = {"sport": "goal match team player season", "money": "bank share market profit price", "art": "film book song"}


def rows(count: int = 12) -> pd.DataFrame:
    """`count` articles of each of three sections, of five words of its section each."""
    chosen = np.random.default_rng(0)
    return pd.DataFrame(
        [
            {"title": f"{words.split()[0]} today", "text": " ".join(chosen.choice(words.split(), 5)), "section": name}
            for name, words in WORDS.items()
            for _ in range(count)
        ]
    )


@pytest.mark.long
def test_own_articles_make_a_model_that_takes_any_text_and_a_null_as_title(tmp_path: Path) -> None:
    made = train(sections(rows()), tmp_path / "artifact")

    made.verify_all()
    assert made.manifest.task.classes == ("art", "money", "sport")
    assert [(column.name, column.kind, column.nullable) for column in made.manifest.signature] == [
        ("title", "text", True),
        ("text", "text", False),
    ]
    outputs = made.model.outputs([{"title": None, "text": "The player and the team"}, {"title": "?", "text": ""}])
    assert outputs[0].argmax() == 2
    np.testing.assert_allclose(outputs.sum(axis=1), 1)
    assert made.manifest.metrics["method"] == "5-fold cross-validation"
    assert made.manifest.metrics["metrics"]["accuracy"]["mean"] > 0.9


def test_the_columns_have_the_names_of_the_users_file() -> None:
    renamed = rows().rename(columns={"title": "headline", "text": "body", "section": "desk"}).assign(other="unused")

    recipe = sections(renamed, title="headline", text="body", section="desk")

    assert list(recipe.X.columns) == ["headline", "body"]
    assert recipe.declared == {"text": ["headline", "body"], "nullable": ["headline"]}
    assert recipe.pipeline.fit(recipe.X, recipe.y).predict(recipe.X.iloc[:1]) == ["sport"]


@pytest.mark.parametrize("without", [rows().drop(columns="title"), rows().assign(title=None), rows().assign(title=" ")])
def test_without_titles_the_model_has_the_text_only(without: pd.DataFrame) -> None:
    recipe = sections(without)

    assert list(recipe.X.columns) == ["text"]
    assert recipe.declared == {"text": ["text"], "nullable": []}
    assert recipe.pipeline.fit(recipe.X, recipe.y).score(recipe.X, recipe.y) == 1
    assert recipe.notes == ("No row has a title, so the model has the text only.",)


def test_no_title_is_used_if_the_caller_names_none() -> None:
    recipe = sections(rows(), title=None)

    assert list(recipe.X.columns) == ["text"]
    assert recipe.notes == ()


def test_rows_that_teach_nothing_are_left_out_with_a_note() -> None:
    odd = pd.DataFrame(
        [
            {"title": "a title", "text": "a text", "section": None},
            {"title": "", "text": None, "section": "sport"},
            {"title": "only a title", "text": None, "section": "sport"},
            {"title": "a title", "text": "a text", "section": "weather"},
            {"title": "a title", "text": "a text", "section": "weather"},
        ]
    )

    recipe = sections(pd.concat([rows(), odd], ignore_index=True))

    assert recipe.notes == (
        "1 rows without section were left out.",
        "1 rows without a title and a text were left out.",
        "Sections with fewer than 3 articles were left out: weather.",
    )
    assert recipe.X["title"].tolist()[-1] == "only a title"
    assert len(recipe.X) == len(recipe.y) == 37


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (rows().drop(columns="text"), r"^The rows have no column 'text'; their columns are title, section\."),
        (rows().drop(columns="section"), r"^The rows have no column 'section'; their columns are title, text\."),
        (rows().assign(text=None), r"^Column 'text' is empty in every row"),
        (rows().assign(section="sport"), r"^Column 'section' has fewer than two sections with at least 3 articles"),
        (rows(2), r"^Column 'section' has fewer than two sections with at least 3 articles"),
    ],
)
def test_rows_that_cannot_be_learned_are_refused(given: pd.DataFrame, message: str) -> None:
    with pytest.raises(DumpError, match=message):
        sections(given)


@pytest.mark.parametrize("count", [3, 4, 5, 6, 7])
def test_a_few_articles_in_a_section_are_enough_to_fit_and_to_cross_validate(count: int) -> None:
    recipe = sections(rows(count))

    recipe.pipeline.fit(recipe.X, recipe.y)
    found = cross_validate(recipe.pipeline, recipe.X, recipe.y)

    assert found["method"].startswith(f"{min(count, 5)}-fold cross-validation")


def test_no_probability_depends_on_where_the_solver_stops() -> None:
    recipe = sections(rows())
    tighter = sections(rows()).pipeline
    tighter[-1].set_params(estimator__tol=1e-10, estimator__max_iter=1_000_000)

    loose, tight = (each.fit(recipe.X, recipe.y).predict_proba(recipe.X) for each in (recipe.pipeline, tighter))

    np.testing.assert_allclose(loose, tight, rtol=0, atol=1e-6)

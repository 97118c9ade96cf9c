"""Words, and the vocabulary of texts in which a new text has as many unknown words as one of the training texts."""

import numpy as np
import pytest

from serialize.formats import words as module
from serialize.formats.words import Vocabulary, unknown_share, words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        (" .,- \0", []),
        ("Don't stop_it", ["don", "t", "stop_it"]),
        ("STRASSE Straße", ["strasse", "strasse"]),
        ("שלום 世界 42\nemoji 🎉", ["שלום", "世界", "42", "emoji"]),
    ],
)
def test_words_are_runs_of_word_characters_without_regard_to_case(text: str, expected: list[str]) -> None:
    assert words(text) == expected


def test_the_share_of_unknown_words_counts_each_occurrence() -> None:
    assert unknown_share("a b B c", {"a"}) == 0.75
    assert unknown_share("", {"a"}) == 0.0


def test_a_word_is_known_if_two_texts_have_it_and_for_a_text_of_the_training_if_two_others_have_it() -> None:
    found = Vocabulary.of(["a a b", "b c", "b c", "a"])

    assert found.words == ("a", "b", "c")
    assert found.least_texts == 2
    assert found.unknown_shares == (2 / 3, 1 / 2, 1 / 2, 1)


def test_a_large_vocabulary_keeps_the_words_of_more_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_WORDS", 2)

    found = Vocabulary.of(["a b c", "a b c", "a b", "a b"])

    assert (found.words, found.least_texts) == (("a", "b"), 3)
    assert found.unknown_shares == (1 / 3, 1 / 3, 0, 0)


def test_a_new_text_has_as_many_unknown_words_as_a_text_of_the_training() -> None:
    random = np.random.default_rng(0)
    texts = [" ".join(f"w{number}" for number in random.zipf(1.5, 30)) for _ in range(4000)]

    found = Vocabulary.of(texts[:2000])
    new = [unknown_share(text, set(found.words)) for text in texts[2000:]]

    assert np.mean(new) == pytest.approx(np.mean(found.unknown_shares), abs=0.003)
    assert np.mean(new) > 0.02

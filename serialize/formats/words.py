"""The words of texts, and the share of a text's words that a vocabulary lacks."""

import re
from collections import Counter
from collections.abc import Container, Sequence
from dataclasses import dataclass

_WORD = re.compile(r"\w+")
_MOST_WORDS = 20_000


def words(text: str) -> list[str]:
    """The words of a text: its longest runs of letters, digits and underscores, without regard to case."""
    return _WORD.findall(text.casefold())


def unknown_share(text: str, vocabulary: Container[str]) -> float:
    """The share of a text's words that are not in the vocabulary; 0 for a text without a word."""
    found = words(text)
    return sum(word not in vocabulary for word in found) / len(found) if found else 0.0


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The words that are in at least `least_texts` of n texts, and for each text the share of its words that are in
    fewer than `least_texts` of the other texts. A new text of the same source has such shares too: its own words were
    not counted either."""

    words: tuple[str, ...]
    least_texts: int
    unknown_shares: tuple[float, ...]

    @classmethod
    def of(cls, texts: Sequence[str]) -> "Vocabulary":
        """At most 20,000 words, each in two texts or more; sorted."""
        texts_with = Counter(word for text in texts for word in set(words(text)))
        least = 2
        while sum(count >= least for count in texts_with.values()) > _MOST_WORDS:
            least += 1
        in_others = {word for word, count in texts_with.items() if count > least}
        known = sorted(word for word, count in texts_with.items() if count >= least)
        return cls(tuple(known), least, tuple(unknown_share(text, in_others) for text in texts))

"""Texts that stay on one line of a terminal, whatever names and values they contain."""


def printable(text: str) -> str:
    """The text on one line: line breaks and other control characters as their escapes."""
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)

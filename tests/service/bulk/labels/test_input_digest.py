"""The digest of a run changes with the content of its files and its arguments, and not with their names."""

from pathlib import Path

import pytest

from serialize.files.formats import FileFormat
from serialize.files.places import input_files
from service.bulk.labels.input_digest import input_digest
from tests.service.bulk.stored import put
from tests.support.moto import S3


def digest(*places: Path | str, argument: str = "id") -> str:
    return input_digest(input_files([str(place) for place in places]), argument, ("a", 1))


def test_content_order_format_and_arguments_count_and_names_do_not(tmp_path: Path) -> None:
    for name, content in {"a.csv": "id\n1\n", "b.csv": "id\n1\n", "c.csv": "id\n2\n", "d.ndjson": "id\n1\n"}.items():
        (tmp_path / name).write_text(content)
    a, b, c, d = (tmp_path / name for name in ("a.csv", "b.csv", "c.csv", "d.ndjson"))

    assert digest(a, c) == digest(b, c)
    assert len({digest(a), digest(c), digest(d), digest(a, c), digest(c, a), digest(a, argument="key")}) == 6


def test_standard_input_is_never_the_same_again() -> None:
    files = input_files(["-"], FileFormat("csv"))

    assert input_digest(files) != input_digest(files)


@pytest.mark.long  # starts a server
def test_a_file_of_a_store_is_known_by_what_the_store_says(s3: S3) -> None:
    for name, content in {"a.csv": b"id\n1\n", "b.csv": b"id\n1\n", "c.csv": b"id\n2\n"}.items():
        put(f"{s3.url}/{name}", content)

    assert digest(f"{s3.url}/a.csv") == digest(f"{s3.url}/b.csv") != digest(f"{s3.url}/c.csv")

"""The URL of an artifact names a folder and holds no secret."""

from pathlib import Path

import pytest

from serialize import ArtifactError
from serialize.store.address import checked_url, is_url


@pytest.mark.parametrize(
    "url",
    ["s3://bucket/a/b", "s3://bucket", "gs://bucket/a", "az://container/a", "https://host:8443/a", "file:///a/b c"],
)
def test_the_url_of_a_folder_is_accepted_with_or_without_a_slash_at_its_end(url: str) -> None:
    assert checked_url(url) == checked_url(url + "/") == url


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("http://host/a", "http://host/a is not a URL of a kind that can be read"),
        ("ftp://user:SECRET@host/a", "ftp://host/a is not a URL of a kind"),
        ("https://user:SECRET@host/a", "The URL https://host/a may hold only"),
        ("https://host/a?sig=SECRET", "The URL https://host/a may hold only"),
        ("https://host/a#SECRET", "The URL https://host/a may hold only"),
        ("s3://key:SECRET@bucket/a", "The URL s3://bucket/a may hold only"),
        ("s3://buc\nket/a", "put credentials into the environment"),
        ("s3:///a", "give one like s3://bucket/folder"),
        ("az:///a", "give one like az://container/folder"),
        ("file://a/b", "give one like file:///folder"),
        ("file:///", "file:// is not the URL of a folder"),
        ("s3://bucket/a/../b", "s3://bucket/a/../b is not the URL of a folder"),
        ("s3://bucket/./b", "s3://bucket/./b is not the URL of a folder"),
        ("s3://bucket/a//b", "s3://bucket/a//b is not the URL of a folder"),
        ("https://[SECRET/a", "The URL of the artifact cannot be read"),
        ("://SECRET@a", "The URL of the artifact cannot be read"),
    ],
)
def test_any_other_url_is_refused_without_its_secrets(url: str, told: str) -> None:
    with pytest.raises(ArtifactError) as refusal:
        checked_url(url)

    assert told in str(refusal.value)
    assert "SECRET" not in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("folder", ["artifacts", "/a/b", "a:b", "C:/a", Path("s3://bucket")])
def test_a_path_is_no_url(folder: object) -> None:
    assert not is_url(folder)

"""A folder of a store or on a disk by the names of its files."""

import pytest

from service.bulk.files.folder import Folder
from tests.service.bulk.stored import put
from tests.support.moto import S3


@pytest.mark.long  # starts a server
def test_a_bucket_is_a_folder(s3: S3) -> None:
    put(f"s3://{s3.bucket}/a/b.csv", b"a\n1\n")

    assert Folder.at(f"s3://{s3.bucket}/").names() == ["a/b.csv"]

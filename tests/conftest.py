"""Object stores on the loopback interface, one server of each kind for all tests."""

import os
import uuid
from collections.abc import Iterator

import pytest

from tests import object_stores

REAL_S3 = "EFFNET_TEST_S3"  # the endpoint of a real server, with its AWS_* beside it


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    """An S3 server that lives in memory, or the real one that the environment names."""
    if REAL_S3 in os.environ:
        yield os.environ[REAL_S3]
    else:
        with object_stores.s3_server() as endpoint:
            yield endpoint


@pytest.fixture(scope="session")
def gcs_endpoint() -> Iterator[str]:
    with object_stores.gcs_server() as endpoint:
        yield endpoint


@pytest.fixture
def s3(s3_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The address of an empty bucket on S3, which this process and its children can reach."""
    object_stores.reach_s3(s3_endpoint, monkeypatch)
    return object_stores.make_bucket("s3", f"bucket-{uuid.uuid4().hex[:12]}")


@pytest.fixture
def gs(gcs_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The address of an empty bucket on GCS."""
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", gcs_endpoint)
    return object_stores.make_bucket("gs", f"bucket-{uuid.uuid4().hex[:12]}")


@pytest.fixture(params=["local", "s3", "gs"])
def address(request: pytest.FixtureRequest) -> str:
    """The address of a folder that is not there yet, on each kind of store in turn."""
    place = request.getfixturevalue("tmp_path" if request.param == "local" else request.param)
    return f"{place}/folder"

"""What tests share: an object store of each kind, started once, and a browser."""

import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests import object_stores

if TYPE_CHECKING:
    from playwright.sync_api import Browser

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


@pytest.fixture(scope="module")
def browser() -> "Iterator[Browser]":
    """Headless Chromium; only where CI is not set may it be missing.

    Each module has its own: while one is there, its event loop counts as running in this thread,
    so that no test after it could call asyncio.run.
    """
    found = shutil.which("chromium")
    if found is None:
        text = "no Chromium to look at the pages with: apt-get install chromium"
        pytest.fail(text) if os.environ.get("CI") else pytest.skip(text)
    from playwright.sync_api import sync_playwright

    from tests.pages.browser import launch

    with sync_playwright() as playwright:
        started = launch(playwright, found)
        yield started
        started.close()


@pytest.fixture
def page_check(browser: "Browser") -> Callable[[Path | str], None]:
    """Returns what asserts that nothing is wrong with a page, which is a file or an address."""
    from tests.pages.browser import find_problems

    def check(place: Path | str) -> None:
        problems = find_problems(browser, place)
        assert not problems, "\n".join(problems)

    return check

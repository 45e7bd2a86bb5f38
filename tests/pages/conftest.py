import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.pages import browser as chromium

Check = Callable[[Path | str], None]


@pytest.fixture(scope="session")
def browser() -> Iterator[chromium.Browser]:
    """Headless Chromium; only where CI is not set may it be missing."""
    found = shutil.which("chromium")
    if found is None:
        text = "no Chromium to look at the pages with: apt-get install chromium"
        pytest.fail(text) if os.environ.get("CI") else pytest.skip(text)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = chromium.launch(playwright, found)
        yield started
        started.close()


@pytest.fixture
def page_check(browser: chromium.Browser) -> Check:
    """Returns what asserts that nothing is wrong with a page, which is a file or an address."""

    def check(place: Path | str) -> None:
        problems = chromium.find_problems(browser, place)
        assert not problems, "\n".join(problems)

    return check

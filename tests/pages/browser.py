"""Opens a page in headless Chromium, and tells what is wrong with it."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Browser, ConsoleMessage, Page, Playwright, Request

SCRIPTS = Path(__file__).parent / "scripts.js"
WIDTHS = (1280, 390)
SCHEMES = ("light", "dark")
HEIGHT = 900
# Colours don't depend on the width, nor the layout on the scheme: each is met once.
AXE_AT = ((1280, "light"), (390, "dark"))
AXE_OPTIONS = {
    "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    "resultTypes": ["violations"],
}
MAX_TABS = 600


def launch(playwright: Playwright, chromium: str) -> Browser:
    """Starts Debian's Chromium; the sandbox needs rights that a container lacks."""
    return playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])


def address(place: Path | str) -> str:
    """Returns the address of a file, or the one that was given."""
    return place.absolute().as_uri() if isinstance(place, Path) else place


@dataclass
class Look:
    """A page that was opened, and what was found wrong with it so far."""

    page: Page
    url: str
    problems: list[str] = field(default_factory=list)

    def listen(self) -> None:
        """Minds from now on what the page says and asks for."""
        self.page.on("console", self._on_console)
        self.page.on("pageerror", lambda error: self.problems.append(f"script error: {error}"))
        self.page.on("dialog", self._on_dialog)
        self.page.on("request", self._on_request)
        self.page.on("requestfailed", lambda request: self._on_lost(request))

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.problems.append(f"console {message.type}: {message.text}")

    def _on_dialog(self, dialog: Any) -> None:
        self.problems.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def _on_request(self, request: Request) -> None:
        if request.url != self.url and not request.url.startswith("data:"):
            self.problems.append(f"request: {request.url[:200]}")

    def _on_lost(self, request: Request) -> None:
        self.problems.append(f"failed request: {request.url[:200]}")

    def ask(self, function: str, where: str = "") -> None:
        """Takes the problems over that a function of scripts.js finds."""
        found = self.page.evaluate(f"window.looks.{function}()")
        self.problems += [f"{where}{problem}" for problem in found]


@contextlib.contextmanager
def opened(browser: Browser, place: Path | str) -> Iterator[Look]:
    """Opens a page by itself, without a network."""
    with contextlib.closing(browser.new_context(viewport={"width": 1280, "height": HEIGHT})) as own:
        look = Look(own.new_page(), address(place))
        look.listen()
        look.page.goto(look.url)
        look.page.evaluate(SCRIPTS.read_text(encoding="utf-8"))
        yield look


def find_problems(browser: Browser, place: Path | str) -> list[str]:
    """Looks at a page by mouse and keyboard, at both widths, in light and dark.

    Returns:
        What is wrong with it, a line each; empty of a page that is as it should be.
    """
    with opened(browser, place) as look:
        check_keyboard(look)
        look.ask("openDetails")
        look.ask("brokenImages")
        look.page.evaluate(AXE_SCRIPT)
        for scheme in SCHEMES:
            for width in WIDTHS:
                check_layout(look, width, scheme)
        return look.problems


def check_layout(look: Look, width: int, scheme: Any) -> None:
    """Looks at the page at one width in one scheme of colours."""
    look.page.set_viewport_size({"width": width, "height": HEIGHT})
    look.page.emulate_media(color_scheme=scheme)
    where = f"{width} px, {scheme}: "
    look.ask("overflow", where)
    look.ask("figures", where)
    if (width, scheme) not in AXE_AT:
        return
    found = look.page.evaluate("options => axe.run(options)", AXE_OPTIONS)
    for violation in found["violations"]:
        nodes = violation["nodes"]
        first = f"{nodes[0]['html'][:200]} ({' '.join(nodes[0]['failureSummary'].split())[:300]})"
        look.problems.append(f"{where}axe {violation['id']} of {len(nodes)}: {first}")


def check_keyboard(look: Look) -> None:
    """Goes through the page by Tab, and opens and closes what opens by Enter."""
    look.page.evaluate("window.looks.follow()")
    for _ in range(min(MAX_TABS, look.page.evaluate("window.looks.focusable().length + 1"))):
        look.page.keyboard.press("Tab")
    look.ask("unreached")
    summary = look.page.locator("summary").first
    if summary.count():
        summary.focus()
        states = []
        for _ in range(2):
            look.page.keyboard.press("Enter")
            states.append(summary.evaluate("one => one.parentElement.open"))
        if states not in ([True, False], [False, True]):
            look.problems.append("keyboard: Enter does not open and close the details")

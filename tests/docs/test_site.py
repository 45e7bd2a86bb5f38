"""The documentation builds, leads nowhere that isn't there, and shows what the code takes."""

import contextlib
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
import typer
import yaml
from axe_playwright_python.base import AXE_SCRIPT
from markdown.extensions.toc import slugify
from playwright.sync_api import Browser

from pipeline import cli
from pipeline.config import PipelineConfig
from tests.pages.browser import AXE_AT, AXE_OPTIONS, HEIGHT, address

ROOT = Path(__file__).parents[2]
FRONT = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")]
PAGES = sorted((ROOT / "docs").rglob("*.md"))
DOCUMENTS = [*FRONT, ROOT / "kubeflow/README.md", *PAGES]
FENCE = re.compile(r"^ *```(\w*)[^\n]*\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
# A fenced block of another kind of YAML begins with this comment.
OTHER_YAML = "# not a configuration of effnet"


class Resources(HTMLParser):
    """The addresses that a browser fetches by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        name = "href" if tag == "link" and given.get("rel") != "canonical" else "src"
        if tag in ("link", "script", "img", "iframe", "source") and given.get(name):
            self.found.append(str(given[name]))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built strictly: a link or an anchor that leads nowhere is an error."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


def test_the_site_needs_no_network(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    assert len(pages) > len(PAGES)
    for page in pages:
        resources = Resources()
        resources.feed(page.read_text(encoding="utf-8"))
        assert resources.found
        assert [found for found in resources.found if urlsplit(found).netloc] == [], page


def test_the_reference_tells_every_setting_command_and_field(site: Path) -> None:
    def told(page: str) -> str:
        return (site / "reference" / page).read_text(encoding="utf-8")

    assert 'id="trainerhardware"' in told("configuration.html")
    assert "<code>precision</code>" in told("configuration.html")
    assert "fewest training images that a class may have" in told("configuration.html").lower()
    commands = told("commands.html")
    for words in leaf_commands():
        assert f"effnet {' '.join(words)}" in commands
    assert "withheld" in told("summary.html")


@pytest.mark.parametrize(("width", "scheme"), AXE_AT)
def test_the_site_is_accessible(site: Path, browser: Browser, width: int, scheme: Any) -> None:
    context = browser.new_context(viewport={"width": width, "height": HEIGHT}, color_scheme=scheme)
    with contextlib.closing(context):
        page = context.new_page()
        for name in ("index", "gate", "how-to/add-a-component", "reference/commands"):
            page.goto(address(site / f"{name}.html"))
            page.wait_for_function("document.readyState === 'complete'")
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), name
            page.evaluate(AXE_SCRIPT)
            found = page.evaluate("options => axe.run(options)", AXE_OPTIONS)
            assert [rule["id"] for rule in found["violations"]] == [], name


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(document: Path) -> None:
    text = FENCE.sub("", document.read_text(encoding="utf-8"))
    for link in LINK.findall(text):
        parts = urlsplit(link)
        if parts.scheme:
            assert parts.scheme == "https" and parts.netloc, link
            continue
        target = document.parent / unquote(parts.path) if parts.path else document
        if "/reference/" in str(target):  # made while the site is built, which checks it
            continue
        assert target.exists(), link
        if parts.fragment:
            assert parts.fragment in anchors(target), link


def anchors(document: Path) -> set[str]:
    text = FENCE.sub("", document.read_text(encoding="utf-8"))
    return {
        slugify(re.sub(r"[`*]", "", heading), "-")
        for heading in re.findall(r"^#+ +(.+?) *$", text, re.MULTILINE)
    }


def fenced(*kinds: str) -> Iterator[tuple[Path, str]]:
    for document in DOCUMENTS:
        for kind, block in FENCE.findall(document.read_text(encoding="utf-8")):
            if kind in kinds:
                yield document, block


def test_configurations_that_are_shown_are_valid() -> None:
    found = [shown for shown in fenced("yaml") if not shown[1].lstrip().startswith(OTHER_YAML)]
    assert found
    for document, block in found:
        assert isinstance(yaml.safe_load(block), dict), (document, block)
        PipelineConfig.parse(yaml.safe_load(block))


def leaf_commands() -> dict[tuple[str, ...], set[str]]:
    """Every command by its words, with the options that it takes."""

    def walk(command: object, words: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], set[str]]]:
        children = getattr(command, "commands", {})
        for name, child in children.items():
            yield from walk(child, (*words, name))
        if not children or getattr(command, "invoke_without_command", False):
            params = command.params  # type: ignore[attr-defined]
            options = {name for param in params for name in (*param.opts, *param.secondary_opts)}
            yield words, options | {"--help"}

    return dict(walk(typer.main.get_command(cli.app), ()))


def shown_commands() -> Iterator[tuple[Path, str]]:
    for document, block in fenced("sh", "console", "bash", "shell", ""):
        for line in block.replace("\\\n", " ").splitlines():
            found = re.search(r"(?:^|[ /])(effnet (?!-)[^#|]*)", line.removeprefix("$ "))
            if found and not line.lstrip().startswith("#"):
                yield document, found[1]


def test_commands_that_are_shown_are_real() -> None:
    known = leaf_commands()
    found = list(shown_commands())
    assert len(found) > 10
    for document, line in found:
        # As usage is written, [--like this]... and {a|b} may stand there.
        words = [word.strip("[]{}().,;") for word in shlex.split(line.replace("'", ""))[1:]]
        heads = [head for head in known if list(head) == words[: len(head)] and head]
        assert heads, (document, line)
        head = max(heads, key=len)
        options = {word.partition("=")[0] for word in words if re.match(r"--?[a-z]", word)}
        assert options <= known[head], (document, line, options - known[head])

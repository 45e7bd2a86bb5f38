"""Takes the documentation's pictures of a page: `python -m tests.pages.screenshots REPORT FOLDER`.

Two files, small by a palette: a wide screen in light, a telephone in dark.
"""

import argparse
import io
import shutil
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, sync_playwright

from tests.pages.browser import launch, opened

MAX_BYTES = 200_000
SHOTS = {"report-wide.png": (1280, 900, "light"), "report-narrow.png": (390, 844, "dark")}


def take(browser: Browser, page: Path, folder: Path) -> list[Path]:
    """Writes both pictures of the top of a page.

    Args:
        browser: that is there already.
        page: an HTML file.
        folder: that gets the PNGs; it is made if it is missing.

    Returns:
        The files, each of at most 200,000 bytes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    with opened(browser, page) as look:
        for name, (width, height, scheme) in SHOTS.items():
            look.page.set_viewport_size({"width": width, "height": height})
            look.page.emulate_media(color_scheme=scheme)
            small = _with_palette(look.page.screenshot(animations="disabled"))
            (folder / name).write_bytes(small)
            files.append(folder / name)
    return files


def _with_palette(png: bytes) -> bytes:
    """Returns a PNG again, with as many colours as the bytes allow."""
    picture = Image.open(io.BytesIO(png)).convert("RGB")
    for colours in (256, 128, 64, 32, 16):
        buffer = io.BytesIO()
        picture.quantize(colours, dither=Image.Dither.NONE).save(buffer, "PNG", optimize=True)
        if buffer.tell() <= MAX_BYTES:
            break
    return buffer.getvalue()


def main() -> None:
    """Takes the pictures that the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m tests.pages.screenshots")
    parser.add_argument("report", type=Path)
    parser.add_argument("folder", type=Path)
    asked = parser.parse_args()
    chromium = shutil.which("chromium")
    if chromium is None:
        sys.exit("Chromium is missing: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = launch(playwright, chromium)
        for file in take(browser, asked.report, asked.folder):
            print(f"{file}: {file.stat().st_size:,} bytes")
        browser.close()


if __name__ == "__main__":
    main()

"""Where the page of `effnet data` is written: never over a file that is somebody else's."""

import os
from pathlib import Path

from components.errors import OutputError
from pipeline.files import write_atomically

DEFAULT = Path("effnet-data.html")
_MARK = "<!-- written by effnet data -->\n"


def check_place(page: Path, root: str, force: bool) -> Path:
    """Returns the page's absolute path, if a page may be written there.

    Args:
        page: as it was given.
        root: of the data, with symlinks resolved, or its address.
        force: replace whatever file is there.

    Raises:
        OutputError: if it may not.
    """
    page = page.expanduser().absolute()
    where = f"the page '{page}'"
    if page.suffix not in (".html", ".htm"):
        raise OutputError(f"{where} must be named *.html: name it so with --html")
    if page.is_dir():
        raise OutputError(f"{where} is a folder: name a file in it with --html")
    if not page.parent.is_dir():
        raise OutputError(f"{where}: there is no folder '{page.parent}'; make it")
    if not os.access(page.parent, os.W_OK):
        raise OutputError(f"{where}: the folder is not writable; name another with --html")
    if page.parent.resolve().is_relative_to(root):
        raise OutputError(f"{where} would lie among the data: name a file elsewhere with --html")
    if page.exists() and not force and not _is_ours(page):
        raise OutputError(
            f"{where} is there already, and 'effnet data' has not written it: name another with "
            "--html, or add --force to replace it"
        )
    return page


def write_page(page: Path, html: str) -> None:
    """Writes the page, so that the next one may replace it."""
    write_atomically(page, html.rstrip("\n") + "\n" + _MARK)


def _is_ours(page: Path) -> bool:
    mark = _MARK.encode()
    with open(page, "rb") as file:
        file.seek(max(0, page.stat().st_size - len(mark)))
        return file.read() == mark

"""How figures become inline SVG: text stays text, and colours follow the page's theme.

Matplotlib draws with placeholder colours, which are then replaced by CSS variables, so that one
figure is right on light and on dark. The same facts give the same bytes.
"""

import io
import re
import threading
import warnings
from collections.abc import Callable
from typing import Any

from markupsafe import Markup, escape
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

INK, MUTED, LINE, FIRST, SECOND, BAD = (f"#0{digit}0b0c" for digit in "123456")
_VARIABLES = {
    INK: "--ink",
    MUTED: "--muted",
    LINE: "--line",
    FIRST: "--first",
    SECOND: "--second",
    BAD: "--bad",
}
_STYLE: dict[str, Any] = {
    "svg.fonttype": "none",
    # Only widths are measured by it; the page's own font is shown.
    "font.family": "DejaVu Sans",
    "font.size": 11,
    "text.parse_math": False,
    "text.color": INK,
    "axes.edgecolor": LINE,
    "axes.labelcolor": MUTED,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": LINE,
    "grid.linewidth": 0.6,
    "xtick.color": LINE,
    "ytick.color": LINE,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "legend.frameon": False,
    "legend.labelcolor": INK,
    "lines.linewidth": 1.8,
}
_WIDTH, HEIGHT = 5.4, 3.2  # inches of 72 pixels
_LOCK = threading.Lock()  # Matplotlib's settings are the whole process's
_NO_METADATA = dict.fromkeys(("Date", "Creator", "Format", "Type"))


def draw(
    name: str, title: str, description: str, fill: Callable[[Axes], None], height: float = HEIGHT
) -> Markup:
    """Draws one figure.

    Args:
        name: unique on its page; ids inside the SVG begin with it.
        title: for who can't see it, with the description.
        description: what it shows, in a sentence.
        fill: draws on the axes.
        height: in inches.
    """
    buffer = io.StringIO()
    # A person's own settings of Matplotlib must not show.
    settings = style.context(["default", {**_STYLE, "svg.hashsalt": name}])
    with _LOCK, settings, warnings.catch_warnings():
        # The page's fonts have the glyphs that the measuring one lacks.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        figure = Figure(figsize=(_WIDTH, height), layout="constrained")
        FigureCanvasSVG(figure)
        axes = figure.add_subplot()
        fill(axes)
        figure.savefig(buffer, format="svg", transparent=True, metadata=_NO_METADATA)
    return _inline(buffer.getvalue(), name, title, description)


def _inline(text: str, name: str, title: str, description: str) -> Markup:
    svg = text[text.index("<svg") :]
    view = re.search(r'viewBox="[^"]*"', svg)
    body = svg[svg.index(">") + 1 :].rstrip()
    body = re.sub(r"<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    body = re.sub(r'<style type="text/css">.*?</style>', "", body, flags=re.DOTALL)
    body = re.sub(r'<g id="[^"]*"', "<g", body)
    body = re.sub(r"<[^>]+>", lambda tag: _themed(tag[0]), body)
    head = (
        f'<svg class="figure" {view.group() if view else ""} role="img" '
        f'aria-labelledby="{name}-title {name}-desc"><title id="{name}-title">{escape(title)}'
        f'</title><desc id="{name}-desc">{escape(description)}</desc>'
    )
    return Markup(head + re.sub(r"\n\s*", "\n", body))


def _themed(tag: str) -> str:
    """The page's font and colours in a tag; the text between tags stays as it is."""
    tag = re.sub(r"font: ([\d.]+px) [^;\"]*", r"font-size: \1", tag)
    tag = re.sub(r"font-family: [^;\"]*;? ?", "", tag)
    for colour, variable in _VARIABLES.items():
        tag = tag.replace(colour, f"var({variable})")
    return tag

"""Figures as inline SVG: text stays text, and colours follow the page's theme.

Matplotlib draws with placeholder colours, which are then replaced by CSS variables, so that one
figure is right on light and on dark. The same facts give the same bytes.
"""

import io
import re
import warnings
from collections.abc import Callable, Sequence

import matplotlib
from markupsafe import Markup, escape
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from components.evaluator.verdict import Comparison
from components.run_report import wording
from components.run_report.drift import ClassShift
from components.run_report.facts import HistoryRow
from components.run_report.parts import Curve, Histogram, ReliabilityBin

_INK, _MUTED, _LINE, _FIRST, _SECOND, _BAD = (f"#0{digit}0b0c" for digit in "123456")
_VARIABLES = {
    _INK: "--ink",
    _MUTED: "--muted",
    _LINE: "--line",
    _FIRST: "--first",
    _SECOND: "--second",
    _BAD: "--bad",
}
_STYLE = {
    "svg.fonttype": "none",
    # Only widths are measured by it; the page's own font is shown.
    "font.family": "DejaVu Sans",
    "font.size": 11,
    "text.parse_math": False,
    "text.color": _INK,
    "axes.edgecolor": _LINE,
    "axes.labelcolor": _MUTED,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": _LINE,
    "grid.linewidth": 0.6,
    "xtick.color": _LINE,
    "ytick.color": _LINE,
    "xtick.labelcolor": _MUTED,
    "ytick.labelcolor": _MUTED,
    "legend.frameon": False,
    "legend.labelcolor": _INK,
    "lines.linewidth": 1.8,
}
_WIDTH, _HEIGHT = 5.4, 3.2  # inches of 72 pixels
_LONGEST = 24  # characters of a user's text in a figure
_NO_METADATA = dict.fromkeys(("Date", "Creator", "Format", "Type"))


def _svg(
    name: str, title: str, description: str, draw: Callable[[Axes], None], height: float = _HEIGHT
) -> Markup:
    """Draws one figure.

    Args:
        name: unique on its page; ids inside the SVG begin with it.
        title: for who can't see it, with the description.
        description: what it shows, in a sentence.
        draw: fills the axes.
        height: in inches.
    """
    buffer = io.StringIO()
    with matplotlib.rc_context({**_STYLE, "svg.hashsalt": name}), warnings.catch_warnings():
        # The page's fonts have the glyphs that the measuring one lacks.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        figure = Figure(figsize=(_WIDTH, height), layout="constrained")
        FigureCanvasSVG(figure)
        axes = figure.add_subplot()
        draw(axes)
        figure.savefig(buffer, format="svg", transparent=True, metadata=_NO_METADATA)
    return _inline(buffer.getvalue(), name, title, description)


def _inline(text: str, name: str, title: str, description: str) -> Markup:
    svg = text[text.index("<svg") :]
    view = re.search(r'viewBox="[^"]*"', svg)
    body = svg[svg.index(">") + 1 :].rstrip()
    body = re.sub(r"<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    body = re.sub(r'<style type="text/css">.*?</style>', "", body, flags=re.DOTALL)
    body = re.sub(r'<g id="[^"]*"', "<g", body)
    body = re.sub(r"font: ([\d.]+px) [^;\"]*", r"font-size: \1", body)
    body = re.sub(r"font-family: [^;\"]*;? ?", "", body)
    for colour, variable in _VARIABLES.items():
        body = body.replace(colour, f"var({variable})")
    head = (
        f'<svg class="figure" {view.group() if view else ""} role="img" '
        f'aria-labelledby="{name}-title {name}-desc"><title id="{name}-title">{escape(title)}'
        f'</title><desc id="{name}-desc">{escape(description)}</desc>'
    )
    return Markup(head + re.sub(r"\n\s*", "\n", body))


def comparison(found: Comparison) -> Markup:
    """The difference of accuracy with its interval, and the line of no difference."""
    rows = [("all test images", found)]
    if found.unseen is not None:
        rows.append(("not learnt by it", found.unseen))

    def draw(axes: Axes) -> None:
        axes.axvline(0, color=_MUTED, linewidth=1, linestyle="--")
        for place, (_, row) in enumerate(rows):
            if row.interval is not None:
                axes.plot([100 * end for end in row.interval], [place, place], color=_FIRST)
            axes.plot(100 * row.difference, place, "o", color=_FIRST, markersize=8)
        axes.set_yticks(range(len(rows)), [name for name, _ in rows])
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.grid(visible=False, axis="y")
        axes.set_xlabel("difference of accuracy, points")

    return _svg(
        "comparison",
        "Difference of accuracy to the model that served",
        f"{wording.points(found.difference)} points, with 95 % confidence "
        f"{wording.pointed(found.interval)}.",
        draw,
        height=1.2 + 0.4 * len(rows),
    )


def reliability(bins: Sequence[ReliabilityBin]) -> Markup:
    """Share of right answers against mean score; the size of a dot tells how many images."""
    known = [one for one in bins if one.confidence is not None and one.accuracy is not None]
    most = max((one.images for one in known), default=1)

    def draw(axes: Axes) -> None:
        axes.plot([0, 1], [0, 1], color=_MUTED, linewidth=1, linestyle="--")
        confidence, accuracy = [b.confidence for b in known], [b.accuracy for b in known]
        axes.plot(confidence, accuracy, color=_FIRST, linewidth=1)
        sizes = [18 + 160 * one.images / most for one in known]
        axes.scatter(confidence, accuracy, s=sizes, color=_FIRST)
        axes.set(xlim=(0, 1.03), ylim=(0, 1.06), xlabel="score", ylabel="share right")

    return _svg(
        "reliability",
        "Reliability diagram",
        "Share of right answers by score; on the dashed line the score tells the truth.",
        draw,
        height=3.6,
    )


def scores(bins: Sequence[ReliabilityBin]) -> Markup:
    """Share of the test images in each range of scores."""
    edges = (*(one.low for one in bins), bins[-1].high)
    counts = tuple(one.images for one in bins)
    return histogram("scores", "score", Histogram(edges=edges, counts=counts))


def curves(stages: Sequence[Curve], measure: str) -> Markup:
    """Loss or accuracy by epoch on train and val, one stage after the other.

    Args:
        stages: in their order.
        measure: `loss` or `accuracy`.
    """

    def draw(axes: Axes) -> None:
        done = 0
        for place, stage in enumerate(stages):
            for split, colour in (("train", _SECOND), ("val", _FIRST)):
                values = getattr(stage, f"{split}_{measure}")
                epochs = range(done + 1, done + len(values) + 1)
                axes.plot(epochs, values, color=colour, marker=".", label="" if place else split)
            best = getattr(stage, f"val_{measure}")[stage.best_epoch : stage.best_epoch + 1]
            axes.plot(
                [done + 1 + stage.best_epoch] * len(best),
                best,
                "o",
                color=_FIRST,
                mfc="none",
                ms=10,
            )
            done += len(stage.val_loss)
            if place < len(stages) - 1:
                axes.axvline(done + 0.5, color=_MUTED, linewidth=1, linestyle=":")
        axes.set(xlabel="epoch", ylabel=measure)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.legend()

    return _svg(
        f"curves-{measure}",
        f"Training curves: {measure}",
        f"{measure.capitalize()} on train and val by epoch; a ring marks the epoch that each "
        f"stage ended with.",
        draw,
    )


def histogram(name: str, title: str, now: Histogram, before: Histogram | None = None) -> Markup:
    """Shares of images by a value, now and, as a line, in an earlier run.

    Args:
        name: unique on its page.
        title: of the value, with its unit.
        now: what is drawn as bars.
        before: with the same edges.
    """

    def draw(axes: Axes) -> None:
        axes.stairs(_shares(now), now.edges, fill=True, color=_FIRST, alpha=0.75, label="now")
        if before is not None:
            axes.stairs(_shares(before), before.edges, color=_SECOND, linewidth=2, label="before")
            axes.legend()
        axes.set(xlabel=title, ylabel="images, %")
        axes.grid(visible=False, axis="x")
        axes.set_xlim(*_reach(now, before))
        axes.xaxis.set_major_formatter(lambda value, _: short(value))
        axes.locator_params(axis="x", nbins=6)

    then = " and before" if before is not None else ""
    return _svg(
        name, f"{title}: distribution", f"Share of the images by value, now{then}.", draw, 2.6
    )


def _shares(histogram: Histogram) -> list[float]:
    total = sum(histogram.counts) or 1
    return [100 * count / total for count in histogram.counts]


def _reach(*histograms: Histogram | None) -> tuple[float, float]:
    """The edges between which any image lies."""
    ends = [
        edge
        for one in histograms
        if one is not None
        for place, count in enumerate(one.counts)
        if count
        for edge in one.edges[place : place + 2]
    ]
    return (min(ends), max(ends)) if ends else (0.0, 1.0)


def short(value: float) -> str:
    """A value on an axis: 20000 as 20 k."""
    if abs(value) >= 1e6:
        return f"{value / 1e6:g} M"
    return f"{value / 1e3:g} k" if abs(value) >= 1e4 else f"{value:g}"


def class_shifts(rows: Sequence[ClassShift]) -> Markup:
    """Shares of classes before and now, a line from one to the other."""

    def draw(axes: Axes) -> None:
        for place, row in enumerate(rows):
            ends = [100 * (row.before or 0.0), 100 * (row.now or 0.0)]
            axes.plot(ends, [place, place], color=_MUTED, linewidth=1)
            axes.plot(
                ends[0], place, "o", color=_SECOND, mfc="none", label="" if place else "before"
            )
            axes.plot(ends[1], place, "o", color=_FIRST, label="" if place else "now")
        labels = [str(wording.printable(wording.shortened(row.label, _LONGEST))) for row in rows]
        axes.set_yticks(range(len(rows)), labels)
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.set_xlabel("share of all images, %")
        axes.legend()

    return _svg(
        "class-shifts",
        "Shares of the classes before and now",
        "The classes whose share has moved most.",
        draw,
        height=1.3 + 0.28 * len(rows),
    )


def history(rows: Sequence[HistoryRow]) -> Markup:
    """Accuracy with its interval by run, the oldest on the left."""
    known = [row for row in reversed(rows) if row.accuracy is not None]

    def draw(axes: Axes) -> None:
        for place, row in enumerate(known):
            if row.interval is not None:
                axes.plot(
                    [place] * 2, [100 * end for end in row.interval], color=_MUTED, linewidth=1
                )
        for good, colour, marker in ((True, _FIRST, "o"), (False, _BAD, "X")):
            chosen = [
                (place, row)
                for place, row in enumerate(known)
                if (row.verdict != "refused") == good
            ]
            axes.plot(
                [place for place, _ in chosen],
                [100 * (row.accuracy or 0.0) for _, row in chosen],
                marker,
                color=colour,
                label="refused" if not good else "not refused",
            )
        axes.set(xlabel="runs, the newest on the right", ylabel="accuracy, %", xticks=[])
        axes.legend()

    return _svg(
        "history",
        "Accuracy of the runs",
        "Accuracy on the test split with its 95 % interval, by run; a cross marks a refused one.",
        draw,
    )

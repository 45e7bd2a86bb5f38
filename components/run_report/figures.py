"""What each figure shows; see `svg` for how it is drawn."""

from collections.abc import Sequence

from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from components.evaluator.verdict import Comparison
from components.run_report import wording
from components.run_report.drift import ClassShift
from components.run_report.facts import HistoryRow
from components.run_report.parts import Curve, Histogram, ReliabilityBin
from components.run_report.svg import BAD, FIRST, MUTED, SECOND, draw

_LONGEST = 24  # characters of a user's text in a figure


def comparison(found: Comparison) -> Markup:
    """The difference of accuracy with its interval, and the line of no difference."""
    rows = [("all", found)]
    if found.unseen is not None:
        rows.append(("not learnt\nby it", found.unseen))

    def fill(axes: Axes) -> None:
        axes.axvline(0, color=MUTED, linewidth=1, linestyle="--")
        for place, (_, row) in enumerate(rows):
            if row.interval is not None:
                axes.plot([100 * end for end in row.interval], [place, place], color=FIRST)
            axes.plot(100 * row.difference, place, "o", color=FIRST, markersize=8)
        axes.set_yticks(range(len(rows)), [name for name, _ in rows])
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.grid(visible=False, axis="y")
        axes.set_xlabel("difference of accuracy, points")

    return draw(
        "comparison",
        "Difference of accuracy to the model that served",
        f"{wording.points(found.difference)} points, with 95 % confidence "
        f"{wording.pointed(found.interval)}.",
        fill,
        height=1.2 + 0.4 * len(rows),
    )


def reliability(bins: Sequence[ReliabilityBin]) -> Markup:
    """Share of right answers against mean score; the size of a dot tells how many images."""
    known = [
        (one.confidence, one.accuracy, one.images)
        for one in bins
        if one.confidence is not None and one.accuracy is not None
    ]
    confidence, accuracy = [row[0] for row in known], [row[1] for row in known]
    most = max((row[2] for row in known), default=1)

    def fill(axes: Axes) -> None:
        axes.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle="--")
        axes.plot(confidence, accuracy, color=FIRST, linewidth=1)
        sizes = [18 + 160 * row[2] / most for row in known]
        axes.scatter(confidence, accuracy, s=sizes, color=FIRST)
        axes.set(xlim=(0, 1.03), ylim=(0, 1.06), xlabel="score", ylabel="share right")

    return draw(
        "reliability",
        "Reliability diagram",
        "Share of right answers by score; on the dashed line the score tells the truth.",
        fill,
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

    def fill(axes: Axes) -> None:
        done = 0
        for place, stage in enumerate(stages):
            for split, colour in (("train", SECOND), ("val", FIRST)):
                values = getattr(stage, f"{split}_{measure}")
                epochs = range(done + 1, done + len(values) + 1)
                axes.plot(epochs, values, color=colour, marker=".", label="" if place else split)
            best = getattr(stage, f"val_{measure}")[stage.best_epoch : stage.best_epoch + 1]
            axes.plot(
                [done + 1 + stage.best_epoch] * len(best),
                best,
                "o",
                color=FIRST,
                mfc="none",
                ms=10,
            )
            done += len(stage.val_loss)
            if place < len(stages) - 1:
                axes.axvline(done + 0.5, color=MUTED, linewidth=1, linestyle=":")
        axes.set(xlabel="epoch", ylabel=measure)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.legend()

    return draw(
        f"curves-{measure}",
        f"Training curves: {measure}",
        f"{measure.capitalize()} on train and val by epoch; a ring marks the epoch that each "
        f"stage ended with.",
        fill,
    )


def histogram(name: str, title: str, now: Histogram, before: Histogram | None = None) -> Markup:
    """Shares of images by a value, now and, as a line, in an earlier run.

    Args:
        name: unique on its page.
        title: of the value, with its unit.
        now: what is drawn as bars.
        before: with the same edges.
    """

    def fill(axes: Axes) -> None:
        axes.stairs(_shares(now), now.edges, fill=True, color=FIRST, alpha=0.75, label="now")
        if before is not None:
            axes.stairs(_shares(before), before.edges, color=SECOND, linewidth=2, label="before")
            axes.legend()
        axes.set(xlabel=title, ylabel="images, %")
        axes.grid(visible=False, axis="x")
        axes.set_xlim(*_reach(now, before))
        axes.xaxis.set_major_formatter(lambda value, _: short(value))
        axes.locator_params(axis="x", nbins=6)

    then = " and before" if before is not None else ""
    return draw(
        name, f"{title}: distribution", f"Share of the images by value, now{then}.", fill, 2.6
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

    def fill(axes: Axes) -> None:
        for place, row in enumerate(rows):
            ends = [100 * (row.before or 0.0), 100 * (row.now or 0.0)]
            axes.plot(ends, [place, place], color=MUTED, linewidth=1)
            axes.plot(
                ends[0], place, "o", color=SECOND, mfc="none", label="" if place else "before"
            )
            axes.plot(ends[1], place, "o", color=FIRST, label="" if place else "now")
        labels = [wording.shortened(row.label, _LONGEST) for row in rows]
        axes.set_yticks(range(len(rows)), labels)
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.set_xlabel("share of all images, %")
        axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2, borderaxespad=0)

    return draw(
        "class-shifts",
        "Shares of the classes before and now",
        "The classes whose share has moved most.",
        fill,
        height=1.3 + 0.28 * len(rows),
    )


def history(rows: Sequence[HistoryRow], model: str | None, number: int) -> Markup:
    """Accuracy with its interval by run of one model, the oldest on the left.

    Args:
        rows: of all models, the newest first.
        model: whose runs are drawn; None: those of which it isn't known.
        number: of the figure on its page.
    """
    known = [row for row in reversed(rows) if row.accuracy is not None and row.model == model]
    of = f" of {model}" if model else ""
    ends = sorted({0, len(known) - 1})

    def fill(axes: Axes) -> None:
        for place, row in enumerate(known):
            if row.interval is not None:
                axes.plot(
                    [place] * 2, [100 * end for end in row.interval], color=MUTED, linewidth=1
                )
        for good, colour, marker in ((True, FIRST, "o"), (False, BAD, "X")):
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
        axes.set(xlabel="runs, the newest on the right", ylabel="accuracy, %")
        axes.set_xticks(ends, [(known[place].started or "")[:10] for place in ends])
        axes.legend()

    return draw(
        f"history-{number}",
        f"Accuracy of the runs{of}",
        "Accuracy on the test split with its 95 % interval, by run; a cross marks a refused one.",
        fill,
    )

"""What a person sees of a run while it goes on.

On a terminal, one live line for each node; anywhere else, plain lines. Labels, file names and log
lines are data: they are shown as text, never obeyed as markup or as control characters.
"""

import os
import re
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol, TextIO

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType
from rich.live import Live
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from components.run_report.wording import duration
from pipeline.progress import Epoch, Node, Progress

STYLES = {
    "waiting": "dim",
    "running": "bold cyan",
    "done": "green",
    "cached": "green",
    "failed": "bold red",
    "warning": "yellow",
}
_STARTING = "starting TensorFlow and TFX"
_REFRESH_PER_SECOND = 2
_NAME_WIDTH = 28
_STATE_WIDTH = 8
_SECONDS_WIDTH = 12
_PLAIN_PROGRESS_SECONDS = 30.0
_ENDLESS = 100_000
_PLAIN_WIDTH = 120  # of what is no terminal: tables that are wider become lines
# Set for what a notebook's kernel starts: a terminal by its looks, but the cursor can't move there.
_NOTEBOOK = "JPY_PARENT_PID"


def printable(text: str) -> str:
    """Shows control characters, lone surrogates and the like by their escapes."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in text
    )


def make_console(stream: TextIO) -> Console:
    """Returns a console that sends control characters to a terminal only, whatever CI sets."""
    terminal = stream.isatty()
    return Console(
        file=stream,
        force_terminal=terminal,
        width=None if terminal else _PLAIN_WIDTH,
        highlight=False,
        emoji=False,
    )


def print_text(console: Console, text: Text) -> None:
    """Prints text whose words wrap on a terminal; elsewhere a line stays one.

    A word that is longer than the terminal is wide, a path most of all, stays in one piece.
    """
    for line in text.split("\n", allow_blank=True):
        breaks = _breaks(line.plain, console.width) if console.is_terminal else ()
        for piece in line.divide(breaks):
            piece.rstrip()
            console.print(piece, soft_wrap=True)


def _breaks(line: str, width: int) -> Iterator[int]:
    """Where a line must be divided so that only single words are wider; rich would cut those."""
    column = 0
    for word in re.finditer(r"\s*\S+", line):
        length = cell_len(word.group())
        if column and column + length > width:
            yield word.end() - len(word.group().lstrip())
            length = cell_len(word.group().lstrip())
            column = 0
        column += length


class Rows:
    """Rows of cells: a table where its columns fit, else the first cell beside all the others."""

    def __init__(self, rows: Iterable[Sequence[Text]]) -> None:
        """Takes the cells, of each row as many."""
        self._rows = list(rows)

    def print(self, console: Console) -> None:
        """Prints the rows to a terminal of any width, or line by line to anything else."""
        grid = _grid(self._rows)
        endless = console.options.update(width=_ENDLESS)
        fits = Measurement.get(console, endless, grid).maximum <= console.width
        joined = [(row[0], Text("  ").join(cell for cell in row[1:] if cell)) for row in self._rows]
        if console.is_terminal:
            console.print(grid if fits else _grid(joined))
            return
        # A log keeps no padding.
        lines = console.render_lines(grid) if fits else ()
        texts = ["".join(part.text for part in line) for line in lines]
        for text in texts or [f"{first}  {others}" for first, others in joined]:
            console.print(Text(text.rstrip()), soft_wrap=True)


def _grid(rows: Sequence[Sequence[Text]]) -> Table:
    table = Table.grid(padding=(0, 2), pad_edge=False)
    table.add_column(no_wrap=True)
    for row in rows:
        table.add_row(*row)
    for column in table.columns[1:]:
        column.overflow = "fold"
    return table


class Display(Protocol):
    """Shows a run from its start to the end of its child."""

    def note(self, text: str) -> None:
        """Shows one line before or after the run."""

    def start(self, progress: Progress) -> None:
        """The child is about to start."""

    def on_event(self, event: dict, progress: Progress) -> None:
        """An event was taken in."""

    def on_log(self, line: str) -> None:
        """The libraries printed a line."""

    def close(self) -> None:
        """The child is gone; nothing moves any more."""


def make_display(stream: TextIO, verbose: bool) -> Display:
    """Returns the display that fits the stream."""
    console = make_console(stream)
    if console.is_terminal and not console.is_dumb_terminal and _NOTEBOOK not in os.environ:
        return LiveDisplay(console, verbose)
    return PlainDisplay(console, verbose)


class PlainDisplay:
    """A line for each thing that happens; for logs, pipes and CI."""

    def __init__(self, console: Console, verbose: bool):
        self._console = console
        self._verbose = verbose
        self._last_progress = 0.0

    def note(self, text: str) -> None:
        """Shows one line."""
        print_text(self._console, Text(printable(text)))
        self._console.file.flush()

    def start(self, progress: Progress) -> None:
        """Says what takes the first minute."""
        self.note(_STARTING)

    def on_event(self, event: dict, progress: Progress) -> None:
        """Shows what is worth a line."""
        match event["event"]:
            case "node_started":
                self.note(f"{event['node']}: started")
            case "node_finished" | "node_failed":
                node = progress.nodes[event["node"]]
                self.note(f"{node.name}: {node.state}, {duration(node.seconds(time.time()))}")
            case "epoch":
                self.note(f"    {epoch_line(progress.epochs[event['stage']])}")
            case "progress" if event["time"] > self._last_progress + _PLAIN_PROGRESS_SECONDS:
                self._last_progress = event["time"]
                self.note(f"    {progress.activity}")
            case "images":
                self.note(f"    {images_line(progress.images)}")
            case "warning":
                self.note(f"warning: {event['text']}")

    def on_log(self, line: str) -> None:
        """Passes the log on, apart from what stdout carries."""
        if self._verbose:
            print(printable(line), file=sys.stderr, flush=True)

    def close(self) -> None:
        """There is nothing to take down."""


class LiveDisplay:
    """One line for each node, redrawn in place."""

    def __init__(self, console: Console, verbose: bool):
        self._console = console
        self._verbose = verbose
        self._progress: Progress | None = None
        self._live: Live | None = None

    def note(self, text: str) -> None:
        """Shows one line, above the live ones if there are any."""
        print_text(self._console, Text(printable(text)))

    def start(self, progress: Progress) -> None:
        """Starts to redraw."""
        self._progress = progress
        self._live = Live(
            console=self._console,
            get_renderable=self._render,
            refresh_per_second=_REFRESH_PER_SECOND,
        )
        self._live.start()

    def on_event(self, event: dict, progress: Progress) -> None:
        """Shows warnings above; everything else shows at the next redraw."""
        if event["event"] == "warning":
            self._console.print(Text(printable(f"warning: {event['text']}"), STYLES["warning"]))

    def on_log(self, line: str) -> None:
        """Shows the log above the live lines."""
        if self._verbose:
            self._console.print(Text(printable(line), "dim"))

    def close(self) -> None:
        """Draws the last state and leaves it standing."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _render(self) -> RenderableType:
        return RenderedProgress(self._progress, time.time()) if self._progress else Text()


class RenderedProgress:
    """The lines of a run: its nodes, and below the running one what it is doing."""

    def __init__(self, progress: Progress, now: float) -> None:
        """Takes what is known at a time."""
        self._progress, self._now = progress, now

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Text]:
        """Fits the lines to the width."""
        room = options.max_width - _STATE_WIDTH - _SECONDS_WIDTH - 1
        for line in _lines(self._progress, self._now, min(_NAME_WIDTH, max(8, room))):
            line.no_wrap, line.overflow = True, "ellipsis"
            yield line


def _lines(progress: Progress, now: float, width: int) -> Iterator[Text]:
    if not progress.nodes:
        state = "running" if progress.stopped is None else "failed"
        yield _row(_STARTING, state, (progress.stopped or now) - progress.started, width)
    for node in progress.nodes.values():
        yield _row(node.name, node.state, node.seconds(now) if node.started else None, width)
        yield from _details(node, progress)


def _row(name: str, state: str, seconds: float | None, width: int) -> Text:
    line = Text(printable(name))
    line.truncate(width, overflow="ellipsis", pad=True)
    line.append(f" {state:{_STATE_WIDTH}}", STYLES[state])
    return line.append(f"{duration(seconds) if seconds is not None else '':>{_SECONDS_WIDTH}}")


def _details(node: Node, progress: Progress) -> Iterator[Text]:
    if node.name == "Trainer":
        for epoch in progress.epochs.values():
            yield Text(printable(f"    {epoch_line(epoch)}"), "dim")
    if node.state == "running" and progress.activity:
        yield Text(printable(f"    {progress.activity}"), "dim")


def epoch_line(epoch: Epoch) -> str:
    """Says how far a stage is, and how well it does."""
    values = "  ".join(f"{name} {value:.3f}" for name, value in epoch.values.items())
    return f"{epoch.stage} {epoch.number}/{epoch.total}  {values}"


def images_line(images: dict[str, int]) -> str:
    """Says how many images went where."""
    counts = [f"{images[name]} {name}" for name in ("train", "val", "test")]
    return f"images: {', '.join(counts)}; {images['rejected']} set aside"

"""What a person sees of a run while it goes on.

On a terminal, one live line for each node; anywhere else, plain lines. Labels, file names and log
lines are data: they are shown as text, never obeyed as markup or as control characters.
"""

import sys
import time
from collections.abc import Iterator
from typing import Protocol, TextIO

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

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
_PLAIN_PROGRESS_SECONDS = 30.0


def printable(text: str) -> str:
    """Shows control characters, lone surrogates and the like by their escapes."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in text
    )


def duration(seconds: float) -> str:
    """Writes a time as people say it: 9.3 s, 41 s, 2 min 05 s, 1 h 02 min."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"


def make_console(stream: TextIO) -> Console:
    """Returns a console that sends control characters to a terminal only, whatever CI sets."""
    return Console(file=stream, force_terminal=stream.isatty(), highlight=False, emoji=False)


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
    if console.is_terminal and not console.is_dumb_terminal:
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
        # soft_wrap: whoever reads this has no width, and a path must stay in one piece.
        self._console.print(Text(printable(text)), soft_wrap=True)
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
        self._console.print(Text(printable(text)), soft_wrap=True)

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
        return render_progress(self._progress, time.time()) if self._progress else Text()


def render_progress(progress: Progress, now: float) -> RenderableType:
    """Returns the lines of a run: its nodes, and below the running one what it is doing."""
    lines = list(_lines(progress, now))
    for line in lines:
        line.no_wrap, line.overflow = True, "ellipsis"
    return Group(*lines)


def _lines(progress: Progress, now: float) -> Iterator[Text]:
    if not progress.nodes:
        state = "running" if progress.stopped is None else "failed"
        yield _row(_STARTING, state, (progress.stopped or now) - progress.started)
    for node in progress.nodes.values():
        yield _row(node.name, node.state, node.seconds(now) if node.started else None)
        yield from _details(node, progress)


def _row(name: str, state: str, seconds: float | None) -> Text:
    line = Text(f"{printable(name):{_NAME_WIDTH}} ")
    line.append(f"{state:8}", STYLES[state])
    return line.append(f"{duration(seconds) if seconds is not None else '':>12}")


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

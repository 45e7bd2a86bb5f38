"""`effnet schema`: what the data departs from, and what is let in."""

import contextlib
import sys
from collections.abc import Callable
from pathlib import Path

import typer

from components.store import is_remote, open_store
from pipeline.cli_parts import ConfigOption, OutputOption, SetOption, WaitOption, errors_told
from pipeline.config import PipelineConfig
from pipeline.layout import Output
from pipeline.lock import hold
from pipeline.options import effective_config
from pipeline.quiet_import import import_quietly
from pipeline.served import Served, served_at
from pipeline.terminal import make_display

_HEAVY = "pipeline.schema_commands"  # imports TensorFlow Data Validation

schema_app = typer.Typer(help="The schema that new data is checked against.", no_args_is_help=True)


@schema_app.command("diff")
def schema_diff(output: OutputOption, config: ConfigOption = None, sets: SetOption = None) -> None:
    """Show how the last run's data departs from the schema in force."""
    with errors_told():
        place = served_at(output)
        settings = settings_of_last_run(place, config, sets)
        display, schema_commands = (
            make_display(sys.stdout, verbose=False),
            import_quietly("pipeline.schema_commands"),
        )
        for line in schema_commands.diff(open_store(place.address), settings) or ["no difference"]:
            display.note(line)


@schema_app.command("accept")
def schema_accept(
    output: OutputOption,
    config: ConfigOption = None,
    sets: SetOption = None,
    wait: WaitOption = 600,
) -> None:
    """Take a schema that the last run's data follows as the one in force from now on."""
    with errors_told():
        place = served_at(output)
        settings = settings_of_last_run(place, config, sets)
        display, schema_commands = (
            make_display(sys.stdout, verbose=False),
            import_quietly("pipeline.schema_commands"),
        )
        with _held(place, wait, display.note):
            written = schema_commands.accept(open_store(place.address), settings)
            display.note(f"wrote {written}")


def _held(
    place: Served, wait: float, note: Callable[[str], None]
) -> contextlib.AbstractContextManager[object]:
    """A bucket has no lock: runs on a cluster take none, and a schema is replaced at once."""
    if is_remote(place.address):
        return contextlib.nullcontext()
    return hold(Output.at(place.address).lock, "effnet schema accept", wait, note)


def settings_of_last_run(
    place: Served, config: Path | None, sets: list[str] | None
) -> PipelineConfig:
    """Returns settings: where no file is named, the last run's tell which model it is."""
    if config is None:
        for newest in place.configs():  # read while it is there: that of a bucket is a copy
            return effective_config(newest, sets or ())
    return effective_config(config, sets or ())

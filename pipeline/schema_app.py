"""`effnet schema`: what the data departs from, and what is let in."""

import importlib
import os
import sys
from pathlib import Path
from types import ModuleType

import typer

from pipeline.cli_parts import ConfigOption, OutputOption, SetOption, WaitOption, errors_told
from pipeline.config import PipelineConfig
from pipeline.layout import Output
from pipeline.lock import hold
from pipeline.options import effective_config
from pipeline.terminal import make_display

schema_app = typer.Typer(help="The schema that new data is checked against.", no_args_is_help=True)


@schema_app.command("diff")
def schema_diff(output: OutputOption, config: ConfigOption = None, sets: SetOption = None) -> None:
    """Show how the last run's data departs from the schema in force."""
    with errors_told():
        place = Output.existing(output)
        settings = settings_of_last_run(place, config, sets)
        display, schema_commands = make_display(sys.stdout, verbose=False), _schema_commands()
        for line in schema_commands.diff(place, settings) or ["no difference"]:
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
        place = Output.existing(output)
        settings = settings_of_last_run(place, config, sets)
        display, schema_commands = make_display(sys.stdout, verbose=False), _schema_commands()
        with hold(place.lock, "effnet schema accept", wait, display.note):
            display.note(f"wrote {schema_commands.accept(place, settings)}")


def _schema_commands() -> ModuleType:
    """Imports TensorFlow Data Validation, only now and without its greetings."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    return importlib.import_module("pipeline.schema_commands")


def settings_of_last_run(
    place: Output, config: Path | None, sets: list[str] | None
) -> PipelineConfig:
    """Returns settings: where no file is named, the last run's tell which model and store it is."""
    written = [run.config for run in place.all_runs() if run.config.is_file()]
    return effective_config(config or (written[-1] if written else None), sets or ())

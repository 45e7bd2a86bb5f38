"""The command `effnet`. Neither TensorFlow nor TFX is imported here: runs import them in a child.

Exit status of `effnet run` and `effnet demo`: 0 the model was pushed, or the very model serves
already, or there was nothing new to learn; 3 the gate refused it, or it passed and was withheld (a
hold, or another version serves by now); 2 bad input or configuration; 1 a fault, or an interrupted
run.
`effnet submit --wait`: as `effnet run`; 0 also of a run that succeeded but left no summary to read.
`effnet doctor`: 0 where runs can be done, else 2.
`effnet predict`: 0; 2 also where an image named can't be read, or none of a folder.
"""

import importlib.metadata
import io
import os
import sys
from pathlib import Path
from typing import Annotated, TextIO

import typer

from components.model_versions import read_hold
from pipeline import demo as demo_data
from pipeline import predict_command
from pipeline.backbone_table import backbone_table
from pipeline.clean import clean as clean_output
from pipeline.cli_parts import ConfigOption, OutputOption, SetOption, WaitOption
from pipeline.cli_parts import errors_told as _errors_told
from pipeline.compile_command import compile_pipeline
from pipeline.config_reference import render
from pipeline.data_command import look_at_data
from pipeline.doctor_command import doctor
from pipeline.kubeflow_commands import schedule_app, submit
from pipeline.launch import Request, launch
from pipeline.layout import Output, absolute
from pipeline.lock import hold, usable
from pipeline.models_commands import models_app
from pipeline.notify import refusals_told
from pipeline.options import effective_config
from pipeline.preflight import preflight
from pipeline.report_command import report
from pipeline.run_pages import write_pages
from pipeline.schema_app import schema_app
from pipeline.serve_command import serve
from pipeline.terminal import Display, make_console, make_display
from pipeline.verdict import print_verdict

app = typer.Typer(
    name="effnet",
    help="Retrains EfficientNet image classifiers, and pushes only what passes the gate.",
    no_args_is_help=True,
    add_completion=False,
    # Typer's own tracebacks print local variables, a password among them some day.
    pretty_exceptions_enable=False,
)
app.add_typer(schema_app, name="schema")
app.add_typer(models_app, name="models")
app.add_typer(schedule_app, name="schedule")

BackboneOption = Annotated[
    str | None, typer.Option("--backbone", metavar="NAME", help="Short for trainer.backbone.")
]
SearchOption = Annotated[
    bool, typer.Option("--search", help="Try members of the family from small to large first.")
]
IfChangedOption = Annotated[
    bool, typer.Option("--if-changed", help="End unless there is something new to learn.")
]
ForceOption = Annotated[
    bool, typer.Option("--force", help="Train all the same, where it is looked first.")
]
JsonOption = Annotated[
    bool, typer.Option("--json", help="Print the summary as JSON, alone on stdout.")
]
VerboseOption = Annotated[
    bool, typer.Option("-v", "--verbose", help="Show the libraries' log as well.")
]


def _print_version(asked: bool) -> None:
    if asked:
        print(f"effnet-tfx {importlib.metadata.version('effnet-tfx')}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool,
        typer.Option("--version", is_eager=True, callback=_print_version, help="Show the version."),
    ] = False,
) -> None:
    pass


@app.command()
def run(
    data: Annotated[
        str, typer.Option("--data", metavar="PATH", help="Images; may hold {SPAN} or {DATE}.")
    ],
    output: OutputOption,
    config: ConfigOption = None,
    backbone: BackboneOption = None,
    search: SearchOption = False,
    if_changed: IfChangedOption = False,
    force: ForceOption = False,
    sets: SetOption = None,
    wait: WaitOption = 600,
    as_json: JsonOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Train on the images of a folder; push the model if it passes the gate."""
    with _errors_told(as_json):
        flags = ["retrain.if_changed=true"] * if_changed + ["retrain.force=true"] * force
        request = Request(
            effective_config(config, [*flags, *(sets or ())], backbone, search),
            absolute(data),
            Output.at(output),
            wait,
        )
        _run(request, _display(as_json, verbose), as_json)


@app.command()
def demo(
    output: OutputOption = demo_data.OUTPUT,
    backbone: BackboneOption = None,
    sets: SetOption = None,
    wait: WaitOption = 600,
    as_json: JsonOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Find defective solar cells: a whole run on real images of a production line."""
    with _errors_told(as_json):
        config = effective_config(demo_data.CONFIG, sets or (), backbone)
        place, display = Output.at(output), _display(as_json, verbose)
        if not demo_data.dataset(place).is_dir():
            display.note(demo_data.LICENCE)
            with hold(place.lock, "effnet demo", wait, display.note):
                demo_data.prepare(place)
        _run(Request(config, str(demo_data.dataset(place)), place, wait), display, as_json)


@app.command()
def predict(
    images: Annotated[
        list[str], typer.Argument(metavar="IMAGE...", help="With --output, one folder of images.")
    ],
    models: Annotated[
        Path,
        typer.Option(
            "--models", metavar="DIR", help="OUTPUT/serving, a model's folder in it, a SavedModel."
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option("--output", metavar="FILE", help="Score a folder into this .parquet file."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the --output file.")] = False,
    config: ConfigOption = None,
    sets: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Classify images by the model that serves; exit status 2 if one can't be read.

    With --output a whole folder is scored, and what can't be read has its reason in the table.
    """
    with _errors_told(as_json):
        settings = effective_config(config, sets or ())
        if output is None:
            predictions = predict_command.classify(models, images, settings)
            predict_command.print_errors(predictions, make_console(sys.stderr))
            if not as_json:
                predict_command.print_predictions(predictions, make_console(sys.stdout))
            result: predict_command.Result = predictions
        else:
            say = _display(as_json, verbose=False).note
            result = predict_command.score(models, images, output, force, settings, say)
        if as_json:
            print(result.to_json())
        raise typer.Exit(result.exit_status)


@app.command("config")
def show_config(
    config: ConfigOption = None, backbone: BackboneOption = None, sets: SetOption = None
) -> None:
    """Print every setting with a comment: the defaults, or what the options make of them."""
    with _errors_told():
        print(render(effective_config(config, sets or (), backbone)), end="")


@app.command()
def backbones() -> None:
    """Print the members of the family: sizes, published accuracy, where weights come from."""
    make_console(sys.stdout).print(backbone_table())


@app.command()
def tensorboard(
    output: OutputOption,
    port: Annotated[
        int, typer.Option("--port", metavar="P", min=0, help="0: any free one.")
    ] = 6006,
) -> None:
    """Show the training curves of all runs, on this machine only."""
    with _errors_told():
        place = Output.existing(output)
        where = ["--logdir", str(place.training_logs), "--host", "127.0.0.1", "--port", str(port)]
        os.execv(sys.executable, [sys.executable, "-m", "tensorboard.main", *where])


@app.command()
def clean(
    output: OutputOption,
    keep: Annotated[
        int, typer.Option("--keep", metavar="N", min=1, help="Keep this many of the newest runs.")
    ],
    wait: WaitOption = 600,
) -> None:
    """Remove old runs and the artifacts that no kept run uses; what serves is never touched."""
    with _errors_told():
        place, display = Output.existing(output), _display(False, False)
        with hold(place.lock, "effnet clean", wait, display.note), usable(place.root):
            removed = clean_output(place, keep)
        display.note(
            f"removed {removed.runs} runs and {removed.artifacts} folders of artifacts, "
            f"{removed.freed_bytes / 1e6:.1f} MB"
        )
        write_pages(output, None, display.note)


app.command("data")(look_at_data)
app.command()(serve)
app.command()(doctor)
app.command()(report)
app.command("compile")(compile_pipeline)
app.command()(submit)


def _run(request: Request, display: Display, as_json: bool) -> None:
    with refusals_told(request.config, display.note):
        display.note(preflight(request.config, request.data, request.output))
        held = read_hold(request.output.serving(request.config.serving.model_name))
        if held is not None:
            display.note(
                f"warning: pushing is {held}: the run judges and reports, but pushes nothing "
                "unless 'effnet models release' comes before its end"
            )
        summary = launch(request, display)
    print_verdict(make_console(_people(as_json)), summary, request.output)
    if as_json:
        print(summary.to_json(), flush=True)
    write_pages(str(request.output.root), summary.run_id, display.note)
    raise typer.Exit(summary.exit_status)


def _people(as_json: bool) -> TextIO:
    """Where people read: not on stdout if a program reads there."""
    return sys.stderr if as_json else sys.stdout


def _display(as_json: bool, verbose: bool) -> Display:
    return make_display(_people(as_json), verbose)


def main() -> None:
    """Entry point of the console script."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A class name that the terminal's encoding lacks must not end a run.
            stream.reconfigure(errors="backslashreplace")
    app()


if __name__ == "__main__":
    main()

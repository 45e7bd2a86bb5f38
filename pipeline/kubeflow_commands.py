"""`effnet submit` and `effnet schedule`: runs on a cluster, now or by the clock.

Kubeflow's SDK takes two seconds, so it is imported by the commands that need it.
"""

import json
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer
from rich.table import Table
from rich.text import Text

from components.errors import ConfigError
from pipeline.cli_parts import ConfigOption, SetOption, errors_told
from pipeline.compile_command import compile_to
from pipeline.config import PipelineConfig
from pipeline.kfp.client import check_installed, connect
from pipeline.options import effective_config
from pipeline.summary import EXIT_SERVING
from pipeline.terminal import Display, make_console, make_display, printable
from pipeline.verdict import print_verdict

if TYPE_CHECKING:
    from pipeline.kfp.client import Kubeflow
    from pipeline.kfp.submit import Order

schedule_app = typer.Typer()

PackageOption = Annotated[
    Path | None,
    typer.Option("--package", metavar="FILE", help="By `effnet compile`; else it is compiled now."),
]
ParamOption = Annotated[
    list[str] | None,
    typer.Option(
        "--param", metavar="NAME=VALUE", help="A parameter of the compiled pipeline; repeatable."
    ),
]
NameOption = Annotated[
    str | None, typer.Option("--name", metavar="NAME", help="Shown; default: the model's.")
]
ExperimentOption = Annotated[
    str, typer.Option("--experiment", metavar="NAME", help="Of Kubeflow; made if it isn't there.")
]
AccountOption = Annotated[
    str | None,
    typer.Option("--service-account", metavar="NAME", help="That the pods run as."),
]
NamespaceOption = Annotated[
    str | None,
    typer.Option("--namespace", metavar="NAME", help="Yours, where several users share Kubeflow."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, alone on stdout.")]
_EXPERIMENT = "effnet"
_FILE_WIDTH = 200  # a pipe has no width, and a name must stay in one piece


def submit(
    config: ConfigOption = None,
    sets: SetOption = None,
    package: PackageOption = None,
    params: ParamOption = None,
    name: NameOption = None,
    experiment: ExperimentOption = _EXPERIMENT,
    service_account: AccountOption = None,
    namespace: NamespaceOption = None,
    wait: Annotated[
        bool, typer.Option("--wait", help="Until the run has ended; exit status as `effnet run`.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Start one run on the Kubeflow of KF_PIPELINES_ENDPOINT."""
    with _kubeflow(as_json):
        settings = _settings(config, sets, package)
        display, kubeflow = _display(as_json), connect(namespace)
        with _order(settings, package, params, name, experiment, service_account) as order:
            from pipeline.kfp.submit import start

            run_id = start(kubeflow, order)
            output = order.package.output
        link = kubeflow.run_link(run_id)
        display.note(f"run {run_id} has begun: {link}")
        if wait:
            raise typer.Exit(_wait(kubeflow, run_id, output, display, as_json))
        if as_json:
            print(json.dumps({"kubeflow_run": run_id, "link": link}))


@schedule_app.callback(invoke_without_command=True)
def schedule(
    context: typer.Context,
    cron: Annotated[
        str | None,
        typer.Option("--cron", metavar="FIELDS", help="Five fields, e.g. '0 3 * * 1'."),
    ] = None,
    config: ConfigOption = None,
    sets: SetOption = None,
    package: PackageOption = None,
    params: ParamOption = None,
    name: NameOption = None,
    experiment: ExperimentOption = _EXPERIMENT,
    service_account: AccountOption = None,
    namespace: NamespaceOption = None,
) -> None:
    """Have a cluster start runs by the clock, one at a time, in place of the schedule of that name.

    FIELDS are minute, hour, day of the month, month and day of the week, in the time zone of the
    cluster's Kubeflow: UTC unless its administrator has set CRON_SCHEDULE_TIMEZONE.
    """
    if context.invoked_subcommand is not None:
        return
    with _kubeflow():
        if cron is None:
            raise ConfigError("--cron is missing, e.g. --cron '0 3 * * 1': Mondays at 3:00")
        from pipeline.kfp.cron import TIME_ZONE, next_time, to_kubeflow

        fields = to_kubeflow(cron)
        settings = _settings(config, sets, package)
        note, kubeflow = _display(False).note, connect(namespace)
        with _order(settings, package, params, name, experiment, service_account) as order:
            from pipeline.kfp.schedule import replace

            changed = replace(kubeflow, order, fields, note)
        for line in changed:
            note(f"  {line}")
        state = "is set" if changed else "is as it was"
        note(
            f"schedule '{order.name}' {state}: {cron}, {TIME_ZONE}; next by UTC: "
            f"{next_time(cron):%A %Y-%m-%d %H:%M}"
        )


@schedule_app.command("list")
def show_schedules(namespace: NamespaceOption = None, as_json: JsonOption = False) -> None:
    """Show the schedules: when they start runs, whether they are on, and their images."""
    with _kubeflow(as_json):
        from pipeline.kfp.schedule import describe, find

        found = [describe(each) for each in find(connect(namespace))]
        if as_json:
            print(json.dumps(found, indent=2, ensure_ascii=False))
            return
        console = make_console(sys.stdout)
        if not console.is_terminal:
            console.width = _FILE_WIDTH
        console.print(_table(found))


@schedule_app.command("delete")
def delete_schedule(
    name: Annotated[str, typer.Argument(metavar="NAME", show_default=False)],
    namespace: NamespaceOption = None,
) -> None:
    """Delete a schedule; a run that it has started goes on."""
    with _kubeflow():
        from pipeline.kfp.schedule import remove

        note = _display(False).note
        remove(connect(namespace), name, note)
        note(f"schedule '{name}' starts no more runs")


def _settings(config: Path | None, sets: list[str] | None, package: Path | None) -> PipelineConfig:
    if package is not None and (config is not None or sets):
        raise ConfigError(
            "--package is compiled already, so --config and --set change nothing of it: set what "
            "it lists with --param, or leave out --package"
        )
    return effective_config(config, sets or ())


@contextmanager
def _kubeflow(as_json: bool = False) -> Iterator[None]:
    with errors_told(as_json):
        check_installed()
        yield


@contextmanager
def _order(
    settings: PipelineConfig,
    package: Path | None,
    params: list[str] | None,
    name: str | None,
    experiment: str,
    service_account: str | None,
) -> Iterator["Order"]:
    """Checks what can be checked here; a package that is compiled for it is there inside."""
    from pipeline.kfp.package import Package
    from pipeline.kfp.submit import Order

    with _compiled(settings, package) as file:
        read = Package.read(file)
        given = read.arguments(params or ())
        shown = name or read.model or settings.serving.model_name
        yield Order(read, given, shown, experiment, service_account)


@contextmanager
def _compiled(settings: PipelineConfig, package: Path | None) -> Iterator[Path]:
    """Yields the package's file; one that is compiled here is there inside only."""
    if package is not None:
        yield package
        return
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "pipeline.yaml"
        compile_to(settings, "kfp", file)
        yield file


def _wait(kubeflow: "Kubeflow", run_id: str, output: str, display: Display, as_json: bool) -> int:
    """Waits for the end of a run, tells of it, and returns the command's exit status."""
    from components.store import StoreError
    from pipeline.kfp import submit as runs

    unreadable = runs.readable(output)
    if unreadable is not None:
        display.note(
            f"warning: {unreadable}: only Kubeflow's own word of the run will be told, unless the "
            "run's summary is there by its end"
        )
    try:
        run = runs.wait(kubeflow, run_id, display.note)
    except KeyboardInterrupt:
        display.note("no longer waiting; the run itself goes on")
        raise
    try:
        summary = runs.read_summary(output, run_id) if output else None
    except StoreError as error:
        if unreadable is None:
            display.note(f"warning: {error}")
        summary = None
    if summary is None:
        return _tell_state(run, display, as_json)
    if run.state != "SUCCEEDED" and summary.exit_status == 0:
        display.note(f"warning: to Kubeflow the run is {run.state}: see its page for the reason")
    print_verdict(make_console(_people(as_json)), summary, None)
    if as_json:
        print(summary.to_json())
    return summary.exit_status


def _tell_state(run: Any, display: Display, as_json: bool) -> int:
    """Tells of a run of which there is no summary; returns the command's exit status."""
    from pipeline.kfp.submit import failure_of

    failure = failure_of(run)
    if failure is None:
        display.note(
            "the run succeeded; its summary can't be read from here, so whether the model was "
            "pushed or refused stands in OUTPUT/runs on the cluster, and in its notification"
        )
    else:
        display.note(f"failed: {failure.message}")
    if as_json:
        told = {"verdict": None if failure is None else "failed", "kubeflow_run": run.run_id}
        error = None if failure is None else failure.model_dump()
        print(json.dumps({**told, "state": run.state, "error": error}))
    return EXIT_SERVING if failure is None else failure.exit_status


def _table(schedules: list[dict[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in ("name", "cron", "state", "made (UTC)", "image"):
        table.add_column(heading, overflow="fold")
    for row in schedules:
        made = (row["created_at"] or "-")[:16].replace("T", " ")
        cells = [row["name"], row["cron"] or "-", row["state"], made, ", ".join(row["images"])]
        table.add_row(*(Text(printable(str(cell or "-"))) for cell in cells))
    return table


def _people(as_json: bool) -> TextIO:
    """Where people read: not on stdout if a program reads there."""
    return sys.stderr if as_json else sys.stdout


def _display(as_json: bool) -> Display:
    return make_display(_people(as_json), verbose=False)

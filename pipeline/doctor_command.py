"""`effnet doctor`: what this host has of what runs need."""

import dataclasses
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from pipeline.cli_parts import ConfigOption, SetOption, errors_told
from pipeline.doctor import examine
from pipeline.doctor_finding import Finding
from pipeline.options import effective_config
from pipeline.terminal import STYLES, Rows, make_console, print_text, printable

_CANNOT_RUN = 2
_WIDTH = len("missing")
_STATE_STYLES = {"ok": STYLES["done"], "warning": STYLES["warning"], "missing": STYLES["failed"]}


def doctor(
    output: Annotated[
        str, typer.Option("--output", metavar="DIR", help="Where runs are to write.")
    ] = ".",
    config: ConfigOption = None,
    sets: SetOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
) -> None:
    """Check this host for what runs need; exit status 2 if none can be done.

    Heavy libraries are imported, which takes a minute or more.
    """
    with errors_told(as_json):
        console = make_console(sys.stderr if as_json else sys.stdout)
        findings = []
        for finding in examine(effective_config(config, sets or ()), Path(output)):
            findings.append(finding)
            _print(console, finding)
        stopping = [finding.name for finding in findings if finding.stops_a_run]
        _print_end(console, stopping)
        if as_json:
            print(_json(findings))
        raise typer.Exit(_CANNOT_RUN if stopping else 0)


def _print(console: Console, finding: Finding) -> None:
    """A line for what is in order; below what is not, what it is for and how to mend it."""
    style = _STATE_STYLES[finding.state]
    if finding.state == "missing" and not finding.required:
        style = "dim"
    lines = [printable(f"{finding.name}: {finding.found}")]
    if finding.state != "ok":
        lines += [f"for {finding.needed_for}", f"mend: {printable(finding.mend)}"]
    states = [Text(f"{finding.state:{_WIDTH}}", style), *[Text(" " * _WIDTH)] * (len(lines) - 1)]
    Rows(zip(states, map(Text, lines), strict=True)).print(console)


def _print_end(console: Console, stopping: Sequence[str]) -> None:
    end = (
        f"no run can be done here before this is mended: {', '.join(stopping)}"
        if stopping
        else "runs can be done here"
    )
    print_text(console, Text(end, STYLES["failed" if stopping else "done"]))


def _json(findings: Sequence[Finding]) -> str:
    rows = [dataclasses.asdict(finding) for finding in findings]
    return json.dumps({"can_run": not any(one.stops_a_run for one in findings), "findings": rows})

"""What the commands share: common options, and how an error ends them."""

import contextlib
import json
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.text import Text

from components.errors import EffnetError, InputError
from pipeline.summary import Failure
from pipeline.terminal import make_console, print_text, printable

OutputOption = Annotated[str, typer.Option("--output", metavar="DIR", help="The output folder.")]
ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE", help="YAML; see `effnet config` for what it can say."),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY.PATH=VALUE", help="Overrides one setting; repeatable."),
]
WaitOption = Annotated[
    float,
    typer.Option("--wait", metavar="SECONDS", min=0, help="For another command on the output."),
]


@contextlib.contextmanager
def errors_told(as_json: bool = False) -> Iterator[None]:
    """Ends the command on an error as a person, and with --json a program, can read it."""
    try:
        yield
    except typer.Exit:
        raise
    except InputError as error:
        _fail("input", str(error), as_json)
    except (EffnetError, OSError) as error:
        _fail("fault", str(error), as_json)
    except KeyboardInterrupt:
        _fail("fault", "stopped by SIGINT", as_json)
    except Exception as error:
        traceback.print_exc()
        _fail("fault", f"{type(error).__name__}: {error}", as_json)


def _fail(kind: Literal["input", "fault"], message: str, as_json: bool) -> None:
    failure = Failure(kind=kind, message=message)
    print_text(make_console(sys.stderr), Text(f"error: {printable(message)}"))
    if as_json:
        print(json.dumps({"verdict": "failed", "error": failure.model_dump()}))
    raise typer.Exit(failure.exit_status) from None

"""The pages: of a run, of the data alone, of all runs. Each is one file that needs nothing else.

What comes from users (labels, ids, paths, messages) is text everywhere: the templates escape it.
"""

import base64
import hashlib
from pathlib import Path
from typing import Any

import jinja2

from components.run_report import drift, figures, sections, story, wording
from components.run_report.facts import History, RunReport
from components.run_report.parts import DataPart

_TEMPLATES = Path(__file__).parent / "templates"


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
        finalize=wording.printable,
    )
    environment.filters.update(wording.FILTERS)
    environment.globals.update(
        drift=drift, figures=figures, sections_of=sections, story=story, wording=wording
    )
    return environment


_ENVIRONMENT = _environment()


def render(report: RunReport) -> str:
    """Returns the page of a run, whatever became of it.

    The same facts give the same bytes.
    """
    return _page(
        "run.html.j2",
        sections=sections.of_run(report),
        title=f"Run {report.run_id}",
        report=report,
        summary=report.summary,
        data=report.data,
        evaluation=report.evaluation,
        training=report.training,
        refresh=report.refresh,
    )


def render_data(
    data: DataPart, title: str, subtitle: str = "", advice: tuple[str, ...] = ()
) -> str:
    """Returns a page of the data alone.

    Args:
        data: what was found.
        title: the page's heading.
        subtitle: a line below it, e.g. where the data lie.
        advice: what a person should look at first, a sentence each.
    """
    return _page(
        "data.html.j2",
        sections=sections.of_data(data),
        title=title,
        subtitle=subtitle,
        data=data,
        advice=advice,
        refresh=None,
    )


def render_history(history: History) -> str:
    """Returns the page of all runs."""
    return _page(
        "history.html.j2",
        sections=sections.of_history(history),
        title=history.title,
        history=history,
        refresh=history.refresh,
    )


def _page(template: str, **facts: Any) -> str:
    return _ENVIRONMENT.get_template(template).render(**facts)


def script_hash() -> str:
    """The source that a Content-Security-Policy allows the pages' one script by."""
    script = _ENVIRONMENT.get_template("live.js").render()
    digest = hashlib.sha256(script.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"

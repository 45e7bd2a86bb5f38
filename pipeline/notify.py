"""Tells a webhook what became of a run. Whether that works never changes what became of it."""

import contextlib
import html
import logging
from collections.abc import Callable, Iterator
from typing import Any

import tenacity

from components.errors import ConfigError, InputError
from components.evaluator.verdict import Rule
from pipeline.config import PipelineConfig
from pipeline.notify_config import WEBHOOK_VARIABLE, NotifyConfig
from pipeline.summary import Outcome, Summary
from pipeline.terminal import printable

_MAX_REASONS = 10
_MAX_TEXT = 1500
_PAUSE_SECONDS = 1.0
_TOO_MANY_REQUESTS = 429


class _NotTakenError(Exception):
    """The webhook did not take a message."""


class _UnavailableError(_NotTakenError):
    """It may take the same message later."""


def tell(config: PipelineConfig, summary: Summary) -> Summary:
    """Tells the webhook, if there is one, of a run that has ended.

    Returns:
        The summary, with a warning if the webhook did not take it.
    """
    link = config.notify.link_to(summary.kubeflow_run or summary.run_id)
    problem = _post(config.notify, message(summary, _model(config), summary.run_id, link))
    if problem is None:
        return summary
    return summary.model_copy(update={"warnings": (*summary.warnings, problem)})


@contextlib.contextmanager
def refusals_told(config: PipelineConfig, warn: Callable[[str], None]) -> Iterator[None]:
    """Tells the webhook of bad input that keeps a run from starting inside; it goes on."""
    try:
        yield
    except InputError as error:
        problem = _post(config.notify, message(Outcome.failed("input", str(error)), _model(config)))
        if problem is not None:
            warn(f"warning: {problem}")
        raise


def message(
    outcome: Outcome, model: str, run_id: str | None = None, link: str | None = None
) -> dict[str, Any]:
    """Returns what is posted, as JSON values.

    run_id: null where no run was started; verdict; model: its name; accuracy: of the test split,
    value and interval (Wilson's, 95 %); difference: to the model that serves, value and interval
    (paired bootstrap, 95 %); reasons: of a refusal; error: of a failed run; link; text: all of it
    in a line or two, for chats.
    """
    body = {
        "run_id": run_id,
        "verdict": outcome.verdict,
        "model": model,
        "accuracy": _accuracy(outcome),
        "difference": _difference(outcome),
        "reasons": list(reasons(outcome)) if outcome.verdict == "refused" else [],
        "error": outcome.error.message[:_MAX_TEXT] if outcome.error is not None else None,
        "link": link,
    }
    return {**body, "text": _text(body)}


def _model(config: PipelineConfig) -> str:
    return config.serving.model_name


def _accuracy(outcome: Outcome) -> dict[str, Any] | None:
    value, interval = outcome.metrics.get("accuracy"), outcome.accuracy_interval
    if value is None:
        return None
    return {"value": value, "interval": None if interval is None else list(interval)}


def _difference(outcome: Outcome) -> dict[str, Any] | None:
    found = outcome.comparison
    return None if found is None else {"value": found.difference, "interval": found.interval}


def reasons(outcome: Outcome) -> Iterator[str]:
    """Yields why a candidate was not pushed."""
    serving = () if outcome.serving is None else outcome.serving.rules
    failed = [rule for rule in (*outcome.rules, *serving) if not rule.passed]
    yield from map(_reason, failed[:_MAX_REASONS])
    if len(failed) > _MAX_REASONS:
        yield f"{len(failed) - _MAX_REASONS} more"
    if outcome.withheld is not None:
        yield outcome.withheld


def _reason(rule: Rule) -> str:
    value = "no value" if rule.value is None else f"{rule.value:.4f}"
    bound = "" if rule.bound is None else f", bound {rule.bound}"
    why = f" ({rule.reason})" if rule.reason else ""
    return f"{rule.metric} of {rule.slice or 'all'}: {value}{bound}{why}"


def _text(body: dict[str, Any]) -> str:
    """Names of classes and columns come from the data: they are no mark-up of a chat."""
    parts = [f"{body['model']}: {body['verdict']}"]
    parts += [f"run {body['run_id']}"] if body["run_id"] else []
    for name, digits in (("accuracy", ".4f"), ("difference", "+.4f")):
        if body[name] is not None:
            ends = [format(end, digits) for end in body[name]["interval"] or ()]
            interval = f" [{', '.join(ends)}]" if ends else ""
            parts.append(f"{name} {body[name]['value']:{digits}}{interval}")
    told = "; ".join([", ".join(parts), *body["reasons"], *filter(None, [body["error"]])])
    escaped = html.escape(printable(told)[:_MAX_TEXT], quote=False)
    return f"{escaped}\n{body['link']}" if body["link"] else escaped


def _post(config: NotifyConfig, body: dict[str, Any]) -> str | None:
    """Returns why the webhook did not take a message; None if it did, or there is none.

    The address is a secret, and appears in no message: neither do the errors of the library.
    """
    try:
        address = config.address()
        if address is None:
            return None
        send = tenacity.Retrying(
            stop=tenacity.stop_after_attempt(config.attempts),
            wait=tenacity.wait_exponential(multiplier=_PAUSE_SECONDS),
            retry=tenacity.retry_if_exception_type(_UnavailableError),
            reraise=True,
        )
        send(_send, address, body, config.timeout_seconds)
    except (_NotTakenError, ConfigError) as error:
        return f"the verdict was not told to the webhook of {WEBHOOK_VARIABLE}: {error}"
    return None


def _send(address: str, body: dict[str, Any], timeout: float) -> None:
    import httpx  # a quarter of a second, which only a message needs

    logging.getLogger("httpx").setLevel(logging.WARNING)  # it logs each address otherwise
    try:
        # Only the status is read: what a webhook says is of no use here, and may have no end.
        with httpx.stream("POST", address, json=body, timeout=timeout) as answer:
            status = answer.status_code
    except httpx.TransportError as error:
        raise _UnavailableError(f"it can't be reached ({type(error).__name__})") from None
    except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
        raise _NotTakenError(f"its address can't be used ({type(error).__name__})") from None
    if status >= httpx.codes.INTERNAL_SERVER_ERROR or status == _TOO_MANY_REQUESTS:
        raise _UnavailableError(f"it answers {status}")
    if not httpx.codes.is_success(status):
        raise _NotTakenError(f"it answered {status}")

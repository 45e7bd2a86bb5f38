"""Settings of who is told of each verdict."""

import os
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from components.errors import ConfigError
from components.settings import Settings

WEBHOOK_VARIABLE = "EFFNET_NOTIFY_WEBHOOK"
_RUN = "{run}"


class NotifyConfig(Settings):
    """A webhook that each verdict is posted to, that of a run that failed as well."""

    enabled: bool = Field(
        False,
        description="post each verdict as JSON to the webhook whose address is in "
        f"{WEBHOOK_VARIABLE} (the address is a secret, so it stands in no file)",
    )
    link: str | None = Field(
        None,
        description=f"sent along for whoever wants to look; {_RUN} in it becomes the run's id, on "
        "a cluster that of Kubeflow, e.g. https://kubeflow.example.org/#/runs/details/{run}",
    )
    attempts: int = Field(
        5,
        ge=1,
        le=10,
        description="before a webhook that can't be reached is given up, with a "
        "warning; the pauses between them double from 1 s on",
    )
    timeout_seconds: float = Field(10, gt=0, le=60, description="of an attempt")

    @field_validator("link")
    @classmethod
    def _known_placeholder(cls, value: str | None) -> str | None:
        if value is not None and set("{}") & set(value.replace(_RUN, "")):
            raise ValueError(f"the only placeholder is {_RUN}")
        return value

    def link_to(self, run: str) -> str | None:
        """Returns the link to a run; None if none is set."""
        return None if self.link is None else self.link.replace(_RUN, run)

    def address(self) -> str | None:
        """Returns the webhook's address, which is in the environment only; None if switched off.

        Raises:
            ConfigError: if it isn't there, or is no address. It does not repeat it: whoever knows
                the address of a webhook can post to it.
        """
        if not self.enabled:
            return None
        address = os.environ.get(WEBHOOK_VARIABLE, "")
        try:
            url = urlsplit(address)
            known = url.scheme in ("http", "https") and url.hostname
        except ValueError:
            known = None
        if not known:
            state = "holds no such address" if address else "is not set"
            raise ConfigError(
                "notify.enabled is true, and the webhook's http:// or https:// address is "
                f"expected in the environment variable {WEBHOOK_VARIABLE}, which {state}"
            )
        return address

"""Kubeflow's own client, without what an unattended command can't use.

Imported late: the SDK takes two seconds.
"""

import functools
import warnings
from typing import Any

from kfp.client import Client as KfpClient
from kfp.client.set_volume_credentials import ServiceAccountTokenVolumeCredentials
from kfp_server_api import ApiException

__all__ = ["Client", "NotTheApiError", "ServiceAccountTokenVolumeCredentials"]

_TIMEOUT = (10.0, 60.0)  # seconds to connect, and between two parts of an answer
_DEFAULT_NAMESPACE = "kubeflow"  # the SDK takes any other one for a user's


class NotTheApiError(Exception):
    """Something else answers where Kubeflow was expected: a login page, most often."""


class Client(KfpClient):
    """Tries nothing again by itself, waits for ever for nothing, and keeps nothing on the disk."""

    def __init__(self, namespace: str | None, **given: Any):
        """Takes a user's namespace (None where there is one user), and what the SDK's client does.

        Raises:
            ApiException, urllib3's HTTPError: if the API doesn't answer as it should.
        """
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            super().__init__(namespace=namespace or _DEFAULT_NAMESPACE, **given)
        self._bound_requests()

    def _bound_requests(self) -> None:
        rest = self._healthz_api.api_client.rest_client
        if not isinstance(rest.request, functools.partial):
            rest.request = functools.partial(_request, rest.request)

    def _load_config(self, *given: Any) -> Any:
        config = super()._load_config(*given)
        # Neither connecting again at once, as urllib3 does, nor following a proxy to its login.
        config.retries = False
        return config

    def get_kfp_healthz(self, sleep_duration: int = 0) -> Any:
        """Asks once, whether several users share this Kubeflow; the SDK's own hides each error.

        Raises:
            NotTheApiError: if what answers speaks no JSON.
        """
        self._bound_requests()  # the constructor asks already
        api = self._healthz_api
        health = api.healthz_service_get_healthz()
        if not str(api.api_client.last_response.data).lstrip().startswith("{"):
            raise NotTheApiError
        return health

    def set_user_namespace(self, namespace: str) -> None:
        """Remembers it; the SDK's own writes it into the home folder."""
        self._context_setting["namespace"] = namespace


def _request(request: Any, *given: Any, **options: Any) -> Any:
    """Sends a request as the generated client should: it passes "no limit" on by itself."""
    try:
        return request(*given, **{**options, "_request_timeout": _TIMEOUT})
    except ApiException as error:
        if error.body is None:  # of a failed handshake; that client decodes it all the same
            error.body = b""
        raise

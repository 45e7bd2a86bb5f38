"""The way to Kubeflow Pipelines: where it is, who asks, and what to do if it doesn't answer.

    KF_PIPELINES_ENDPOINT        its address; within a cluster it is found without
    EFFNET_KUBEFLOW_TOKEN        a bearer token
    EFFNET_KUBEFLOW_COOKIES      or the cookies of a login, NAME=VALUE; NAME=VALUE
    KF_PIPELINES_SA_TOKEN_PATH   or the file of a service account's token, which the cluster renews
    SSL_CERT_FILE                certificates of an authority of one's own

All of it comes from the environment and reaches neither a log nor a message.
"""

import contextlib
import importlib.util
import io
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import tenacity

from components.errors import ClusterError, ConfigError

if TYPE_CHECKING:
    from pipeline.kfp.sdk import Client

ENDPOINT_VARIABLE = "KF_PIPELINES_ENDPOINT"
UI_VARIABLE = "KF_PIPELINES_UI_ENDPOINT"
TOKEN_VARIABLE = "EFFNET_KUBEFLOW_TOKEN"
COOKIES_VARIABLE = "EFFNET_KUBEFLOW_COOKIES"
TOKEN_FILE_VARIABLE = "KF_PIPELINES_SA_TOKEN_PATH"
CERTIFICATES_VARIABLE = "SSL_CERT_FILE"

# Where Kubeflow mounts a token for its API into a pod, if it is told to.
_MOUNTED_TOKEN = Path("/var/run/secrets/kubeflow/pipelines/token")
_IN_CLUSTER = "http://ml-pipeline.kubeflow.svc.cluster.local:8888"
_ATTEMPTS = 5
_PAUSE_SECONDS = 1.0
_MAX_MESSAGE = 500

T = TypeVar("T")


class UnavailableError(ConnectionError):
    """Kubeflow does not answer, or only that it can't at the moment."""


class NotThereError(ClusterError):
    """Kubeflow has no such thing."""


@dataclass(frozen=True)
class Kubeflow:
    """A connection to the API of Kubeflow Pipelines.

    Attributes:
        endpoint: its address.
        client: the SDK's.
        namespace: the user's; None where there is one user.
    """

    endpoint: str
    client: "Client"
    namespace: str | None = None

    def ask(self, call: Callable[["Client"], T]) -> T:
        """Calls what may be done twice, and again while Kubeflow is unavailable.

        Raises:
            ClusterError: if Kubeflow refuses, naming the mend.
            UnavailableError: if it stays unavailable.
        """
        return _patiently(lambda: self._call(call))

    def create(self, make: Callable[["Client"], T], find: Callable[["Client"], T | None]) -> T:
        """Makes something exactly once: an answer that was lost leaves open whether it is there.

        Args:
            make: makes it.
            find: looks for it, before it is made again.

        Raises:
            ClusterError, UnavailableError: as `ask`.
        """
        tried = False

        def attempt() -> T:
            nonlocal tried
            found = self._call(find) if tried else None
            tried = True
            return self._call(make) if found is None else found

        return _patiently(attempt)

    def run_link(self, run_id: str) -> str:
        """Returns where a person sees a run."""
        place = os.environ.get(UI_VARIABLE) or self.endpoint
        return f"{place.rstrip('/')}/#/runs/details/{run_id}"

    def _call(self, call: Callable[["Client"], T]) -> T:
        return _explained(self.endpoint, lambda: call(self.client))


def check_installed() -> None:
    """Sees that Kubeflow's SDK is there.

    Raises:
        ConfigError: if it is not.
    """
    if importlib.util.find_spec("kfp") is None:
        raise ConfigError(
            "this needs Kubeflow's SDK, which is not installed: pip install 'effnet-tfx[kfp]'"
        )


def connect(namespace: str | None = None) -> Kubeflow:
    """Finds Kubeflow Pipelines and sees whether it lets us in.

    Args:
        namespace: the user's, where several share one Kubeflow.

    Raises:
        ClusterError: if there is no endpoint, or Kubeflow refuses, naming the mend.
        UnavailableError: if it stays unavailable.
    """
    endpoint, credentials = _endpoint(), _credentials()

    def attempt() -> Kubeflow:
        return _explained(endpoint, lambda: _open(endpoint, namespace, credentials))

    return _patiently(attempt)


def _open(endpoint: str, namespace: str | None, credentials: dict[str, Any]) -> Kubeflow:
    from pipeline.kfp.sdk import Client

    client = Client(namespace, host=endpoint, **credentials)
    namespace = client.get_user_namespace() or None
    if client.get_kfp_healthz().multi_user and namespace is None:
        raise ClusterError(
            f"the Kubeflow at {endpoint} is shared by several users: name your namespace with "
            "--namespace"
        )
    return Kubeflow(endpoint, client, namespace)


def _endpoint() -> str:
    endpoint = os.environ.get(ENDPOINT_VARIABLE, "").strip()
    if not endpoint:
        if "KUBERNETES_SERVICE_HOST" in os.environ:
            return _IN_CLUSTER
        raise ClusterError(
            f"no Kubeflow Pipelines is named: put its address in {ENDPOINT_VARIABLE}; without one "
            "of its own, 'kubectl port-forward -n kubeflow svc/ml-pipeline 8888:8888' makes it "
            "http://localhost:8888"
        )
    if "@" in endpoint:
        raise ClusterError(
            f"{ENDPOINT_VARIABLE} holds a user or password, which it must not: put a token in "
            f"{TOKEN_VARIABLE}"
        )
    return (endpoint if "://" in endpoint else f"https://{endpoint}").rstrip("/")


def _credentials() -> dict[str, Any]:
    """Returns who asks, as the SDK's client takes it."""
    given: dict[str, Any] = {}
    if certificates := os.environ.get(CERTIFICATES_VARIABLE):
        given["ssl_ca_cert"] = _existing(certificates, CERTIFICATES_VARIABLE)
    if token := os.environ.get(TOKEN_VARIABLE, "").strip():
        return {**given, "existing_token": token}
    if cookies := os.environ.get(COOKIES_VARIABLE, "").strip():
        return {**given, "cookies": cookies}
    file = os.environ.get(TOKEN_FILE_VARIABLE)
    if file or _MOUNTED_TOKEN.is_file():
        from pipeline.kfp.sdk import ServiceAccountTokenVolumeCredentials

        path = _existing(file, TOKEN_FILE_VARIABLE) if file else str(_MOUNTED_TOKEN)
        given["credentials"] = ServiceAccountTokenVolumeCredentials(path)
    return given


def _existing(file: str, variable: str) -> str:
    if not Path(file).is_file():
        raise ClusterError(f"{variable} names the file '{file}', which is not there")
    return file


def _patiently(attempt: Callable[[], T]) -> T:
    return tenacity.Retrying(
        stop=tenacity.stop_after_attempt(_ATTEMPTS),
        wait=tenacity.wait_exponential(multiplier=_PAUSE_SECONDS),
        retry=tenacity.retry_if_exception_type(UnavailableError),
        reraise=True,
    )(attempt)


def _explained(endpoint: str, call: Callable[[], T]) -> T:
    """Calls the SDK, which prints links to stdout, and puts its errors into words."""
    import kfp_server_api
    import urllib3

    from pipeline.kfp.sdk import NotTheApiError

    try:
        with contextlib.redirect_stdout(io.StringIO()):
            return call()
    except kfp_server_api.ApiException as error:
        raise _of_status(endpoint, error) from None
    except NotTheApiError:
        raise _no_api(endpoint) from None
    except urllib3.exceptions.HTTPError as error:
        if isinstance(error, urllib3.exceptions.LocationParseError):
            raise ClusterError(f"{ENDPOINT_VARIABLE} is no address: {endpoint}") from None
        raise UnavailableError(
            f"the Kubeflow at {endpoint} can't be reached ({type(error).__name__}): see that "
            f"{ENDPOINT_VARIABLE} is right, that it runs, and that this machine may connect to it"
        ) from None


def _of_status(endpoint: str, error: Any) -> Exception:
    """Returns the error for an answer that is none."""
    status, told = error.status, _told(error)
    if status == 0:  # how the generated client passes a failed handshake on
        return ClusterError(
            f"no secure connection to {endpoint}: {told}. If its certificate is by an authority "
            f"of your own, name the file of that authority in {CERTIFICATES_VARIABLE}"
        )
    if status == 401:
        return ClusterError(
            f"the Kubeflow at {endpoint} does not accept who asks (401): the token has expired, "
            f"is not meant for it, or there is none. Put a new one in {TOKEN_VARIABLE}, the "
            f"cookies of a login in {COOKIES_VARIABLE}, or name a service account's token file in "
            f"{TOKEN_FILE_VARIABLE}"
        )
    if status == 403:
        return ClusterError(
            f"the Kubeflow at {endpoint} knows who asks but does not allow it (403): {told}. Have "
            "the right granted (a RoleBinding in that namespace), or see that --namespace is yours"
        )
    if 300 <= status < 400:
        return _no_api(endpoint)
    if status >= 500 or status == 429:
        return UnavailableError(f"the Kubeflow at {endpoint} is unavailable ({status}): {told}")
    kind = NotThereError if status == 404 else ClusterError
    return kind(f"the Kubeflow at {endpoint} refused ({status}): {told}")


def _told(error: Any) -> str:
    """Returns the API's own message, or what the library says; no headers, which hold cookies."""
    body = error.body.decode("utf-8", "replace") if isinstance(error.body, bytes) else error.body
    try:
        text = json.loads(body)["message"]
    except (TypeError, ValueError, KeyError):
        text = error.reason
    return " ".join(str(text or "no reason given").split())[:_MAX_MESSAGE]


def _no_api(endpoint: str) -> ClusterError:
    return ClusterError(
        f"what answers at {endpoint} is not the API of Kubeflow Pipelines 2.x, but perhaps a login "
        f"page before it: put a token in {TOKEN_VARIABLE} or the cookies of a login in "
        f"{COOKIES_VARIABLE}, and see that {ENDPOINT_VARIABLE} is right (with a full Kubeflow it "
        "ends in /pipeline)"
    )

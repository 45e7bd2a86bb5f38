"""One object in a Kubernetes cluster, through its API: calls, retries, errors in words."""

import contextlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import urllib3
from kubernetes import client, config
from kubernetes.config.incluster_config import SERVICE_HOST_ENV_NAME

from components.errors import ClusterError, EffnetError

# Of lost connections, throttling and failures of the server. A repeated patch can't do harm: it
# names the version of the object that it changes.
_RETRIES = urllib3.Retry(
    total=5,
    backoff_factor=0.5,
    status_forcelist=(429, 500, 502, 503, 504),
    allowed_methods=None,
    raise_on_status=False,
)
TIMEOUTS = (10.0, 30.0)  # seconds: to connect, to read
_NAMESPACE_FILE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")

Object = dict[str, Any]


class ConflictError(Exception):
    """The object has changed since it was read, or is there already."""


@dataclass(frozen=True)
class Kind:
    """A custom kind of object, and what messages about it say.

    Attributes:
        group: of the API.
        version: of the API.
        resource: the plural, as addresses have it.
        verbs: what a Role must allow.
        setting: the section of the configuration that asks for it.
        access: how a cluster can be reached where there is no service account.
        missing: what to do where the cluster doesn't know the kind, or the namespace.
        role: where there is such a Role.
        failure: raised where the API fails for longer than the retries last.
    """

    group: str
    version: str
    resource: str
    verbs: tuple[str, ...]
    setting: str
    access: str
    missing: str
    role: str
    failure: type[EffnetError]


class ObjectApi:
    """Reads and changes one object.

    Every method raises ClusterError where rights, the kind or the cluster itself are missing or the
    request is refused, and the kind's `failure` where the API fails for longer than the retries
    last.
    """

    def __init__(self, kind: Kind, namespace: str, name: str, access: client.ApiClient) -> None:
        """Takes an object that need not be there."""
        self.kind, self.namespace, self.name = kind, namespace, name
        self._api = client.CustomObjectsApi(access)
        self._place = {
            "group": kind.group,
            "version": kind.version,
            "namespace": namespace,
            "plural": kind.resource,
            "_request_timeout": TIMEOUTS,
        }

    def get(self) -> Object | None:
        """Returns the object, or None if there is none."""
        with self._in_words("get"):
            try:
                return self._api.get_namespaced_custom_object(name=self.name, **self._place)
            except client.ApiException as error:
                if error.status == 404 and _kind_of_missing(error) == self.kind.resource:
                    return None
                raise

    def create(self, body: Object) -> Object:
        """Creates the object.

        Raises:
            ConflictError: if there is one already.
        """
        with self._in_words("create"):
            return self._api.create_namespaced_custom_object(body=body, **self._place)

    def patch(self, change: Mapping[str, Any], seen: Object) -> Object:
        """Changes the object by a merge patch, unless it is no longer the one that was seen.

        Raises:
            ConflictError: if it has changed since.
        """
        version = {"resourceVersion": seen["metadata"]["resourceVersion"]}
        with self._in_words("patch"):
            return self._api.patch_namespaced_custom_object(
                name=self.name, body={"metadata": version, **change}, **self._place
            )

    def delete(
        self, seen: Object, propagation: Literal["Background", "Foreground"] = "Background"
    ) -> None:
        """Deletes the very object that was seen; one of the same name that came later stays.

        Args:
            seen: the object.
            propagation: Foreground: it is there until all that it owns is gone.
        """
        own = client.V1Preconditions(uid=seen["metadata"]["uid"])
        options = client.V1DeleteOptions(preconditions=own, propagation_policy=propagation)
        with self._in_words("delete"):
            try:
                self._api.delete_namespaced_custom_object(
                    name=self.name, body=options, **self._place
                )
            except client.ApiException as error:
                if error.status != 404:
                    raise

    def __str__(self) -> str:
        """Names the object in messages."""
        return f"{self.namespace}/{self.name}"

    @contextlib.contextmanager
    def _in_words(self, verb: str) -> Iterator[None]:
        try:
            yield
        except client.ApiException as error:
            if error.status == 409:
                raise ConflictError(_message(error)) from None
            lasting = error.status < 500 and error.status != 429
            # Without the original, which would print the whole answer with its headers.
            raise (ClusterError if lasting else self.kind.failure)(
                self._explain(error, verb)
            ) from None
        except urllib3.exceptions.HTTPError as error:
            raise self.kind.failure(
                f"the Kubernetes API could not be reached to {verb} {self.kind.resource} {self}, "
                f"also when tried again: {error}"
            ) from None

    def _explain(self, error: client.ApiException, verb: str) -> str:
        kind = self.kind
        asked = f"to {verb} {kind.resource}.{kind.group} {self}"
        if error.status == 401:
            return f"the cluster does not know who asks {asked}: renew the credentials"
        if error.status == 403:
            return (
                f"the cluster forbids {asked}: {_message(error)}; its Role needs the verbs "
                f"{', '.join(kind.verbs)} on {kind.resource} of the group {kind.group} in the "
                f"namespace {self.namespace} ({kind.role} has one)"
            )
        if error.status == 404:
            return (
                f"the cluster knows no {kind.resource}.{kind.group}/{kind.version}, or no "
                f"namespace {self.namespace}: {kind.missing}"
            )
        return f"the cluster refuses {asked}: {error.status} {error.reason}: {_message(error)}"


def connect(kind: Kind, context: str | None = None) -> client.ApiClient:
    """Returns access to the API by a pod's service account or a kubeconfig.

    Args:
        kind: of the objects that it is for.
        context: of the kubeconfig; None: within a pod its service account (unless KUBECONFIG is
            set), else the current context.

    Raises:
        ClusterError: if there is neither.
    """
    access = client.Configuration()
    file = os.environ.get("KUBECONFIG")
    try:
        if SERVICE_HOST_ENV_NAME in os.environ and not (file or context):
            config.load_incluster_config(client_configuration=access)
        else:
            config.load_kube_config(file, context=context, client_configuration=access)
    except config.ConfigException as error:
        raise ClusterError(
            f"{kind.setting} is set, but there is no access to a cluster: {error}; run in a pod "
            f"with a service account, or {kind.access}"
        ) from None
    access.retries = _RETRIES
    return client.ApiClient(access)


def own_namespace(kind: Kind) -> str:
    """Returns the namespace of this pod, or of the kubeconfig's current context.

    Raises:
        ClusterError: if there is neither.
    """
    if SERVICE_HOST_ENV_NAME in os.environ and "KUBECONFIG" not in os.environ:
        try:
            return _NAMESPACE_FILE.read_text(encoding="utf-8").strip()
        except OSError as error:
            raise ClusterError(
                f"{kind.setting} is set, but the pod has no service account: {error}; let its "
                "token be mounted (automountServiceAccountToken)"
            ) from None
    _, active = config.list_kube_config_contexts(os.environ.get("KUBECONFIG"))
    return active["context"].get("namespace", "default")


def _message(error: client.ApiException) -> str:
    return str(_status(error).get("message") or error.reason)


def _kind_of_missing(error: client.ApiException) -> str | None:
    """Tells an object that isn't there from a kind of object that isn't, which has no details."""
    return (_status(error).get("details") or {}).get("kind")


def _status(error: client.ApiException) -> dict[str, Any]:
    """Returns the Status object that a Kubernetes API answers errors with; {} from others."""
    try:
        status = json.loads(error.body or "{}")
    except ValueError:
        return {}
    return status if isinstance(status, dict) else {}

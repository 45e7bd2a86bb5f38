"""The InferenceService that the settings name, through the Kubernetes API."""

from components.errors import RolloutError
from components.kubernetes_api import ConflictError, Kind, Object, ObjectApi, connect
from components.pusher.kubernetes_config import KubernetesConfig

__all__ = ["ConflictError", "InferenceServiceApi", "Service"]

GROUP, API_VERSION, RESOURCE = "serving.kserve.io", "v1beta1", "inferenceservices"
VERBS = ("get", "create", "patch", "delete")  # what a Role must allow

_KIND = Kind(
    group=GROUP,
    version=API_VERSION,
    resource=RESOURCE,
    verbs=VERBS,
    setting="serving.kubernetes",
    access="name a kubeconfig in KUBECONFIG and, where the current one is not meant, its context "
    "in serving.kubernetes.context",
    missing="install KServe, or mend serving.kubernetes.namespace",
    role="kubeflow/serving",
    failure=RolloutError,
)

Service = Object


class InferenceServiceApi(ObjectApi):
    """Reads and changes the InferenceService that the settings name."""

    def __init__(self, settings: KubernetesConfig):
        """Finds the cluster.

        Raises:
            ClusterError: if there is no access to one.
        """
        access = connect(_KIND, settings.context)
        super().__init__(_KIND, settings.namespace, settings.service_name, access)

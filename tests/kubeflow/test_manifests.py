import json
from types import SimpleNamespace

import kserve
import kubernetes_validate
import pytest
import yaml
from kubernetes import client

from components.pusher import kubernetes_api
from pipeline.kfp import tf_job

CUSTOM = {
    "InferenceService": kserve.V1beta1InferenceService,
    "ServingRuntime": kserve.V1alpha1ServingRuntime,
}
# All volumes that Pod Security's profile `restricted` allows.
VOLUMES = {
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "persistentVolumeClaim",
    "projected",
    "secret",
}
READ = {"get", "list"}
KUBEFLOW = {"experiments": {*READ, "create"}, "runs": {*READ, "create"}}
SERVING = {"inferenceservices": set(kubernetes_api.VERBS)}
RIGHTS = {
    "effnet-pipeline": {
        **SERVING,
        "workflowtaskresults": {"create", "patch"},
        "pods": {"get"},
        "pods/log": {"get"},
        "configmaps": {"get"},
        "secrets": {"get"},
        "tfjobs": set(tf_job.KIND.verbs),
    },
    "effnet-toolbox": {
        **SERVING,
        **KUBEFLOW,
        "jobs": {*READ, "create", "delete", "enable", "disable"},
    },
    "effnet-retrain": KUBEFLOW,
}


def _pods(objects):
    for (kind, name), each in objects.items():
        if kind == "Deployment":
            yield name, each["spec"]["template"]
        if kind == "CronJob":
            yield name, each["spec"]["jobTemplate"]["spec"]["template"]


def _of_kind(objects, wanted):
    return [each for (kind, _), each in objects.items() if kind == wanted]


def test_every_object_is_valid(objects, overlay):
    for (kind, _), each in objects.items():
        if kind in CUSTOM:
            assert _lost(each, kind) == []
        else:
            kubernetes_validate.validate(each, "1.33", strict=True)


def _lost(manifest, kind):
    """Reads an object by its clients' model, and returns the keys that this loses."""
    models = {name: value for name, value in vars(kserve).items() if name.startswith("V1")}
    api = client.ApiClient()
    with pytest.MonkeyPatch.context() as patch:
        for name in models.keys() - vars(client.models).keys():
            patch.setattr(client.models, name, models[name], raising=False)
        read = api.deserialize(SimpleNamespace(data=json.dumps(manifest)), CUSTOM[kind].__name__)
    return list(_missing(manifest, api.sanitize_for_serialization(read), kind))


def _missing(written, read, path):
    """Yields what was not read; a model may add an empty field that it requires."""
    if isinstance(written, dict) and isinstance(read, dict):
        for key, value in written.items():
            yield from _missing(value, read.get(key), f"{path}.{key}")
    elif isinstance(written, list) and isinstance(read, list) and len(written) == len(read):
        for number, value in enumerate(written):
            yield from _missing(value, read[number], f"{path}[{number}]")
    elif written != read:
        yield path


@pytest.mark.parametrize("where", ["spec", "spec.predictor", "spec.predictor.model"])
def test_a_misspelt_key_of_a_custom_kind_would_be_found(kustomized, where):
    built = json.loads(json.dumps(kustomized("volume")))
    (service,) = (each for each in built if each["kind"] == "InferenceService")
    place = service
    for key in where.split("."):
        place = place[key]
    place["storageURI"] = "pvc://x"
    assert _lost(service, "InferenceService") == [f"InferenceService.{where}.storageURI"]


def test_pods_pass_pod_securitys_restricted_profile(objects):
    pods = dict(_pods(objects))
    assert pods.keys() == {"effnet-toolbox", "effnet-retrain"}
    for pod in (template["spec"] for template in pods.values()):
        assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys()
        assert all(VOLUMES & volume.keys() for volume in pod["volumes"])
        whole = pod["securityContext"]
        assert whole["runAsNonRoot"] and whole["runAsUser"] > 0
        assert whole["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in pod["containers"]:
            _check_restricted(container["securityContext"])
            assert container["securityContext"]["readOnlyRootFilesystem"]
            assert container["resources"].keys() == {"requests", "limits"}


def test_the_predictor_passes_it_too(objects):
    (runtime,) = _of_kind(objects, "ServingRuntime")
    (container,) = runtime["spec"]["containers"]
    context = container["securityContext"]
    _check_restricted(context)
    assert context["runAsNonRoot"] and context["runAsUser"] > 0
    assert context["seccompProfile"] == {"type": "RuntimeDefault"}


def _check_restricted(context):
    assert context["allowPrivilegeEscalation"] is False
    assert context["capabilities"] == {"drop": ["ALL"]}
    assert not context.get("privileged")


def test_what_must_be_written_to_is_mounted(objects):
    for _, template in _pods(objects):
        (container,) = template["spec"]["containers"]
        mounts = container["volumeMounts"]
        writable = {each["mountPath"] for each in mounts if not each.get("readOnly")}
        assert {"/home/effnet", "/tmp"} <= writable


def test_no_secret_has_its_value_here(objects):
    assert _of_kind(objects, "Secret") == []
    for _, template in _pods(objects):
        for container in template["spec"]["containers"]:
            assert all("value" not in each for each in container.get("env", []))


def test_accounts_may_do_what_they_need_and_nothing_else(objects):
    roles = {role["metadata"]["name"]: role["rules"] for role in _of_kind(objects, "Role")}
    found: dict[str, dict[str, set[str]]] = {}
    for binding in _of_kind(objects, "RoleBinding"):
        for subject in binding["subjects"]:
            assert ("ServiceAccount", subject["name"]) in objects
            rights = found.setdefault(subject["name"], {})
            for rule in roles[binding["roleRef"]["name"]]:
                for resource in rule["resources"]:
                    rights.setdefault(resource, set()).update(rule["verbs"])
    assert found == RIGHTS
    assert not any(kind.startswith("Cluster") for kind, _ in objects)


def test_what_has_a_known_name_is_allowed_by_its_name_only(objects):
    named = {"configmaps", "secrets", "inferenceservices"}
    for role in _of_kind(objects, "Role"):
        for rule in role["rules"]:
            # A name can't be judged before the object has one.
            if named & set(rule["resources"]) and rule["verbs"] != ["create"]:
                assert rule["resourceNames"], rule


def test_the_pushers_rights_are_what_its_code_uses():
    methods = {name for name in dir(kubernetes_api.InferenceServiceApi) if name[0] != "_"}
    assert methods == set(kubernetes_api.VERBS)


def test_pods_act_as_accounts_that_are_there_and_prove_it_to_kubeflow_alone(objects):
    for name, template in _pods(objects):
        pod = template["spec"]
        assert pod["serviceAccountName"] == name
        assert ("ServiceAccount", name) in objects
        sources = [
            volume["projected"]["sources"] for volume in pod["volumes"] if "projected" in volume
        ]
        ((token,),) = sources
        assert token["serviceAccountToken"]["audience"] == "pipelines.kubeflow.org"
    cron = dict(_pods(objects))["effnet-retrain"]["spec"]
    assert cron["automountServiceAccountToken"] is False


def test_nothing_connects_to_these_pods(objects):
    (policy,) = _of_kind(objects, "NetworkPolicy")
    assert policy["spec"]["policyTypes"] == ["Ingress"] and "ingress" not in policy["spec"]
    (expression,) = policy["spec"]["podSelector"]["matchExpressions"]
    labels = {template["metadata"]["labels"][expression["key"]] for _, template in _pods(objects)}
    assert set(expression["values"]) == labels


def test_the_cron_job_starts_one_run_at_a_time(objects):
    (job,) = _of_kind(objects, "CronJob")
    spec = job["spec"]
    assert len(spec["schedule"].split()) == 5
    assert spec["concurrencyPolicy"] == "Forbid" and spec["startingDeadlineSeconds"] >= 60
    assert spec["jobTemplate"]["spec"]["backoffLimit"] == 0
    (container,) = spec["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    assert "command" not in container  # the image's own: effnet
    assert container["args"][0] == "submit" and "--wait" in container["args"]


def test_without_the_component_there_is_no_cron_job(kustomized, overlay):
    assert not any("retrain" in each["metadata"]["name"] for each in kustomized(overlay))


def test_the_service_leaves_to_the_pusher_what_it_sets(objects):
    (service,) = _of_kind(objects, "InferenceService")
    predictor = service["spec"]["predictor"]
    assert "canaryTrafficPercent" not in predictor
    assert "storageUri" not in predictor["model"]
    (runtime,) = _of_kind(objects, "ServingRuntime")
    assert predictor["model"]["runtime"] == runtime["metadata"]["name"]


def test_objects_are_in_one_namespace_and_name_nothing_that_is_missing(objects):
    assert len({each["metadata"]["namespace"] for each in objects.values()}) == 1
    for _, template in _pods(objects):
        for volume in template["spec"]["volumes"]:
            if "configMap" in volume:
                config = objects["ConfigMap", volume["configMap"]["name"]]
                assert yaml.safe_load(config["data"]["config.yaml"])["kubeflow"]
            if "persistentVolumeClaim" in volume:
                claim = volume["persistentVolumeClaim"]["claimName"]
                assert ("PersistentVolumeClaim", claim) in objects

"""What TFX compiles, and what of it the backends would refuse, drop or answer from the past."""

import functools
import json
from pathlib import Path

import pytest
import yaml
from google.protobuf import json_format
from kfp import components as kfp_components
from kfp.kubernetes import kubernetes_executor_config_pb2
from kfp.pipeline_spec import pipeline_spec_pb2
from tfx.types.artifact import Artifact

from components.errors import ConfigError
from pipeline.config import PipelineConfig
from pipeline.kfp import entrypoint
from pipeline.kfp.compile import kfp_package, vertex_package
from pipeline.kfp.cures import INNER
from pipeline.kfp.parameters import PREFIX
from pipeline.kubeflow_config import EXIT_TASK, NODES, KubeflowConfig
from tests.pipeline.kfp.golden import CONFIG, FOLDER, PACKAGES, normalised

ALWAYS = {f"{PREFIX}{name}" for name in ("uuid", "created", "output")}


def configured(**kubeflow):
    given = CONFIG.model_dump(by_alias=True, mode="json")
    return PipelineConfig.parse({**given, "kubeflow": {**given["kubeflow"], **kubeflow}})


@functools.cache
def default_package():
    return kfp_package(CONFIG)


@pytest.fixture
def documents():
    return list(yaml.safe_load_all(default_package()))


@pytest.fixture
def spec(documents):
    return documents[0]


@pytest.fixture
def tasks(spec):
    return {**spec["components"][INNER]["dag"]["tasks"], **spec["root"]["dag"]["tasks"]}


def containers(spec):
    executors = spec["deploymentSpec"]["executors"]
    return {label.removesuffix("_executor"): e["container"] for label, e in executors.items()}


def types_of(container):
    return json.loads(container["args"][container["args"].index("--types") + 1])


@pytest.mark.parametrize("name", PACKAGES)
def test_the_packages_are_as_they_were(name):
    """After a change that is meant: python -m tests.pipeline.kfp.golden."""
    compiled = default_package() if name == "kfp.yaml" else PACKAGES[name](CONFIG)
    assert normalised(compiled) == (FOLDER / name).read_text(encoding="utf-8")


def test_compiling_again_gives_the_same_package():
    assert kfp_package(CONFIG) == default_package()


def test_open_source_kubeflow_takes_schema_2_1_0_only(documents):
    spec = json_format.ParseDict(documents[0], pipeline_spec_pb2.PipelineSpec())
    assert spec.schema_version == "2.1.0"
    assert spec.pipeline_info.name.startswith("effnet-")
    deployment = pipeline_spec_pb2.PipelineDeploymentConfig()
    json_format.ParseDict(documents[0]["deploymentSpec"], deployment)
    assert set(deployment.executors) == {
        f"{node}_executor" for node in {*NODES, EXIT_TASK} - {"Tuner", "RetrainCheck"}
    }


def test_the_sdk_loads_the_package():
    loaded = kfp_components.load_component_from_text(default_package())
    assert set(loaded.platform_spec.platforms) == {"kubernetes"}


def test_both_protos_take_the_platform_spec(documents):
    platform = json_format.ParseDict(documents[1], pipeline_spec_pb2.PlatformSpec())
    executors = platform.platforms["kubernetes"].deployment_spec.executors
    for told in executors.values():
        json_format.ParseDict(
            json_format.MessageToDict(told),
            kubernetes_executor_config_pb2.KubernetesExecutorConfig(),
        )
    assert set(executors) == set(documents[0]["deploymentSpec"]["executors"])


def test_every_task_is_a_container_without_a_lifecycle(spec):
    """The backend has no resolver, and passes over what is to run before its cache is asked."""
    for executor in spec["deploymentSpec"]["executors"].values():
        assert set(executor) == {"container"}
        assert set(executor["container"]) == {"image", "command", "args"}


def test_artifacts_have_types_that_every_backend_knows(spec):
    found = {
        artifact["artifactType"]["schemaTitle"]
        for component in spec["components"].values()
        for side in ("inputDefinitions", "outputDefinitions")
        for artifact in component.get(side, {}).get("artifacts", {}).values()
    }
    assert found == {"system.Artifact", "system.Dataset", "system.Model"}


def test_the_entrypoint_is_told_the_types_that_the_backend_forgets(spec):
    for node, container in containers(spec).items():
        if node == EXIT_TASK:
            continue
        component, types = spec["components"][node], types_of(container)
        for side, declared in (("inputs", "inputDefinitions"), ("outputs", "outputDefinitions")):
            assert set(types[side]) == set(component.get(declared, {}).get("artifacts", {}))
            for path in types[side].values():
                assert issubclass(entrypoint.load(path), Artifact)


def test_the_entrypoint_is_told_which_numbers_are_whole(spec):
    for node, container in containers(spec).items():
        declared = spec["components"][node]["inputDefinitions"]["parameters"]
        whole = {k for k, v in declared.items() if v["parameterType"] == "NUMBER_INTEGER"}
        if node != EXIT_TASK:
            assert set(types_of(container)["integers"]) == whole


def test_parameters_of_the_pipeline_keep_their_defaults(spec):
    declared = spec["root"]["inputDefinitions"]["parameters"]
    assert all(parameter["isOptional"] for parameter in declared.values())
    assert {name: parameter["defaultValue"] for name, parameter in declared.items()} == {
        "data": "/mnt/data/{DATE}",
        "span": "",
        "backbone": CONFIG.trainer.backbone,
        "epochs": "30,6",
        "gate_1_accuracy_min": 0.7,
        "gate_2_accuracy_max_decline": 0.01,
    }


def test_parameters_reach_the_tasks_that_depend_on_them_and_no_others(spec, tasks):
    taken = {}
    for node, task in tasks.items():
        if node in (INNER, EXIT_TASK):
            continue
        given = {k for k in task["inputs"]["parameters"] if k.startswith(PREFIX)} - ALWAYS
        if given:
            taken[node] = {name.removeprefix(PREFIX) for name in given}
        assert set(task["inputs"]["parameters"]) >= ALWAYS
    assert taken == {
        "ImageExampleGen": {"data", "span"},
        "Transform": {"backbone"},
        "Trainer": {"backbone", "epochs"},
        "Pusher": {"data", "backbone", "epochs"},
        "Evaluator": {"gate_1_accuracy_min", "gate_2_accuracy_max_decline"},
    }


def test_a_dag_within_the_pipeline_is_given_what_its_tasks_take(spec, tasks):
    """It sees no parameters of the pipeline but those."""
    declared = set(spec["root"]["inputDefinitions"]["parameters"])
    assert set(spec["components"][INNER]["inputDefinitions"]["parameters"]) == declared
    given = tasks[INNER]["inputs"]["parameters"]
    assert given == {name: {"componentInputParameter": name} for name in declared}


def test_every_parameter_that_a_task_is_given_is_declared(spec, tasks):
    for node, task in tasks.items():
        declared = spec["components"][node]["inputDefinitions"]["parameters"]
        assert set(task["inputs"]["parameters"]) <= set(declared), node


def test_no_task_is_answered_from_the_backends_cache(tasks):
    assert not any("cachingOptions" in task for task in tasks.values())


def test_the_exit_task_waits_for_all_others_in_a_dag_of_their_own(spec, tasks):
    assert set(spec["root"]["dag"]["tasks"]) == {INNER, EXIT_TASK}
    assert tasks[EXIT_TASK]["dependentTasks"] == [INNER]
    assert tasks[EXIT_TASK]["triggerPolicy"] == {"strategy": "ALL_UPSTREAM_TASKS_COMPLETED"}
    assert containers(spec)[EXIT_TASK]["command"] == ["python", "-m", "pipeline.kfp.finish"]
    config = tasks[EXIT_TASK]["inputs"]["parameters"][f"{PREFIX}config"]
    assert PipelineConfig.parse_json(config["runtimeValue"]["constant"]) == CONFIG


def test_nothing_of_the_machine_that_compiles_is_in_the_package(tasks):
    assert str(Path(__file__).parents[3]) not in default_package()
    for task in tasks.values():
        for name, parameter in task["inputs"]["parameters"].items():
            value = parameter.get("runtimeValue", {}).get("constant")
            if name.endswith("_digest"):
                assert value == ""
            elif name == "custom_config":
                digests = [v for k, v in json.loads(value).items() if k.endswith("_digest")]
                assert not any(digests)


def test_a_training_of_many_hours_is_tried_again():
    """Argo ends all attempts when this time has passed since the first one's start."""
    config = configured(placement={"retries": 1}, output="gs://bucket/output")
    spec = next(yaml.safe_load_all(kfp_package(config)))
    policy = spec["components"][INNER]["dag"]["tasks"]["Trainer"]["retryPolicy"]
    assert int(policy["backoffMaxDuration"].rstrip("s")) > 30 * 24 * 3600
    json_format.ParseDict(spec, pipeline_spec_pb2.PipelineSpec())
    job = json.loads(vertex_package(config))["pipelineSpec"]
    policy = job["components"][INNER]["dag"]["tasks"]["Trainer"]["retryPolicy"]
    assert policy["backoffMaxDuration"] == "3600s", "its limit"


def test_compiling_asks_no_object_store(monkeypatch):
    for name in ("AWS_ENDPOINT_URL", "STORAGE_EMULATOR_HOST"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    config = configured(output="s3://bucket/output", data="gs://bucket/images")
    spec = next(yaml.safe_load_all(kfp_package(config)))
    given = spec["components"][INNER]["dag"]["tasks"]["ReferenceSchema"]["inputs"]["parameters"]
    place = given["schema_file"]["runtimeValue"]["constant"]
    assert place == "s3://bucket/output/schema/classifier.pbtxt"


@functools.cache
def conditional_packages():
    given = CONFIG.model_dump(by_alias=True, mode="json")
    config = PipelineConfig.parse({**given, "retrain": {"if_changed": True}})
    return kfp_package(config), vertex_package(config)


def test_nothing_runs_behind_a_check_that_finds_nothing_to_learn():
    spec = next(yaml.safe_load_all(conditional_packages()[0]))
    json_format.ParseDict(spec, pipeline_spec_pb2.PipelineSpec())
    tasks = spec["components"][INNER]["dag"]["tasks"]
    conditions = {
        n: t["triggerPolicy"]["condition"] for n, t in tasks.items() if "triggerPolicy" in t
    }
    assert conditions == {"Transform": "inputs.parameter_values['effnet_retrain'] == '1'"}
    assert tasks["Transform"]["inputs"]["parameters"]["effnet_retrain"] == {
        "taskOutputParameter": {"producerTask": "RetrainCheck", "outputParameterKey": "retrain"}
    }
    outputs = spec["components"]["RetrainCheck"]["outputDefinitions"]["parameters"]
    assert outputs == {"retrain": {"parameterType": "STRING"}}
    declared = spec["root"]["inputDefinitions"]["parameters"]
    assert declared["force"]["defaultValue"] == "false"


def test_on_vertex_neither():
    spec = json.loads(conditional_packages()[1])["pipelineSpec"]
    condition = spec["components"][INNER]["dag"]["tasks"]["Transform"]["triggerPolicy"]["condition"]
    assert condition == "inputs.parameters['effnet_retrain'].string_value == '1'"


def test_placement_is_written_where_the_backend_reads_it():
    own = {
        "image": "registry/effnet:1-gpu",
        "memory_limit": "16Gi",
        "gpu": {"count": 2, "type": "nvidia-tesla-t4"},
        "tolerations": [{"key": "gpu", "effect": "NoSchedule"}],
        "env": {"TF_GPU_ALLOCATOR": "1e3"},
        "timeout_seconds": 7200,
        "retries": 3,
    }
    config = configured(
        placement={
            "cpu_request": "500m",
            "retries": 1,
            "volumes": [{"claim": "effnet", "path": "/mnt", "sub_path": "team"}],
            "secret_env": [{"secret": "s3", "keys": {"id": "AWS_ACCESS_KEY_ID"}}],
            "secret_volumes": [{"secret": "ca", "path": "/ca"}],
        },
        nodes={"Trainer": own, "ServingBaseline": {"retries": 0}},
        image_pull_secrets=["registry"],
        timeout_seconds=86400,
    )
    spec, platform = yaml.safe_load_all(kfp_package(config))
    json_format.ParseDict(platform, pipeline_spec_pb2.PlatformSpec())
    trainer = containers(spec)["Trainer"]
    assert trainer["image"] == "registry/effnet:1-gpu"
    assert trainer["env"] == [{"name": "TF_GPU_ALLOCATOR", "value": "1e3"}]
    assert trainer["resources"] == {
        "resourceCpuRequest": "500m",
        "resourceMemoryLimit": "16Gi",
        "accelerator": {"resourceType": "nvidia.com/gpu", "resourceCount": "2"},
    }
    tasks = {**spec["components"][INNER]["dag"]["tasks"], **spec["root"]["dag"]["tasks"]}
    assert tasks["Trainer"]["retryPolicy"]["maxRetryCount"] == 3
    assert tasks["Pusher"]["retryPolicy"]["maxRetryCount"] == 1
    assert tasks[EXIT_TASK]["retryPolicy"]["maxRetryCount"] == 1
    assert "retryPolicy" not in tasks["ServingBaseline"]
    kubernetes = platform["platforms"]["kubernetes"]
    assert kubernetes["pipelineConfig"] == {"activeDeadlineSeconds": 86400}
    told = kubernetes["deploymentSpec"]["executors"]["Trainer_executor"]
    assert told["nodeSelector"] == {
        "labels": {"cloud.google.com/gke-accelerator": "nvidia-tesla-t4"}
    }
    assert told["tolerations"] == [{"key": "gpu", "operator": "Exists", "effect": "NoSchedule"}]
    assert told["activeDeadlineSeconds"] == "7200"
    mount = told["pvcMount"][0]
    assert (mount["mountPath"], mount["subPath"]) == ("/mnt", "team")
    assert mount["pvcNameParameter"] == {"runtimeValue": {"constant": "effnet"}}
    assert told["secretAsEnv"][0]["keyToEnv"] == [
        {"secretKey": "id", "envVar": "AWS_ACCESS_KEY_ID"}
    ]
    assert told["secretAsVolume"][0]["mountPath"] == "/ca"
    assert told["imagePullSecret"][0]["secretName"] == "registry"


def test_a_tpu_slice_is_asked_for_as_gke_has_it():
    tpu = {"accelerator": "tpu-v5-lite-podslice", "topology": "2x4", "chips": 8}
    spec, platform = yaml.safe_load_all(kfp_package(configured(nodes={"Trainer": {"tpu": tpu}})))
    assert containers(spec)["Trainer"]["resources"] == {
        "accelerator": {"resourceType": "google.com/tpu", "resourceCount": "8"}
    }
    executors = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    assert executors["Trainer_executor"]["nodeSelector"]["labels"] == {
        "cloud.google.com/gke-tpu-accelerator": "tpu-v5-lite-podslice",
        "cloud.google.com/gke-tpu-topology": "2x4",
    }


def test_gpus_of_one_pod_have_memory_to_share():
    nodes = {"Trainer": {"gpu": {"count": 2}}, "Evaluator": {"gpu": {"count": 1}}}
    platform = list(yaml.safe_load_all(kfp_package(configured(nodes=nodes))))[1]
    executors = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    mounted = {
        label: told["emptyDirMounts"]
        for label, told in executors.items()
        if "emptyDirMounts" in told
    }
    shared = {"volumeName": "memory", "mountPath": "/dev/shm", "medium": "Memory"}
    assert mounted == {"Trainer_executor": [shared]}


def test_a_training_on_a_tpu_has_its_own_image_and_no_other_device():
    tpu = {"accelerator": "tpu-v5-lite-podslice", "topology": "2x2", "chips": 4}
    nodes = {"Trainer": {"tpu": tpu, "image": "registry/effnet:1-tpu"}}
    spec, _ = yaml.safe_load_all(kfp_package(configured(nodes=nodes)))
    found = containers(spec)
    assert found["Trainer"]["image"] == "registry/effnet:1-tpu"
    assert found["Trainer"]["env"] == [{"name": "JAX_PLATFORMS", "value": "tpu,cpu"}]
    assert {found[node]["image"] for node in found if node != "Trainer"} == {"registry/effnet:1"}


def test_where_several_pods_train_the_trainers_task_awaits_them():
    volume = {"claim": "effnet", "path": "/mnt"}
    trainer = {"gpu": {"count": 2, "type": "nvidia-l4"}, "memory_limit": "64Gi"}
    config = configured(
        placement={"volumes": [volume], "memory_limit": "4Gi"},
        nodes={"Trainer": trainer},
        workers={"count": 4, "shared": "/mnt/shared"},
    )
    spec, platform = yaml.safe_load_all(kfp_package(config))
    tasks = spec["components"][INNER]["dag"]["tasks"]
    told = {
        node: task["inputs"]["parameters"].get(f"{PREFIX}workers") for node, task in tasks.items()
    }
    assert [node for node, value in told.items() if value] == ["Trainer"]
    workers = KubeflowConfig.parse_json(told["Trainer"]["runtimeValue"]["constant"])
    assert workers.workers.count == 4
    assert workers.placement == config.kubeflow.placement_of("Trainer")
    parameters = tasks["Trainer"]["inputs"]["parameters"]
    custom = json.loads(parameters["custom_config"]["runtimeValue"]["constant"])
    assert custom["checkpoints"] == "/mnt/shared/checkpoints"
    # Its own pod takes no machine from those that train.
    assert containers(spec)["Trainer"]["resources"] == {"resourceMemoryLimit": "4Gi"}
    executors = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    assert executors["Trainer_executor"].keys() == {"pvcMount"}
    # What the last task is told is a configuration, too.
    exit_task = spec["root"]["dag"]["tasks"][EXIT_TASK]["inputs"]["parameters"]
    PipelineConfig.parse_json(exit_task[f"{PREFIX}config"]["runtimeValue"]["constant"])


def test_texts_that_yaml_1_2_takes_for_numbers_are_quoted():
    """PyYAML reads YAML 1.1, in which 1e3 is a text; to the backend it is a number."""
    text = kfp_package(configured(nodes={"Trainer": {"env": {"A": "1e3"}}}))
    assert 'value: "1e3"' in text


def test_vertex_takes_a_pipeline_job_of_schema_2_0_0():
    job = pipeline_spec_pb2.PipelineJob()
    json_format.Parse(vertex_package(CONFIG), job)
    spec = json_format.ParseDict(
        json_format.MessageToDict(job.pipeline_spec), pipeline_spec_pb2.PipelineSpec()
    )
    assert spec.schema_version == "2.0.0"
    assert job.runtime_config.gcs_output_directory == "gs://bucket/artifacts"
    assert job.runtime_config.parameters["gate_1_accuracy_min"].double_value == 0.7
    assert set(spec.root.input_definitions.parameters) == set(job.runtime_config.parameters)


def test_vertex_is_told_of_machines_in_its_own_way():
    gpu = {"count": 1, "type": "nvidia-tesla-t4"}
    own = {"cpu_limit": "4", "memory_limit": "16Gi", "gpu": gpu}
    job = json.loads(vertex_package(configured(nodes={"Trainer": own})))
    resources = containers(job["pipelineSpec"])["Trainer"]["resources"]
    assert resources == {
        "cpuLimit": 4.0,
        "memoryLimit": pytest.approx(17.179869184),
        "accelerator": {"type": "NVIDIA_TESLA_T4", "count": "1"},
    }


def test_vertex_refuses_what_only_a_cluster_has():
    config = configured(nodes={"Trainer": {"node_selector": {"disk": "ssd"}}})
    with pytest.raises(ConfigError, match=r"Trainer: node_selector can't be had on Vertex AI"):
        vertex_package(config)


def runner_and_place(config, node):
    """Of a data node: Beam's runner, of which the last one named counts, and its artifacts'."""
    spec = next(yaml.safe_load_all(kfp_package(config)))
    runners = [a for a in containers(spec)[node]["args"] if a.startswith("--runner=")]
    told = spec["components"][INNER]["dag"]["tasks"][node]["inputs"]["parameters"]
    place = told.get(f"{PREFIX}artifacts", {"runtimeValue": {"constant": None}})
    return runners[-1].removeprefix("--runner="), place["runtimeValue"]["constant"]


def test_data_nodes_are_told_where_workers_find_their_artifacts():
    server = {"endpoint": "jobs:8099", "shared": "/mnt/shared"}
    config = beam_configured(runner="flink", job_server=server)
    for node in ("ImageExampleGen", "StatisticsGen", "Transform", "Evaluator"):
        assert runner_and_place(config, node) == ("PortableRunner", "/mnt/shared")


def test_what_dataflow_can_not_do_stays_in_its_task():
    where = {"project": "acme-vision", "region": "europe-west4", "image": "registry/effnet:1"}
    config = beam_configured(
        runner="dataflow", dataflow={**where, "temp_location": "gs://bucket/tmp"}
    )
    for node in ("StatisticsGen", "Transform"):
        assert runner_and_place(config, node) == ("DataflowRunner", "address")
    for node in ("ImageExampleGen", "Evaluator"):
        assert runner_and_place(config, node) == ("FnApiRunner", None)


def beam_configured(**beam):
    given = CONFIG.model_dump(by_alias=True, mode="json")
    return PipelineConfig.parse({**given, "beam": beam})

import pytest
from apache_beam.options.pipeline_options import (
    DirectOptions,
    FlinkRunnerOptions,
    GoogleCloudOptions,
    PipelineOptions,
    PortableOptions,
    StandardOptions,
    WorkerOptions,
)

from components.errors import ConfigError
from pipeline.beam_config import BeamConfig

JOB_SERVER = {"endpoint": "jobs:8099", "shared": "/mnt/shared"}
DATAFLOW = {
    "project": "acme-vision",
    "region": "europe-west4",
    "temp_location": "gs://acme/tmp",
    "image": "registry.example/effnet:1",
}


def options(**settings: object) -> PipelineOptions:
    """What Beam reads out of the arguments; one that it doesn't know raises."""
    arguments = list(BeamConfig.parse(settings).arguments)
    read = PipelineOptions(arguments)
    assert set(read.get_all_options(drop_default=True, retain_unknown_options=True)) == set(
        read.get_all_options(drop_default=True)
    )
    return read


def test_the_default_is_one_process_of_this_machine():
    read = options()

    assert read.view_as(StandardOptions).runner == "FnApiRunner"
    assert read.view_as(DirectOptions).direct_running_mode == "in_memory"


def test_workers_of_this_machine_are_processes():
    direct = options(workers=3).view_as(DirectOptions)

    assert (direct.direct_running_mode, direct.direct_num_workers) == ("multi_processing", 3)


def test_flink_is_reached_by_a_job_server_and_worker_pools():
    read = options(runner="flink", workers=8, job_server=JOB_SERVER)

    portable = read.view_as(PortableOptions)
    assert read.view_as(StandardOptions).runner == "PortableRunner"
    assert portable.job_endpoint == "jobs:8099"
    assert (portable.environment_type, portable.environment_config) == (
        "EXTERNAL",
        "localhost:50000",
    )
    assert read.view_as(FlinkRunnerOptions).parallelism == 8


def test_spark_has_its_own_parallelism():
    read = options(runner="spark", job_server=JOB_SERVER)

    assert read.view_as(PortableOptions).job_endpoint == "jobs:8099"
    assert read.view_as(FlinkRunnerOptions).parallelism == -1


def test_dataflow_gets_what_a_job_needs():
    read = options(
        runner="dataflow",
        workers=5,
        dataflow={**DATAFLOW, "public_ips": False, "machine_type": "n2-standard-4"},
    )

    cloud, workers = read.view_as(GoogleCloudOptions), read.view_as(WorkerOptions)
    assert (cloud.project, cloud.region) == ("acme-vision", "europe-west4")
    assert cloud.temp_location == "gs://acme/tmp"
    assert workers.sdk_container_image == "registry.example/effnet:1"
    assert (workers.max_num_workers, workers.machine_type) == (5, "n2-standard-4")
    assert workers.use_public_ips is False


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"runner": "flnk"}, "unknown Beam runner 'flnk': did you mean 'flink'"),
        ({"runner": "flink"}, "flink needs job_server with endpoint, shared"),
        ({"runner": "dataflow"}, "needs dataflow with project, region, temp_location, image"),
        ({"dataflow": DATAFLOW}, "dataflow is used by dataflow only, and runner is local"),
        ({"job_server": JOB_SERVER}, "job_server is used by flink and spark only"),
        ({"extra_arguments": ["--runner=FlinkRunner"]}, "--runner .* beam.runner sets it"),
        ({"extra_arguments": ["streaming"]}, "an argument reads --name=value"),
        ({"runner": "flink", "job_server": {**JOB_SERVER, "endpoint": "http://x"}}, "endpoint"),
        ({"runner": "flink", "job_server": {**JOB_SERVER, "shared": "data"}}, "shared"),
        (
            {"runner": "dataflow", "dataflow": {**DATAFLOW, "temp_location": "/tmp"}},
            "temp_location",
        ),
        ({"runner": "dataflow", "dataflow": {**DATAFLOW, "regoin": "x"}}, "did you mean 'region'"),
    ],
)
def test_what_a_runner_lacks_is_told(settings, told):
    with pytest.raises(ConfigError, match=told):
        BeamConfig.parse(settings)


def test_a_secret_is_not_shown_with_another_wrong_argument():
    secret = "--s3_secret_access_key=hunter2"
    for other in ("--runner=x", "streaming"):
        with pytest.raises(ConfigError) as error:
            BeamConfig.parse({"extra_arguments": [other, secret]})
        assert "hunter2" not in str(error.value)


def test_an_argument_that_is_a_secret_is_refused_and_not_shown():
    with pytest.raises(ConfigError, match="--s3_secret_access_key looks like a secret") as error:
        BeamConfig.parse({"extra_arguments": ["--s3_secret_access_key=hunter2"]})
    assert "hunter2" not in str(error.value)

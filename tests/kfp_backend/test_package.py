"""What the backend refuses before anything runs."""

from pathlib import Path
from typing import Any

import pytest

from tests.kfp_backend.draft import Draft
from tests.kfp_backend.package import PackageError, read_package, run_parameters

GOLDEN = Path(__file__).parents[1] / "golden" / "kfp.yaml"


def _older(spec: dict[str, Any]) -> None:
    spec["schemaVersion"] = "2.0.0"


def _unknown_field(spec: dict[str, Any]) -> None:
    spec["root"]["dag"]["tasks"]["work"]["lifecycle"] = {}


def _resolver(spec: dict[str, Any]) -> None:
    spec["deploymentSpec"]["executors"]["exec-work"] = {"resolver": {}}


def _custom_job(spec: dict[str, Any]) -> None:
    spec["deploymentSpec"]["executors"]["exec-work"] = {"customJob": {"customJob": {}}}


def _no_task_name(spec: dict[str, Any]) -> None:
    spec["root"]["dag"]["tasks"]["work"]["taskInfo"] = {}


def _underscore(spec: dict[str, Any]) -> None:
    tasks = spec["root"]["dag"]["tasks"]
    tasks["hard_work"] = tasks.pop("work")


def _only_exit(spec: dict[str, Any]) -> None:
    policy = {"strategy": "ALL_UPSTREAM_TASKS_COMPLETED"}
    spec["root"]["dag"]["tasks"]["work"]["triggerPolicy"] = policy


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (_older, "only supports schema version 2.1.0"),
        (_unknown_field, 'no field named "lifecycle"'),
        (_resolver, "non-container and non-importer executor not implemented"),
        (_custom_job, "non-container and non-importer executor not implemented"),
        (_no_task_name, "no taskInfo.name"),
        (_underscore, "Argo takes no such name"),
        (_only_exit, "one or more non-exit tasks"),
    ],
)
def test_what_the_backend_refuses(tmp_path: Path, spoil: Any, message: str) -> None:
    draft = Draft()
    draft.task("work", "true")
    draft.package(tmp_path)
    spoil(draft.spec)
    with pytest.raises(PackageError, match=message):
        draft.package(tmp_path)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "epochs is not optional"),
        ({"epochs": "3"}, "requires type NUMBER_INTEGER"),
        ({"epochs": 3, "epoch": 3}, "not required by pipeline: .'epoch'"),
    ],
)
def test_parameters_that_the_backend_refuses(
    tmp_path: Path, given: dict[str, Any], message: str
) -> None:
    draft = Draft(epochs={"parameterType": "NUMBER_INTEGER"})
    draft.task("work", "true")
    with pytest.raises(PackageError, match=message):
        run_parameters(draft.package(tmp_path), given)


def test_the_pipeline_is_accepted_with_its_defaults() -> None:
    package = read_package(GOLDEN)
    assert {"ImageExampleGen", "Trainer", "Pusher"} <= set(package.spec.components)
    assert set(package.kubernetes) == set(package.executors)
    values = run_parameters(package, {})
    assert set(values) == set(package.spec.root.input_definitions.parameters)

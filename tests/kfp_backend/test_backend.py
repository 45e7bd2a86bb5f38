"""The rules of the backend, on packages of a few shell commands."""

import contextlib
from pathlib import Path
from typing import Any

import pytest

from tests.kfp_backend.backend import Backend, Run
from tests.kfp_backend.draft import ARTIFACT, STRING, Draft
from tests.kfp_backend.metadata import FAILED, OMITTED, SKIPPED, SUCCEEDED
from tests.kfp_backend.processes import ColdProcesses, ForkedProcesses


@pytest.fixture
def backend(tmp_path: Path) -> Backend:
    return Backend(tmp_path / "cluster", ColdProcesses())


def states(run: Run) -> dict[str, str]:
    return {name: task.state for name, task in run.tasks.items()}


def after(*names: str) -> dict[str, Any]:
    return {"dependentTasks": list(names)}


def from_task(task: str, key: str) -> dict[str, Any]:
    return {"taskOutputArtifact": {"producerTask": task, "outputArtifactKey": key}}


def test_an_artifact_goes_through_the_object_store(backend: Backend, tmp_path: Path) -> None:
    draft = Draft(word={"parameterType": "STRING", "defaultValue": "by default"})
    draft.task(
        "make",
        'mkdir "$1" "$1/empty" && printf "$2" > "$1/file"',
        ("sh", "{{$.outputs.artifacts['thing'].path}}", "{{$.inputs.parameters['word']}}"),
        inputs={"parameters": {"word": {"componentInputParameter": "word"}}},
        definitions={"parameters": {"word": STRING}},
        outputs={"artifacts": {"thing": ARTIFACT}},
    )
    draft.task(
        "take",
        'ls "$1" && cat "$1/file" && printf "%s" "$2"',
        ("sh", "{{$.inputs.artifacts['thing'].path}}", "{{$}}"),
        inputs={"artifacts": {"thing": from_task("make", "thing")}},
        definitions={"artifacts": {"thing": ARTIFACT}},
    )
    run = backend.run(draft.package(tmp_path), {"word": "given"})
    assert states(run) == {"make": SUCCEEDED, "take": SUCCEEDED}
    said = backend.logs(run, "take")
    assert said.startswith("file\ngiven{")  # an empty folder is no object
    assert '"instanceSchema": ""' in said
    assert '"uri": "minio://mlpipeline/v2/artifacts/drafted/' in said
    assert "executor-logs-0" in said


def test_whole_numbers_are_written_as_go_writes_them(backend: Backend, tmp_path: Path) -> None:
    draft = Draft()
    constants = {"number": 3, "share": 0.5, "run": "{{$.pipeline_job_uuid}}", "flag": True}
    types = {
        "number": "NUMBER_INTEGER",
        "share": "NUMBER_DOUBLE",
        "run": "STRING",
        "flag": "STRING",
    }
    draft.task(
        "say",
        'printf "%s %s %s %s" "$@"',
        ("sh", *(f"{{{{$.inputs.parameters['{key}']}}}}" for key in constants)),
        inputs={"parameters": {k: {"runtimeValue": {"constant": v}} for k, v in constants.items()}},
        definitions={"parameters": {key: {"parameterType": kind} for key, kind in types.items()}},
    )
    run = backend.run(draft.package(tmp_path))
    assert backend.logs(run, "say") == f"3 0.5 {run.info.id} true"


def test_a_failed_task_is_tried_again_and_what_needs_it_is_left_out(
    backend: Backend, tmp_path: Path
) -> None:
    draft = Draft()
    retry = {"retryPolicy": {"maxRetryCount": 2, "backoffDuration": "10s", "backoffFactor": 2}}
    draft.task("fails", 'echo "attempt $KFP_RETRY_INDEX"; exit 7', **retry)
    draft.task("second", '[ "$KFP_RETRY_INDEX" = 1 ]', **retry)
    draft.task("needs-it", "true", **after("fails", "second"))
    draft.task("needs-that", "true", **after("needs-it"))
    draft.task("apart", "true", **after("second"))
    run = backend.run(draft.package(tmp_path))
    assert run.state == FAILED
    assert states(run) == {
        "fails": FAILED,
        "second": SUCCEEDED,
        "needs-it": OMITTED,
        "needs-that": OMITTED,
        "apart": SUCCEEDED,
    }
    assert run.tasks["fails"].exit_codes == [7, 7, 7]
    assert run.tasks["second"].exit_codes == [1, 0]
    assert backend.logs(run, "fails") == "attempt 2\n"


def nested(draft: Draft, inner: dict[str, Any], **spec: Any) -> None:
    draft.spec["components"]["comp-inner"] = {"dag": {"tasks": inner}}
    draft.tasks["inner"] = {
        "componentRef": {"name": "comp-inner"},
        "taskInfo": {"name": "inner"},
        **spec,
    }


@pytest.mark.parametrize(("script", "state"), [("true", SUCCEEDED), ("false", FAILED)])
def test_an_exit_task_runs_whatever_happened(
    backend: Backend, tmp_path: Path, script: str, state: str
) -> None:
    draft = Draft()
    inner: dict[str, Any] = {}
    draft.task("work", script, dag=inner)
    draft.task("more", "true", dag=inner, **after("work"))
    nested(draft, inner, retryPolicy={"maxRetryCount": 1})
    draft.task(
        "finish",
        "echo done; exit 1",  # which does not change what the run came to
        triggerPolicy={"strategy": "ALL_UPSTREAM_TASKS_COMPLETED"},
        **after("inner"),
    )
    run = backend.run(draft.package(tmp_path))
    assert run.state == state
    assert backend.logs(run, "finish") == "done\n"
    assert run.tasks["work"].exit_codes == ([0] if state == SUCCEEDED else [1, 1])
    assert run.tasks["more"].state == (SUCCEEDED if state == SUCCEEDED else OMITTED)


def test_a_condition_that_is_false_skips_and_the_run_succeeds(
    backend: Backend, tmp_path: Path
) -> None:
    draft = Draft()
    draft.task(
        "decide",
        'printf "%s" unchanged > "$1"',
        ("sh", "{{$.outputs.parameters['decision'].output_file}}"),
        outputs={"parameters": {"decision": STRING}},
    )
    decision = {"taskOutputParameter": {"producerTask": "decide", "outputParameterKey": "decision"}}
    for name, wanted in (("train", "changed"), ("tell", "unchanged")):
        draft.task(
            name,
            "true",
            inputs={"parameters": {"decision": decision}},
            definitions={"parameters": {"decision": STRING}},
            triggerPolicy={"condition": f"inputs.parameter_values['decision'] == '{wanted}'"},
        )
    draft.task("push", "true", **after("train"))
    run = backend.run(draft.package(tmp_path))
    assert run.state == SUCCEEDED
    assert states(run) == {
        "decide": SUCCEEDED,
        "train": SKIPPED,
        "tell": SUCCEEDED,
        "push": OMITTED,
    }


def test_an_output_parameter_that_was_not_written_fails(backend: Backend, tmp_path: Path) -> None:
    draft = Draft()
    draft.task("silent", "true", outputs={"parameters": {"decision": STRING}})
    run = backend.run(draft.package(tmp_path))
    assert run.state == FAILED
    assert "failed to read output parameter 'decision'" in run.tasks["silent"].reason


def test_the_cache_knows_inputs_by_their_number(backend: Backend, tmp_path: Path) -> None:
    """An ingestion that is never cached makes everything behind it run again."""

    def drafted(cached: bool) -> Draft:
        draft = Draft()
        for name, before in (("ingest", None), ("train", "ingest")):
            artifacts = {"thing": from_task(before, "thing")} if before else {}
            draft.task(
                name,
                'printf same > "$1"',
                ("sh", "{{$.outputs.artifacts['thing'].path}}"),
                inputs={"artifacts": artifacts},
                definitions={"artifacts": dict.fromkeys(artifacts, ARTIFACT)},
                outputs={"artifacts": {"thing": ARTIFACT}},
                cachingOptions={"enableCache": True} if before or cached else {},
            )
        return draft

    for cached in (True, False):
        package = drafted(cached).package(tmp_path)
        backend.run(package)
        again = backend.run(package)
        assert {name: task.cached for name, task in again.tasks.items()} == {
            "ingest": cached,
            "train": cached,
        }


def test_placement_reaches_the_pod(backend: Backend, tmp_path: Path) -> None:
    draft = Draft()
    draft.task("reads", 'printf "%s" "$KEY"')
    draft.task("hangs", "sleep 60")
    name = {"secretNameParameter": {"runtimeValue": {"constant": "store"}}, "optional": False}
    pair = {"secretKey": "key", "envVar": "KEY"}
    draft.placements = {
        "exec-reads": {"secretAsEnv": [{"keyToEnv": [pair], **name}]},
        "exec-hangs": {"activeDeadlineSeconds": 1},
    }
    package = draft.package(tmp_path)
    run = backend.run(package)
    assert "no key 'key' in secret 'store'" in run.tasks["reads"].reason
    assert run.tasks["hangs"].exit_codes == [-9]
    backend.secrets = {"store": {"key": "hush"}}
    assert backend.logs(backend.run(package), "reads") == "hush"


def test_a_forked_task_is_the_module_with_its_arguments(tmp_path: Path) -> None:
    draft = Draft()
    draft.task("cold", "python -m json.tool /dev/null")
    draft.executors["exec-cold"]["container"]["command"] = ["python", "-m", "this"]
    draft.task("wrong", "")
    draft.executors["exec-wrong"]["container"]["command"] = ["python", "-m", "json.tool", "nowhere"]
    with contextlib.ExitStack() as stack:
        processes = stack.enter_context(ForkedProcesses.started("json"))
        backend = Backend(tmp_path / "cluster", processes)
        run = backend.run(draft.package(tmp_path))
    assert "Beautiful is better than ugly." in backend.logs(run, "cold")
    assert run.tasks["wrong"].exit_codes == [2]
    assert "nowhere" in backend.logs(run, "wrong")

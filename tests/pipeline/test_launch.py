import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from components.errors import OutputError
from pipeline.clean import clear_scratch
from pipeline.launch import launch
from pipeline.layout import Output, new_run_id
from pipeline.lock import hold
from pipeline.options import effective_config
from pipeline.progress import Progress
from pipeline.supervisor import supervise

REQUIRED = {
    "run_id",
    "verdict",
    "rules",
    "metrics",
    "images",
    "backbone",
    "seconds",
    "pushed_path",
    "versions",
}

# A command that runs the stand-in: output folder, stand-in, scenario.
DRIVER = """
import sys
from pipeline.config import PipelineConfig
from pipeline.launch import Request, launch
from pipeline.layout import Output
from pipeline.terminal import make_display
output, stand_in, scenario = sys.argv[1:]
request = Request(PipelineConfig(), "/data", Output.at(output), wait=0)
command = [sys.executable, stand_in, scenario]
summary = launch(request, make_display(sys.stdout, False), lambda run, request: command)
sys.exit(summary.exit_status)
"""


def eventually(condition, seconds=20):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.05)


def is_gone(pid):
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return True
    return state == "Z"


def written_summary(output):
    (run,) = output.all_runs()
    return json.loads(run.summary.read_text())


@pytest.mark.parametrize(
    ("scenario", "verdict", "status"),
    [
        ("pushed", "pushed", 0),
        ("unchanged", "unchanged", 0),
        ("refused", "refused", 3),
        ("input", "failed", 2),
        ("fault", "failed", 1),
        ("killed", "failed", 1),
        ("silent", "failed", 1),
        ("torn", "failed", 1),
        ("crash_after_push", "pushed", 0),
    ],
)
def test_every_end_of_the_child_has_its_verdict_status_and_summary(
    scenario, verdict, status, request_to_run, recorder, stand_in
):
    summary = launch(request_to_run, recorder, stand_in(scenario))

    assert (summary.verdict, summary.exit_status) == (verdict, status)
    written = written_summary(request_to_run.output)
    assert written == json.loads(summary.to_json())
    assert written.keys() >= REQUIRED
    assert written["seconds"]["total"] > 0
    assert (written["error"] is None) == (verdict != "failed")


def test_a_summary_tells_nodes_images_and_versions(request_to_run, recorder, stand_in):
    summary = launch(request_to_run, recorder, stand_in("pushed"))

    assert summary.seconds.keys() == {"ImageExampleGen", "Trainer", "total"}
    assert summary.images.model_dump() == {"train": 70, "val": 10, "test": 20, "rejected": 1}
    assert summary.pushed_path == "/serving/model/1"
    assert "tfx" in summary.versions
    assert len(summary.warnings) == 1


def test_the_effective_configuration_stands_beside_the_summary(request_to_run, recorder, stand_in):
    launch(request_to_run, recorder, stand_in("refused"))

    (run,) = request_to_run.output.all_runs()
    assert effective_config(run.config) == request_to_run.config


def test_a_killed_child_is_told_with_the_end_of_its_log(request_to_run, recorder, stand_in):
    summary = launch(request_to_run, recorder, stand_in("killed"))

    assert summary.error is not None
    assert "SIGKILL" in summary.error.message
    assert "memory" in summary.error.message
    assert "log of the libraries" in summary.error.message
    assert summary.images.train == 70
    assert recorder.progress.nodes["Trainer"].state == "failed"
    assert recorder.progress.nodes["Pusher"].state == "waiting"


def test_torn_events_cost_only_themselves(request_to_run, recorder, stand_in):
    summary = launch(request_to_run, recorder, stand_in("torn"))

    assert recorder.events[-2:] == ["epoch", "node_failed"]
    assert summary.seconds["ImageExampleGen"] >= 0


def test_a_chatty_child_neither_blocks_nor_reaches_the_terminal(
    request_to_run, recorder, stand_in, capfd
):
    summary = launch(request_to_run, recorder, stand_in("flood"))

    assert summary.verdict == "pushed"
    assert len(recorder.log) == 2 * 50_001 + 1
    assert capfd.readouterr() == ("", "")


def test_a_child_that_cannot_start_is_a_fault(request_to_run, recorder):
    summary = launch(request_to_run, recorder, lambda run, request: ["/no/such/program"])

    assert summary.exit_status == 1
    assert "/no/such/program" in written_summary(request_to_run.output)["error"]["message"]


def test_a_summary_that_cannot_be_written_is_still_told(request_to_run, recorder, stand_in):
    def make_command(run, request):
        run.summary.mkdir()  # stands in its place, as a full disk would
        return stand_in("pushed")(run, request)

    summary = launch(request_to_run, recorder, make_command)

    assert summary.verdict == "pushed"
    assert "could not be written" in recorder.notes[-1]


def test_an_output_that_is_a_file_is_bad_input(request_to_run, recorder, stand_in):
    request_to_run.output.root.write_text("in the way")

    with pytest.raises(OutputError, match="can't be written to"):
        launch(request_to_run, recorder, stand_in("pushed"))


def test_runs_get_ids_that_sort_by_time(request_to_run, recorder, stand_in):
    first = launch(request_to_run, recorder, stand_in("pushed"))
    time.sleep(1)
    second = launch(request_to_run, recorder, stand_in("pushed"))

    assert [run.id for run in request_to_run.output.all_runs()] == [first.run_id, second.run_id]


def test_what_a_killed_run_left_in_scratch_is_removed(output, request_to_run, recorder, stand_in):
    output.scratch.mkdir(parents=True)
    (output.scratch / "shuffle").write_text("left behind")

    launch(request_to_run, recorder, stand_in("pushed"))

    assert not output.scratch.exists()
    clear_scratch(output)  # nothing there is fine, too


def start(
    output: Output, scenario: str, environment: dict[str, str], prefix: Sequence[str] = ()
) -> subprocess.Popen:
    stand_in = Path(__file__).parent / "stand_in.py"
    return subprocess.Popen(
        [*prefix, sys.executable, "-c", DRIVER, str(output.root), str(stand_in), scenario],
        env=environment,
        stdout=subprocess.DEVNULL,
        preexec_fn=hear_signals,
    )


def hear_signals() -> None:
    """Tests started in the background inherit that they ignore signals, which the command keeps."""
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)


def running_pids(output: Output) -> list[int]:
    def files():
        return [run.path / "pids" for run in output.all_runs() if (run.path / "pids").is_file()]

    eventually(lambda: files() and files()[0].read_text())
    return [int(pid) for pid in files()[0].read_text().split()]


def test_a_child_and_its_lock_do_not_outlive_a_killed_command(output, environment):
    command = start(output, "stubborn", environment)
    child, helper = running_pids(output)

    command.kill()
    command.wait()

    try:
        eventually(lambda: is_gone(child))
        with hold(output.lock, "test", 20, lambda text: None):
            pass
    finally:
        for pid in (child, helper):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def test_a_stopped_command_ends_child_and_helpers_and_tells_it(output, environment):
    command = start(output, "stubborn", environment)
    pids = running_pids(output)

    command.send_signal(signal.SIGINT)
    time.sleep(0.5)
    command.send_signal(signal.SIGINT)  # the child ignores the first: the second one ends it

    assert command.wait(20) == 1
    eventually(lambda: all(is_gone(pid) for pid in pids))
    summary = written_summary(output)
    assert summary["verdict"] == "failed"
    assert "SIGINT" in summary["error"]["message"]


def test_a_stubborn_child_is_ended_when_its_grace_is_over(request_to_run, recorder, stand_in):
    run = request_to_run.output.run(new_run_id())
    run.path.mkdir(parents=True)
    command = stand_in("stubborn")(run, request_to_run)
    progress = Progress(started=time.time())
    stopper = threading.Thread(target=interrupt_once_running, args=(request_to_run.output,))
    stopper.start()

    with hold(request_to_run.output.lock, "test", 0, pytest.fail) as lock:
        end = supervise(command, run, lock, progress, recorder, grace=0.2)

    stopper.join()
    assert (end.returncode, end.interrupted_by) == (-signal.SIGKILL, signal.SIGTERM)


def interrupt_once_running(output: Output) -> None:
    running_pids(output)
    os.kill(os.getpid(), signal.SIGTERM)


def test_a_run_under_nohup_outlives_its_terminal(output, environment):
    command = start(output, "stubborn", environment, prefix=["nohup"])
    pids = running_pids(output)

    command.send_signal(signal.SIGHUP)
    time.sleep(0.5)
    assert command.poll() is None
    command.send_signal(signal.SIGTERM)
    command.send_signal(signal.SIGTERM)

    assert command.wait(20) == 1
    eventually(lambda: all(is_gone(pid) for pid in pids))

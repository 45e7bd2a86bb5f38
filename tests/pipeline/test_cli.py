import functools
import json
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from pipeline import cli, demo, schema_app
from pipeline.launch import launch
from pipeline.lock import hold
from pipeline.options import effective_config
from pipeline.served import served_at

# Runs the command once, then names the heavy modules that it imported.
IMPORTS = """
import sys
from pipeline import cli
try:
    sys.argv[0] = "effnet"
    cli.main()
except SystemExit as error:
    print("status", error.code)
heavy = {"tensorflow", "tfx", "apache_beam", "keras", "numpy", "ml_metadata", "kfp"}
print("heavy", sorted(heavy & sys.modules.keys()))
"""


@pytest.fixture
def effnet():
    """Runs the command in this process."""
    return functools.partial(CliRunner().invoke, cli.app)


@pytest.fixture
def child_plays(monkeypatch, stand_in):
    """Makes the child of a run play a scenario; everything else is the command's own."""

    def play(scenario):
        played = functools.partial(launch, make_command=stand_in(scenario))
        monkeypatch.setattr(cli, "launch", played)

    return play


@pytest.fixture
def arguments(image_folders, output):
    return ["run", "--data", str(image_folders), "--output", str(output.root)]


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["--help"], 0),
        (["run", "--help"], 0),
        (["config"], 0),
        (["config", "--set", "splitz=1"], 2),
        (["run", "--data", "/", "--output", "/proc/none", "--set", "splits.val=x"], 2),
        (["run", "--data", "/no/such/data", "--output", "/proc/none"], 2),
        (["run", "--output", "x"], 2),
        (["predict", "--models", "/no/such/models", "a.jpg"], 2),
        (["schema", "diff", "--output", "x", "--set", "splits.val=x"], 2),
        (["serve", "--models", "/no/such/models", "--set", "max_imagez=1"], 2),
        (["models", "list", "--output", "/"], 2),
    ],
)
def test_neither_help_nor_errors_import_heavy_libraries(arguments, status, environment):
    done = subprocess.run(
        [sys.executable, "-c", IMPORTS, *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.endswith(f"status {status}\nheavy []\n")


@pytest.mark.parametrize(
    ("scenario", "status"),
    [
        ("pushed", 0),
        ("unchanged", 0),
        ("refused", 3),
        ("withheld", 3),
        ("input", 2),
        ("fault", 1),
        ("killed", 1),
    ],
)
def test_the_exit_status_tells_the_verdict(
    effnet, child_plays, arguments, output, scenario, status
):
    child_plays(scenario)

    result = effnet(arguments)

    assert result.exit_code == status
    assert "\x1b" not in result.output
    assert "next: " in result.stdout
    (run,) = output.all_runs()
    assert f"report: {run.report}\n" in result.stdout
    assert "[bold]cat[/bold]" in run.report.read_text(), "what the run warned of"
    assert run.id in output.index.read_text()


def test_a_run_may_be_told_to_look_first(effnet, child_plays, arguments, output):
    child_plays("unchanged")

    assert effnet([*arguments, "--if-changed", "--force"]).exit_code == 0
    assert effnet([*arguments, "--force", "--set", "retrain.force=false"]).exit_code == 0

    asked = [effective_config(run.config).retrain for run in output.all_runs()]
    assert {(one.if_changed, one.force) for one in asked} == {(True, True), (False, False)}


def test_a_hold_is_told_before_the_run_and_what_was_withheld_after_it(
    effnet, child_plays, arguments, output
):
    child_plays("withheld")
    output.serving("classifier").mkdir(parents=True)
    (output.serving("classifier") / ".hold").touch()

    result = effnet(arguments)

    assert "warning: pushing is on hold: the run judges and reports" in result.stdout
    assert "passed the gate, but was not pushed: on hold ([bold]cat" in result.stdout
    assert "next: what served before still serves" in result.stdout
    (run,) = output.all_runs()
    assert json.loads(run.summary.read_text())["withheld"].startswith("on hold")


def test_json_is_alone_on_stdout_and_the_same_as_the_file(effnet, child_plays, arguments, output):
    child_plays("refused")

    result = effnet([*arguments, "--json", "-v"])

    (run,) = output.all_runs()
    assert json.loads(result.stdout) == json.loads(run.summary.read_text())
    assert "Trainer: started" in result.stderr
    assert "log of the libraries" in result.stderr


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (["--data", "/no/such/data"], "doesn't exist"),
        (["--output", "/proc/none"], "can't be written to"),
        (["--output", "gs://bucket/x"], "must be a local folder"),
        (["--output", ""], "an empty path"),
        (["--data", ""], "an empty path"),
        (["--config", "/no/such/file"], "can't be read"),
        (["--backbone", "resnet"], "resnet"),
        (["--set", "beem=1"], "did you mean 'beam'"),
    ],
)
def test_bad_input_is_told_in_one_paragraph_and_as_json(effnet, arguments, wrong, told):
    result = effnet([*arguments, *wrong, "--json"])

    assert result.exit_code == 2
    assert told in result.stderr.splitlines()[-1]
    told_to_programs = json.loads(result.stdout)
    assert told_to_programs["verdict"] == "failed"
    assert told_to_programs["error"]["kind"] == "input"
    assert told in told_to_programs["error"]["message"]


def test_a_taken_output_ends_with_2_after_the_stated_time(effnet, arguments, output):
    with hold(output.lock, "run 7", 0, pytest.fail):
        result = effnet([*arguments, "--wait", "0.1"])

    assert result.exit_code == 2
    assert "waiting up to 0.1 s for run 7" in result.stdout
    assert "still taken by run 7" in result.stderr
    assert not output.all_runs()


def test_a_fault_of_the_command_itself_ends_with_1(effnet, arguments, monkeypatch):
    def fail(*_):
        raise RuntimeError("a defect")

    monkeypatch.setattr(cli, "preflight", fail)

    result = effnet([*arguments, "--json"])

    assert result.exit_code == 1
    assert json.loads(result.stdout)["error"]["message"] == "RuntimeError: a defect"
    assert "Traceback" in result.stderr


def test_the_demo_brings_its_data_and_tells_its_licence_once(effnet, child_plays, output):
    pytest.importorskip("elpv_dataset")
    child_plays("pushed")
    arguments = ["demo", "--output", str(output.root), "--json"]

    first, second = effnet(arguments), effnet(arguments)

    assert (first.exit_code, second.exit_code) == (0, 0)
    assert demo.LICENCE in first.stderr
    assert demo.LICENCE not in second.stderr
    assert json.loads(second.stdout)["data"] == str(demo.dataset(output))


def test_clean_bounds_the_runs(effnet, child_plays, arguments, output):
    child_plays("pushed")
    for _ in range(3):
        effnet(arguments)

    result = effnet(["clean", "--output", str(output.root), "--keep", "1"])

    assert result.exit_code == 0
    assert result.stdout.startswith("removed 2 runs")
    (run,) = output.all_runs()
    assert output.index.read_text().count("/report.html") == 1
    assert run.id in output.index.read_text()


@pytest.mark.parametrize(
    "command", [["clean", "--keep", "1"], ["schema", "diff"], ["schema", "accept"]]
)
def test_a_mistyped_output_is_told_and_not_made(effnet, output, command):
    result = effnet([*command, "--output", str(output.root)])

    assert result.exit_code == 2
    assert "there is no output folder" in result.stderr
    assert not output.root.exists()


def test_config_prints_what_a_run_reads(effnet, tmp_path):
    file = tmp_path / "config.yaml"
    file.write_text(effnet(["config", "--set", "splits.salt=s7"]).stdout)

    assert "\n  salt: s7\n" in effnet(["config", "--config", str(file)]).stdout


def test_the_version_is_told(effnet):
    result = effnet(["--version"])

    assert result.exit_code == 0
    assert result.stdout.startswith("effnet-tfx ")


def test_schema_commands_go_by_what_the_last_run_went_by(effnet, child_plays, arguments, output):
    child_plays("pushed")
    assert effnet([*arguments, "--set", "serving.model_name=hats"]).exit_code == 0
    place = served_at(str(output.root))
    settings = schema_app.settings_of_last_run(place, None, ["schema.on_anomaly=warn"])
    assert settings.serving.model_name == "hats"
    assert settings.data_schema.on_anomaly == "warn"

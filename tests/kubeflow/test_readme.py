"""What README.md and the manifests tell a user to write must be understood by the command."""

import re
import shlex
from pathlib import Path

import pytest
import typer
import yaml

from pipeline import cli
from pipeline.config import PipelineConfig

pytest.importorskip("pipeline.kubeflow_config")
pytest.importorskip("pipeline.kubeflow_commands")

FOLDER = Path(__file__).parents[2] / "kubeflow"
README = (FOLDER / "README.md").read_text(encoding="utf-8")
FENCED = re.compile(r"```\w*\n(.*?)```", re.DOTALL)
INLINE = re.compile(r"`([^`]+)`")
CODE = [line for block in FENCED.findall(README) for line in block.splitlines()]
CODE += [text.replace("\n", " ") for text in INLINE.findall(FENCED.sub("", README))]
COMMANDS = sorted(
    {found[0] for text in CODE if (found := re.search(r"(?<!\S)effnet [a-z].*", text))}
)
SNIPPETS = re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)


def _check(words):
    """Follows a command line through the command's own groups and options."""
    command = typer.main.get_command(cli.app)
    while words and words[0] in getattr(command, "commands", {}):
        command = command.commands[words.pop(0)]
    options = {name: each for each in command.params for name in each.opts if name[:2] == "--"}
    arguments = [each for each in command.params if each.param_type_name == "argument"]
    positional = []
    while words:
        name, equals, _ = words.pop(0).partition("=")
        if not name.startswith("--"):
            positional.append(name)
            continue
        assert name in options, f"{command.name} has no {name}"
        if not equals and not options[name].is_flag:
            assert words, f"{name} has no value"
            words.pop(0)
    assert len(positional) <= len(arguments), f"{command.name}: {positional}"


def test_there_are_commands_to_check():
    assert {"submit", "schedule", "compile", "models"} <= {line.split()[1] for line in COMMANDS}


@pytest.mark.parametrize("line", COMMANDS)
def test_a_command_of_the_readme_is_one(line):
    _check(shlex.split(line.split(" | ")[0])[1:])


def test_the_cron_jobs_arguments_are_the_commands(objects):
    job = objects["CronJob", "effnet-retrain"]["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    arguments = job["containers"][0]["args"]
    _check(list(arguments))
    (account,) = (text.partition("=")[2] for text in arguments if "account" in text)
    assert ("ServiceAccount", account) in objects
    (config,) = (text.partition("=")[2] for text in arguments if "config" in text)
    mounts = {each["mountPath"] for each in job["containers"][0]["volumeMounts"]}
    assert str(Path(config).parent) in mounts


@pytest.mark.parametrize("text", SNIPPETS)
def test_a_configuration_of_the_readme_is_one(text):
    assert PipelineConfig.parse(yaml.safe_load(text)) != PipelineConfig()


def test_an_overlays_configuration_fits_its_objects(objects, overlay):
    (data,) = (each["data"] for (kind, _), each in objects.items() if kind == "ConfigMap")
    config = PipelineConfig.parse(yaml.safe_load(data["config.yaml"]))
    pod = objects["Deployment", "effnet-toolbox"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert config.kubeflow.image == container["image"]
    serving = config.serving.kubernetes
    service = objects["InferenceService", serving.service_name]
    assert serving.namespace == service["metadata"]["namespace"]
    assert serving.runtime == service["spec"]["predictor"]["model"]["runtime"]
    place = f"serving/{config.serving.model_name}/7"
    if overlay == "volume":
        (volume,) = config.kubeflow.placement.volumes
        claims = {
            each["name"]: each["persistentVolumeClaim"]["claimName"]
            for each in pod["volumes"]
            if "persistentVolumeClaim" in each
        }
        mounted = {
            each["mountPath"]: claims.get(each["name"]) for each in container["volumeMounts"]
        }
        assert mounted[volume.path] == volume.claim
        inside = Path(config.kubeflow.output).relative_to(volume.path)
        assert serving.uri(7) == f"pvc://{volume.claim}/{inside}/{place}"
    else:
        (secret,) = config.kubeflow.placement.secret_env
        assert container["envFrom"] == [{"secretRef": {"name": secret.secret}}]
        account = service["spec"]["predictor"]["serviceAccountName"]
        assert objects["ServiceAccount", account]["secrets"] == [{"name": secret.secret}]
        assert serving.uri(7).rstrip("/") == f"{config.kubeflow.output}/{place}"

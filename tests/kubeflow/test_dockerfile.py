import fnmatch
import json
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
import setuptools
from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).parents[2]
FILE = ROOT / "kubeflow" / "Dockerfile"
PYTHON_OF_DEBIAN = {"trixie": "3.13"}
COMPILERS = {"g++", "gcc", "build-essential", "python3-dev"}


@pytest.fixture(scope="module")
def steps():
    """The instructions as pairs, with continued lines put together."""
    lines = FILE.read_text(encoding="utf-8").splitlines()
    text = "\n".join(line for line in lines if not line.startswith("#")).replace("\\\n", " ")
    return [tuple(line.split(None, 1)) for line in text.splitlines() if line.strip()]


@pytest.fixture(scope="module")
def last_stage(steps):
    begin = max(number for number, (word, _) in enumerate(steps) if word == "FROM")
    return steps[begin:]


@pytest.fixture(scope="module")
def metadata():
    """What setup.py tells setuptools."""
    told = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        patch.setattr(setuptools, "setup", lambda **given: told.update(given))
        runpy.run_path("setup.py")
    return told


def _given(steps, word):
    return [rest for each, rest in steps if each == word]


def test_it_passes_its_linter():
    hadolint = Path(sys.executable).with_name("hadolint")
    found = subprocess.run([hadolint, FILE], capture_output=True, text=True, check=False)
    assert (found.returncode, found.stdout) == (0, "")


def test_it_installs_extras_that_there_are(steps, metadata):
    (command,) = (run for run in _given(steps, "RUN") if "--extra" in run)
    words = command.split()
    named = {words[place + 1] for place, word in enumerate(words) if word == "--extra"}
    assert (
        {"kfp", "s3", "gcs"} <= named <= metadata["extras_require"].keys() | {'"${ACCELERATOR}"}'}
    )
    built = FILE.read_text(encoding="utf-8").split("ACCELERATOR=")[1:]
    variants = {text.split()[0] for text in built if text[0].isalpha()}
    assert variants == {"gpu", "tpu"} <= metadata["extras_require"].keys()


def test_debians_python_is_one_that_the_project_runs_on(steps, metadata):
    (base,) = (rest for rest in _given(steps, "ARG") if rest.startswith("BASE="))
    release = base.partition(":")[2].partition("-")[0]
    assert SpecifierSet(metadata["python_requires"]).contains(PYTHON_OF_DEBIAN[release])
    assert all(
        rest.startswith("${BASE}") or rest.startswith("dependencies")
        for rest in _given(steps, "FROM")
    )


def test_what_it_runs_is_what_the_project_installs(last_stage, metadata):
    (entrypoint,) = _given(last_stage, "ENTRYPOINT")
    (health,) = _given(last_stage, "HEALTHCHECK")
    scripts = [each.partition(" ")[0] for each in metadata["entry_points"]["console_scripts"]]
    assert json.loads(entrypoint)[-1] in scripts
    assert json.loads(health[health.index("[") :])[0] in scripts


def test_nothing_but_what_runs_is_left(last_stage):
    (installed,) = (run for run in _given(last_stage, "RUN") if "apt-get install" in run)
    assert not COMPILERS & set(installed.split())
    assert all(copied.startswith("--from=") for copied in _given(last_stage, "COPY"))


def test_it_runs_as_the_user_that_the_manifests_name(last_stage, kustomized):
    (user,) = _given(last_stage, "USER")
    uid, gid = map(int, user.split(":"))
    assert uid > 0
    pods = [
        each["spec"]["jobTemplate"]["spec"] if each["kind"] == "CronJob" else each["spec"]
        for each in kustomized("volume", cron=True)
        if each["kind"] in ("CronJob", "Deployment")
    ]
    for pod in pods:
        context = pod["template"]["spec"]["securityContext"]
        assert (context["runAsUser"], context["runAsGroup"], context["fsGroup"]) == (uid, gid, gid)


def test_the_context_holds_what_is_built_and_nothing_else(steps, metadata):
    patterns = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    kept = {line[1:] for line in patterns if line.startswith("!")}
    assert "*" in patterns
    packages = {name.partition(".")[0] for name in metadata["packages"]}
    copied = {name for rest in _given(steps, "COPY") for name in rest.split()[:-1]} - {"."}
    files = {name for name in copied if not name.startswith("-") and name[0] != "/"}
    assert packages | files <= kept
    for name in kept:
        assert (ROOT / name).exists()
        assert not any(fnmatch.fnmatch(name, secret) for secret in ("*.env", "*.pem", "*secret*"))

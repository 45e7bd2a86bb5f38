import functools
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

FOLDER = Path(__file__).parents[2] / "kubeflow"
OVERLAYS = ("volume", "object-store")
KUBECTL = Path(sys.executable).with_name("kubectl")


@pytest.fixture(scope="session")
def kustomized(tmp_path_factory):
    """Builds an overlay by kustomize, if asked with the CronJob; returns its objects."""

    @functools.cache
    def build(overlay, cron=False):
        folder = tmp_path_factory.mktemp("kubeflow") / "kubeflow"
        shutil.copytree(FOLDER, folder)
        file = folder / "overlays" / overlay / "kustomization.yaml"
        if cron:
            text = file.read_text(encoding="utf-8")
            changed = text.replace("components: []", "components: [../../cron]")
            assert changed != text
            file.write_text(changed, encoding="utf-8")
        built = subprocess.run(
            [KUBECTL, "kustomize", file.parent], check=True, capture_output=True, text=True
        )
        return list(yaml.safe_load_all(built.stdout))

    return build


@pytest.fixture(params=OVERLAYS)
def overlay(request):
    return request.param


@pytest.fixture
def objects(kustomized, overlay):
    """All objects that an overlay can have, by kind and name."""
    found = kustomized(overlay, cron=True)
    named = {(each["kind"], each["metadata"]["name"]): each for each in found}
    assert len(named) == len(found)
    return named

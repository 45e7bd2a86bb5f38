from pathlib import Path

import yaml

from components.pusher.kubernetes_config import KubernetesConfig
from pipeline.config import PipelineConfig

README = Path(__file__).parents[2] / "kubeflow" / "serving" / "README.md"


def test_the_readmes_configuration_fits_the_manifests(kustomized):
    text = README.read_text(encoding="utf-8")
    config = PipelineConfig.parse(yaml.safe_load(text.split("```yaml\n")[1].split("```")[0]))
    settings = config.serving.kubernetes
    assert isinstance(settings, KubernetesConfig)
    found = {each["kind"]: each for each in kustomized("volume")}
    service = found["InferenceService"]
    assert settings.namespace == service["metadata"]["namespace"]
    assert settings.service_name == service["metadata"]["name"]
    assert settings.runtime == found["ServingRuntime"]["metadata"]["name"]
    claim = found["PersistentVolumeClaim"]["metadata"]["name"]
    assert settings.uri(7) == f"pvc://{claim}/output/serving/{config.serving.model_name}/7"

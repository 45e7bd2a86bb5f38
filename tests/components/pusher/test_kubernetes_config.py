import pytest

from components.errors import ConfigError
from components.pusher.kubernetes_config import KubernetesConfig

NEEDED = {
    "namespace": "models",
    "service_name": "classifier",
    "storage_uri": "gs://bucket/classifier/{version}",
}


@pytest.mark.parametrize(
    ("template", "address"),
    [
        ("pvc://models/classifier/{version}", "pvc://models/classifier/12"),
        ("s3://bucket/{version}/model", "s3://bucket/12/model"),
        # Without the slash KServe would fetch 120 as well.
        ("s3://bucket/classifier/{version}", "s3://bucket/classifier/12/"),
        ("gs://bucket/classifier/{version}/", "gs://bucket/classifier/12/"),
    ],
)
def test_the_address_of_a_version_follows_the_template(template, address):
    assert KubernetesConfig.parse({**NEEDED, "storage_uri": template}).uri(12) == address


@pytest.mark.parametrize(
    ("setting", "value", "words"),
    [
        ("storage_uri", "gs://bucket/classifier", "not told of a new version"),
        ("storage_uri", "gs://bucket/{name}/{version}", "no other braces"),
        ("storage_uri", "/models/{version}", "must begin with one of pvc, gs"),
        ("steps", [10, 50], "must rise"),
        ("steps", [50, 10, 100], "must rise"),
        ("steps", [0, 100], "must rise"),
        ("steps", [], "must rise"),
        ("namespace", "Models", "namespace"),
        ("service_name", "1st", "service_name"),
    ],
)
def test_what_can_not_work_is_refused_before_a_run(setting, value, words):
    with pytest.raises(ConfigError, match=words):
        KubernetesConfig.parse({**NEEDED, setting: value})


def test_a_password_in_the_address_is_refused_and_not_repeated():
    with pytest.raises(ConfigError, match="service account's secret") as error:
        KubernetesConfig.parse({**NEEDED, "storage_uri": "https://me:pass@host/{version}"})
    assert "pass@" not in str(error.value)

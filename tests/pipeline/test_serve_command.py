"""What `effnet serve` checks itself, and what it hands to the server."""

import subprocess
import sys
from pathlib import Path

import pytest

from components.errors import ConfigError
from pipeline.serve_command import server_config


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ("max_imagez=16", "unknown setting 'max_imagez': did you mean 'max_images'?"),
        ("max_images.x=16", "unknown setting 'max_images.x': did you mean 'max_images'?"),
        ("max_images=many", "max_images: .*received: 'many'"),
        ("max_images=0", "max_images: .*greater than or equal to 1"),
        ("max_images", "--set takes key.path=value, received 'max_images'; e.g. .*max_images=16"),
    ],
)
def test_a_wrong_setting_is_told_with_what_is_allowed(wrong: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        server_config([wrong], models=Path("/none"))


def test_later_settings_win() -> None:
    config = server_config(["port=1", "max_images=3"], models=Path("/none"), port=8)
    assert (config.port, config.max_images, config.max_batch) == (1, 3, 32)


def test_a_wrong_port_is_told_before_the_server_starts_and_a_wrong_folder_by_the_server(
    tmp_path: Path,
) -> None:
    def effnet(*options: str) -> subprocess.CompletedProcess:
        command = [sys.executable, "-c", "from pipeline.cli import main; main()", "serve"]
        return subprocess.run([*command, *options], capture_output=True, text=True, timeout=120)

    port = effnet("--models", str(tmp_path), "--port", "65536")
    assert port.returncode == 2
    assert "error: the server can't be set up so: port: " in port.stderr
    absent = effnet("--models", str(tmp_path / "absent"), "--set", "poll_seconds=0.5")
    assert absent.returncode == 2
    assert f"{tmp_path / 'absent'} is no folder" in absent.stderr

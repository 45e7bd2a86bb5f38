"""uv takes its packages from where pip was told to."""

from tools import uv
from tools.uv import uv_environment

CONFIG = """\
:env:.find-links='/wheels /more wheels'
global.cert='/etc/company.pem'
global.extra-index-url='file:///srv/simple'
global.index-url='file:///srv/default'
global.timeout='60'
install.timeout='90'
list.format='json'
"""


def test_settings_are_carried_over():
    result = uv_environment(CONFIG, {"PATH": "/bin"})
    assert result["PATH"] == "/bin"
    assert result["UV_DEFAULT_INDEX"] == "file:///srv/default"
    assert result["UV_INDEX"] == "file:///srv/simple"
    assert result["UV_INDEX_STRATEGY"] == "unsafe-best-match"
    assert result["UV_FIND_LINKS"] == "/wheels,/more,wheels"
    assert result["SSL_CERT_FILE"] == "/etc/company.pem"
    assert result["UV_HTTP_TIMEOUT"] == "90"


def test_what_is_set_for_uv_goes_first():
    result = uv_environment(CONFIG, {"UV_DEFAULT_INDEX": "file:///mine", "UV_HTTP_TIMEOUT": "5"})
    assert result["UV_DEFAULT_INDEX"] == "file:///mine"
    assert result["UV_HTTP_TIMEOUT"] == "5"


def test_without_settings_only_patience_and_the_systems_certificates(tmp_path, monkeypatch):
    bundle = tmp_path / "certificates"
    monkeypatch.setattr(uv, "_SYSTEM_CERTIFICATES", bundle)
    assert uv_environment("", {}) == {"UV_HTTP_TIMEOUT": "180"}
    bundle.touch()
    assert uv_environment("", {})["UV_SYSTEM_CERTS"] == "true"
    assert "UV_SYSTEM_CERTS" not in uv_environment("", {"SSL_CERT_FILE": "/own"})

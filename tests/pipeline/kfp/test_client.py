"""The way to Kubeflow, by its SDK and a real HTTP server."""

import ssl
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from typer.testing import CliRunner

from components.errors import ClusterError
from pipeline import cli
from pipeline.kfp import client, sdk
from pipeline.kfp.client import UnavailableError, connect
from tests.http_server import serving
from tests.kubeflow_api import failure

SECRET = "verysecret"


def test_a_token_of_the_environment_is_sent(backend, monkeypatch):
    backend.token = SECRET
    monkeypatch.setenv(client.TOKEN_VARIABLE, f"{SECRET}\n")

    assert connect().namespace is None
    assert backend.asked[0].headers["authorization"] == f"Bearer {SECRET}"


def test_the_token_file_of_a_service_account_is_read_again_each_time(
    backend, monkeypatch, tmp_path
):
    file = tmp_path / "token"
    file.write_text("first\n")
    monkeypatch.setenv(client.TOKEN_FILE_VARIABLE, str(file))
    backend.token = "first"
    kubeflow = connect()

    file.write_text("second\n")
    backend.token = "second"

    kubeflow.ask(lambda sdk: sdk.list_runs())
    assert backend.asked[-1].headers["authorization"] == "Bearer second"


def test_cookies_of_a_login_are_sent(backend, monkeypatch):
    monkeypatch.setenv(client.COOKIES_VARIABLE, "authservice_session=abc")
    connect()
    assert backend.asked[0].headers["Cookie"] == "authservice_session=abc"


@pytest.mark.parametrize(
    ("status", "told"),
    [
        (401, "the token has expired.*EFFNET_KUBEFLOW_TOKEN"),
        (403, "does not allow it.*no rights here.*RoleBinding"),
        (400, r"refused \(400\): no rights here"),
    ],
)
def test_a_refusal_is_told_with_its_mend_at_once(backend, monkeypatch, status, told):
    monkeypatch.setenv(client.TOKEN_VARIABLE, SECRET)
    backend.trouble.append(("healthz", False, failure(status, "no rights here")))

    with pytest.raises(ClusterError, match=told) as error:
        connect()

    assert SECRET not in str(error.value)
    assert "\n" not in str(error.value)
    assert len(backend.asked) == 1


def test_an_outage_is_waited_for(backend):
    backend.trouble += [("healthz", False, failure(503, "starting"))] * 2
    connect()
    assert not backend.trouble
    backend.trouble += [("runs", False, failure(500, "database is away"))] * 9
    with pytest.raises(UnavailableError, match=r"unavailable \(500\): database is away"):
        connect().ask(lambda sdk: sdk.list_runs())
    assert len(backend.trouble) == 4, "five attempts"


def test_what_is_made_although_the_answer_was_lost_is_not_made_again(backend):
    kubeflow = connect()
    backend.trouble.append(("POST .*/experiments", True, failure(503, "connection reset")))

    def find(sdk):
        found = sdk.list_experiments().experiments
        return found[0] if found else None

    def make(sdk):
        import kfp_server_api

        body = kfp_server_api.V2beta1Experiment(display_name="new")
        return sdk._experiment_api.experiment_service_create_experiment(experiment=body)

    made = kubeflow.create(make, find)

    assert [row["experiment_id"] for row in backend.experiments] == [made.experiment_id]
    backend.trouble.append(("POST .*/experiments", False, failure(503, "connection reset")))
    kubeflow.create(make, lambda _: None)
    assert len(backend.experiments) == 2


def test_an_api_that_hangs_is_given_up(backend, monkeypatch):
    release = threading.Event()

    def hang(_):
        release.wait(20)
        return 200, {}

    monkeypatch.setattr(sdk, "_TIMEOUT", (5.0, 0.1))
    monkeypatch.setattr(client, "_ATTEMPTS", 2)
    with serving(hang) as (address, asked):
        monkeypatch.setenv(client.ENDPOINT_VARIABLE, address)
        with pytest.raises(UnavailableError, match="ReadTimeoutError"):
            connect()
        release.set()
    assert len(asked) == 2


def test_without_the_sdk_the_command_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "kfp", None)
    result = CliRunner().invoke(cli.app, ["schedule", "list"])
    assert result.exit_code == 2
    assert "pip install 'effnet-tfx[kfp]'" in result.stderr


def test_a_login_page_is_not_taken_for_kubeflow(monkeypatch, backend):
    with serving(lambda _: (200, "<html>login</html>")) as (address, _):
        monkeypatch.setenv(client.ENDPOINT_VARIABLE, address)
        with pytest.raises(ClusterError, match=r"a login page.*EFFNET_KUBEFLOW_COOKIES"):
            connect()
    with serving(lambda _: (302, None)) as (address, asked):
        monkeypatch.setenv(client.ENDPOINT_VARIABLE, address)
        with pytest.raises(ClusterError, match="a login page"):
            connect()
    assert len(asked) == 1


def test_without_an_endpoint_that_is_told(backend, monkeypatch):
    monkeypatch.delenv(client.ENDPOINT_VARIABLE)
    with pytest.raises(ClusterError, match=r"put its address in KF_PIPELINES_ENDPOINT.*port-forw"):
        connect()


def test_within_a_cluster_the_endpoint_is_known(backend, monkeypatch):
    monkeypatch.delenv(client.ENDPOINT_VARIABLE)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setattr(client, "_IN_CLUSTER", backend.endpoint)
    assert connect().endpoint == backend.endpoint


@pytest.mark.parametrize(
    ("endpoint", "told"),
    [
        ("http://user:verysecret@host", "holds a user or password"),
        ("http://127.0.0.1:1", r"can't be reached \(NewConnectionError\)"),
        ("http://[x", "is no address"),
    ],
)
def test_a_wrong_endpoint_is_told(backend, monkeypatch, endpoint, told):
    monkeypatch.setenv(client.ENDPOINT_VARIABLE, endpoint)
    with pytest.raises((ClusterError, UnavailableError), match=told) as error:
        connect()
    assert SECRET not in str(error.value)


@pytest.mark.parametrize("variable", [client.TOKEN_FILE_VARIABLE, client.CERTIFICATES_VARIABLE])
def test_a_file_that_is_not_there_is_told(backend, monkeypatch, variable):
    monkeypatch.setenv(variable, "/nowhere")
    with pytest.raises(ClusterError, match=f"{variable} names the file '/nowhere', which is not"):
        connect()


def test_a_shared_kubeflow_wants_a_namespace(backend):
    backend.multi_user = True
    with pytest.raises(ClusterError, match="--namespace"):
        connect()
    assert connect("team-a").namespace == "team-a"


@pytest.fixture
def certificate(tmp_path):
    """A certificate that nobody vouches for, and its key."""
    files = ["-keyout", str(tmp_path / "key.pem"), "-out", str(tmp_path / "certificate.pem")]
    names = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    subprocess.run([*command, *files, *names], check=True, capture_output=True)
    return tmp_path / "certificate.pem", tmp_path / "key.pem"


@pytest.fixture
def secure_endpoint(certificate):
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b'{"multi_user": false}')

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.handle_error = lambda *_: None
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield f"https://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_an_authority_of_ones_own_is_named_by_its_file(
    backend, monkeypatch, secure_endpoint, certificate
):
    monkeypatch.setenv(client.ENDPOINT_VARIABLE, secure_endpoint)
    with pytest.raises(ClusterError, match=r"CERTIFICATE_VERIFY_FAILED.*SSL_CERT_FILE"):
        connect()
    monkeypatch.setenv(client.CERTIFICATES_VARIABLE, str(certificate[0]))
    assert connect().endpoint == secure_endpoint

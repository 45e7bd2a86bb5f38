"""Settings of the model server."""

from pathlib import Path

from pydantic import Field

from components.settings import Settings

_MIB = 1 << 20


class ServerConfig(Settings):
    """Which models are served, where, and within which limits."""

    models: Path = Field(
        description="a folder of models, or one model's folder of numbered versions"
    )
    host: str = Field("127.0.0.1", min_length=1, description="address that both ports listen on")
    port: int = Field(8080, ge=0, le=65535, description="REST port; 0: any free one")
    grpc_port: int = Field(8081, ge=0, le=65535, description="gRPC port; 0: any free one")
    max_body_bytes: int = Field(
        32 * _MIB, ge=1024, description="longer requests are refused before they are read"
    )
    body_seconds: float = Field(
        30.0, gt=0, description="until a request must have come in whole, from its beginning"
    )
    max_connections: int = Field(
        512, ge=1, description="to REST at once; more are told to come back"
    )
    max_images: int = Field(128, ge=1, description="images in one request")
    max_pixels: int = Field(50_000_000, ge=1, description="pixels of one image")
    max_request_pixels: int = Field(
        200_000_000, ge=1, description="pixels of all images of one request"
    )
    max_batch: int = Field(
        32, ge=1, description="images that one call of the model takes from several requests"
    )
    max_waiting: int = Field(
        128, ge=1, description="requests that wait for a model; more are told to come back"
    )
    poll_seconds: float = Field(1.0, gt=0, description="between two looks at the folders")
    grace_seconds: int = Field(
        30, ge=0, description="for requests in flight when the server is told to end"
    )
    end_with_stdin: bool = Field(False, description="end when standard input is closed")

    @property
    def url_host(self) -> str:
        """The address as URLs and gRPC write it: IPv6 in brackets."""
        return f"[{self.host}]" if ":" in self.host else self.host

"""KServe's gRPC service, on an address of choice and with limits."""

import traceback
from typing import Any

from grpc import aio
from kserve.protocol.dataplane import DataPlane
from kserve.protocol.grpc import grpc_predict_v2_pb2 as messages
from kserve.protocol.grpc import grpc_predict_v2_pb2_grpc as services
from kserve.protocol.grpc.interceptors import ExceptionToStatusInterceptor
from kserve.protocol.grpc.servicer import InferenceServicer
from kserve.protocol.model_repository_extension import ModelRepositoryExtension

from components.errors import InputError
from components.model_server.config import ServerConfig
from components.model_server.grpc_limits import Limits
from components.model_server.room import Room


class _Statuses(ExceptionToStatusInterceptor):
    """KServe's, which would keep what a refused request brought until the next collection."""

    async def handle_exception(
        self, ex: Exception, request_or_iterator: Any, context: Any, method_name: str
    ) -> None:
        traceback.clear_frames(ex.__traceback__)
        await super().handle_exception(ex, request_or_iterator, context, method_name)


class _Servicer(InferenceServicer):
    """Tells versions, which KServe's own does not."""

    async def ModelMetadata(  # noqa: N802 - as the protocol names it
        self, request: Any, context: Any
    ) -> Any:
        metadata = await self._data_plane.model_metadata(model_name=request.name)
        return messages.ModelMetadataResponse(**metadata)


def make_server(
    config: ServerConfig, dataplane: DataPlane, extension: ModelRepositoryExtension, room: Room
) -> tuple[aio.Server, int]:
    """Makes a server that listens; it is still to be started, in the running event loop.

    Returns:
        The server and its port.

    Raises:
        InputError: the port can't be had.
    """
    server = aio.server(
        interceptors=(_Statuses(), Limits(config.body_seconds, room)),
        options=[
            ("grpc.max_receive_message_length", config.max_body_bytes),
            ("grpc.max_send_message_length", -1),
            # Two servers on one port would take turns.
            ("grpc.so_reuseport", 0),
            # What waits to be received fills a window, which must not grow meanwhile.
            ("grpc.http2.bdp_probe", 0),
        ],
        maximum_concurrent_rpcs=config.max_waiting,
    )
    services.add_GRPCInferenceServiceServicer_to_server(_Servicer(dataplane, extension), server)
    try:
        return server, server.add_insecure_port(f"{config.url_host}:{config.grpc_port}")
    except RuntimeError as error:
        raise InputError(
            f"can't listen on {config.host}, gRPC port {config.grpc_port}: {error}; choose another "
            "by --grpc-port, or 0 for any free one"
        ) from None

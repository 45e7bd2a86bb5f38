"""Why a request gets no answer: the same reasons for REST and for gRPC."""

from collections.abc import Mapping

from grpc import StatusCode
from grpc_interceptor.exceptions import GrpcException


class RefusedError(GrpcException):
    """The request is wrong; the message says what was received, what is allowed."""

    status_code = StatusCode.INVALID_ARGUMENT
    http_status = 400
    headers: Mapping[str, str] = {}


class TooLargeError(RefusedError):
    """The body has more bytes than a request may have."""

    status_code = StatusCode.RESOURCE_EXHAUSTED
    http_status = 413
    # What is left of the body is not read.
    headers: Mapping[str, str] = {"connection": "close"}


class TooSlowError(RefusedError):
    """The request did not come in whole in the time that it has."""

    status_code = StatusCode.DEADLINE_EXCEEDED
    http_status = 408
    headers: Mapping[str, str] = {"connection": "close"}


class UnknownVersionError(RefusedError):
    """The model is there, this version of it is not loaded."""

    status_code = StatusCode.NOT_FOUND
    http_status = 404


class NotLoadedError(RefusedError):
    """The model has no version in memory."""

    status_code = StatusCode.UNAVAILABLE
    http_status = 503


class OverloadedError(RefusedError):
    """As many requests wait as may wait."""

    status_code = StatusCode.RESOURCE_EXHAUSTED
    http_status = 503
    headers: Mapping[str, str] = {"retry-after": "1"}

"""ZoomInfo's two error bodies: the gateway's, and that of the platform behind it."""

from collections.abc import Mapping

from sandbox.exchange import Reply, json_reply

NOT_FOUND = "ZI9998"
UNAUTHORIZED = "ZI0001"
NO_SCOPE = "ZI0002"
RATE_LIMITED = "ZI0004"
DISALLOWED_FIELD = "PFAPI0001"
MALFORMED = "PFAPI0002"
WRONG_TYPE = "PFAPI0003"
WRONG_COUNT = "PFAPI0004"
MISSING_FIELDS = "PFAPI0005"
INVALID_VALUE = "PFAPI0006"
SERVER_ERROR = "PFAPI0007"
UNKNOWN_FIELD = "PFAPI0009"
TIMED_OUT = "PFAPI0010"
NO_CREDITS = "PFAPI0011"


class RefusalError(Exception):
    """A request ends with this reply."""

    def render(self, request_id: str) -> Reply:
        """Return the reply."""
        raise NotImplementedError


class GatewayError(RefusalError):
    """The gateway refuses."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        retryable: bool = False,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.retryable = retryable
        self.headers = headers

    def render(self, request_id: str) -> Reply:
        """Return the reply."""
        error = {
            "code": self.code,
            "message": str(self),
            "status": self.status,
            "requestId": request_id,
            "retryable": self.retryable,
        }
        return json_reply({"error": error}, self.status, headers=self.headers)


class PlatformError(RefusalError):
    """The platform refuses."""

    def __init__(self, code: str, detail: str, *, status: int = 400, pointer: str = "") -> None:
        super().__init__(detail)
        self.code = code
        self.status = status
        self.pointer = pointer

    def render(self, request_id: str) -> Reply:
        """Return the reply."""
        title = {400: "Bad Request", 406: "Not Acceptable"}.get(self.status, "Server Error")
        error = {
            "id": request_id,
            "code": self.code,
            "status": str(self.status),
            "title": title,
            "detail": str(self),
            "source": {"pointer": self.pointer},
        }
        return json_reply({"title": title, "detail": str(self), "errors": [error]}, self.status)

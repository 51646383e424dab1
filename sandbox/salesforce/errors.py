"""Errors as Salesforce words them: a list in the body of a request, an entry in that of a collection."""

from collections.abc import Sequence
from typing import Any

from sandbox.exchange import Reply, json_reply


class SalesforceError(Exception):
    """A request that is refused as a whole."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code

    def render(self) -> Reply:
        """Return the answer."""
        return json_reply([{"message": str(self), "errorCode": self.code}], self.status)


class RecordError(Exception):
    """A record that is refused, while others of its request are taken."""

    def __init__(self, code: str, message: str, fields: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.code = code
        self.fields = list(fields)

    def render(self) -> dict[str, Any]:
        """Return the entry of a collection's answer; it has no id."""
        error = {"statusCode": self.code, "message": str(self), "fields": self.fields}
        return {"success": False, "errors": [error]}

    def in_csv(self) -> str:
        """Return the column `sf__Error` of a bulk result."""
        return f"{self.code}:{self}:{', '.join(self.fields)}--"


def malformed(code: str, message: str) -> SalesforceError:
    """Return the error of a request that isn't well-formed."""
    return SalesforceError(400, code, message)


def expired() -> SalesforceError:
    """Return the error of a session that isn't known."""
    return SalesforceError(401, "INVALID_SESSION_ID", "Session expired or invalid")


def over_limit(message: str) -> SalesforceError:
    """Return the error of a request that is too much."""
    return SalesforceError(403, "REQUEST_LIMIT_EXCEEDED", message)


def unknown_path() -> SalesforceError:
    """Return the error of a path or method that doesn't exist."""
    return SalesforceError(404, "NOT_FOUND", "The requested resource does not exist")

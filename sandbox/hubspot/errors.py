"""HubSpot's error body."""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from sandbox.exchange import Reply, json_reply

VALIDATION_ERROR = "VALIDATION_ERROR"
OBJECT_NOT_FOUND = "OBJECT_NOT_FOUND"
CONFLICT = "CONFLICT"


class HubSpotError(Exception):
    """
    A request ends with this error.

    Args:
        status: of HTTP.
        category: HubSpot's class of errors.
        message: for people.
        more: further members of the body.
    """

    def __init__(self, status: int, category: str, message: str, **more: Any) -> None:
        super().__init__(message)
        self.status = status
        self.category = category
        self.more = more

    def render(self, correlation_id: str) -> Reply:
        """Return the reply."""
        body = {
            "status": "error",
            "message": str(self),
            "correlationId": correlation_id,
            **self.more,
        }
        if self.category:
            body["category"] = self.category
        return json_reply(body, self.status)

    def as_item(self, context: Mapping[str, Sequence[str]]) -> dict[str, Any]:
        """Return the error as part of a partial failure."""
        return {
            "status": "error",
            "category": self.category,
            "message": str(self),
            "context": context,
        }


def invalid(message: str) -> HubSpotError:
    """Return the error of a request that isn't well-formed."""
    return HubSpotError(400, VALIDATION_ERROR, message)


def invalid_values(flaws: Sequence[tuple[str, str, str]]) -> HubSpotError:
    """Return the error of values that are refused: name, code and message of each."""
    listed = [
        {
            "isValid": False,
            "message": message,
            "error": code,
            "name": name,
            "localizedErrorMessage": message,
        }
        for name, code, message in flaws
    ]
    return invalid(f"Property values were not valid: {orjson.dumps(listed).decode()}")


def not_found(record_id: str) -> HubSpotError:
    """Return the error of a record that doesn't exist."""
    return HubSpotError(404, OBJECT_NOT_FOUND, f"Object not found. objectId: {record_id}")


def unknown_path() -> HubSpotError:
    """Return the error of a path or method that doesn't exist."""
    return HubSpotError(404, "", "resource not found")


def missing_scope(scope: str) -> HubSpotError:
    """Return the error of a token that isn't allowed to do this."""
    return HubSpotError(
        403,
        "MISSING_SCOPES",
        "This app hasn't been granted all required scopes to make this call.",
        errors=[
            {
                "message": "One or more of the following scopes are required.",
                "context": {"requiredGranularScopes": [scope]},
            }
        ],
        links={"scopes": "https://developers.hubspot.com/scopes"},
    )


def unauthenticated() -> HubSpotError:
    """Return the error of a token that isn't known."""
    return HubSpotError(401, "INVALID_AUTHENTICATION", "Authentication credentials not found.")


def throttled(policy: str) -> HubSpotError:
    """Return the error of a request that is too much."""
    return HubSpotError(
        429,
        "",
        f"You have reached your {policy.lower()} limit.",
        errorType="RATE_LIMIT",
        policyName=policy,
        groupName="publicapi:private-apps:crm",
    )

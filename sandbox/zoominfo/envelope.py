"""Requests to ZoomInfo's platform: the envelope, and what may stand in it."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from sandbox.exchange import Request
from sandbox.zoominfo import errors
from sandbox.zoominfo.errors import PlatformError
from sandbox.zoominfo.records import OUTPUT_FIELDS

MEDIA_TYPE = "application/vnd.api+json"
MOST_INPUTS = 25
_INPUT_KEYS = {
    "personId": int,
    "companyId": int,
    "contactAccuracyScoreMin": int,
    **dict.fromkeys(
        (
            "emailAddress",
            "hashedEmail",
            "phone",
            "firstName",
            "lastName",
            "fullName",
            "companyName",
            "jobTitle",
            "externalURL",
            "lastUpdatedDateAfter",
            "validDateAfter",
        ),
        str,
    ),
}


@dataclass(frozen=True, slots=True)
class ContactQuery:
    """What a contacts call requests."""

    inputs: list[Mapping[str, Any]]
    fields: tuple[str, ...]
    required: tuple[str, ...]


def check_media_type(request: Request) -> None:
    """
    Check that the caller speaks the platform's dialect.

    Raises:
        PlatformError: it doesn't.
    """
    accept = request.headers.get("accept", "*/*")
    spoken = request.method == "GET" or request.headers.get("content-type", "").startswith(MEDIA_TYPE)
    if not spoken or not (MEDIA_TYPE in accept or "*/*" in accept):
        raise PlatformError(errors.MALFORMED, f"Content-Type and Accept must be {MEDIA_TYPE}", status=406)


def open_envelope(request: Request, kind: str) -> Mapping[str, Any]:
    """
    Return the attributes of a request.

    Raises:
        PlatformError: it isn't a request of that type.
    """
    try:
        data = request.json()["data"]
        attributes = data["attributes"]
    except (ValueError, KeyError, TypeError):
        raise PlatformError(errors.MALFORMED, "The request body is malformed", pointer="/data") from None
    if data.get("type") != kind:
        raise PlatformError(errors.WRONG_TYPE, f"The type must be '{kind}'", pointer="/data/type")
    if not isinstance(attributes, dict):
        raise PlatformError(errors.MALFORMED, "The attributes must be an object", pointer="/data/attributes")
    return attributes


def read_contact_query(request: Request, disallowed: Collection[str]) -> ContactQuery:
    """
    Return what a contacts call requests.

    Raises:
        PlatformError: it must not be requested.
    """
    attributes = open_envelope(request, "ContactEnrich")
    query = ContactQuery(
        inputs=_inputs(attributes.get("matchPersonInput")),
        fields=_fields(attributes.get("outputFields"), disallowed, "outputFields"),
        required=_fields(attributes.get("requiredFields") or ["id"], disallowed, "requiredFields"),
    )
    for number, each in enumerate(query.inputs):
        _check_input(number, each)
    return query


def company_id_of(attributes: Mapping[str, Any]) -> int:
    """
    Return the id of the one company that is asked for.

    Raises:
        PlatformError: there is none.
    """
    company_id = attributes.get("companyId")
    if isinstance(company_id, str) and company_id.isdigit():
        return int(company_id)
    if not isinstance(company_id, int):
        raise PlatformError(errors.INVALID_VALUE, "companyId is required", pointer="/data/attributes/companyId")
    return company_id


def topics_of(attributes: Mapping[str, Any]) -> list[str]:
    """
    Return the intent topics that are asked for.

    Raises:
        PlatformError: there are none, or too many.
    """
    topics = attributes.get("topics")
    if not isinstance(topics, list) or not 1 <= len(topics) <= 50:
        raise PlatformError(errors.WRONG_COUNT, "topics takes 1 to 50 values", pointer="/data/attributes/topics")
    return [str(topic) for topic in topics]


def _inputs(value: Any) -> list[Mapping[str, Any]]:
    pointer = "/data/attributes/matchPersonInput"
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
        raise PlatformError(errors.MALFORMED, "matchPersonInput must be a list of objects", pointer=pointer)
    if not 1 <= len(value) <= MOST_INPUTS:
        text = f"matchPersonInput takes 1 to {MOST_INPUTS} inputs, not {len(value)}"
        raise PlatformError(errors.WRONG_COUNT, text, pointer=pointer)
    return value


def _check_input(number: int, value: Mapping[str, Any]) -> None:
    for key, content in value.items():
        # bool is an int to Python, but not to ZoomInfo.
        if key not in _INPUT_KEYS or not isinstance(content, _INPUT_KEYS[key]) or isinstance(content, bool):
            pointer = f"/data/attributes/matchPersonInput/{number}/{key}"
            raise PlatformError(errors.INVALID_VALUE, f"Invalid value of '{key}'", pointer=pointer)


def _fields(value: Any, disallowed: Collection[str], name: str) -> tuple[str, ...]:
    pointer = f"/data/attributes/{name}"
    if not isinstance(value, list) or not value:
        raise PlatformError(errors.MISSING_FIELDS, f"{name} is required", pointer=pointer)
    for field in value:
        if field not in OUTPUT_FIELDS:
            raise PlatformError(errors.UNKNOWN_FIELD, f"Invalid field '{field}' in {name}", pointer=pointer)
        if field in disallowed:
            text = f"The field '{field}' is not allowed for this account"
            raise PlatformError(errors.DISALLOWED_FIELD, text, pointer=pointer)
    return tuple(value)

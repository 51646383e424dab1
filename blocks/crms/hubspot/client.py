"""
The one use of `hubspot-api-client`: `ApiClient.call_api`, raw answers, its connection pool and exceptions.

Its generated methods know the v3 paths only, belong to several packages with a connection pool and exceptions each,
and spend most of their time on models that we don't need.
"""

from typing import Any

import hubspot
from hubspot.crm.contacts.exceptions import ApiException
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    LocationValueError,
    MaxRetryError,
    NewConnectionError,
    ProxyError,
)

from blocks.calls.messages import Answer, Call, in_lower_case, network_trouble, parse_json
from enrichment.errors import ConfigurationError
from enrichment.retry import Fault, Trouble

#: The request never left.
_UNSENT = (ConnectTimeoutError, MaxRetryError, NewConnectionError, ProxyError)


class HubSpotClient:
    """
    Sends calls; safe to share between threads.

    Args:
        base_url: without a slash at the end.
        token: that the library insists on; each call brings its own.
        timeouts: seconds to connect and to read.
        connections: that are kept.
    """

    def __init__(self, base_url: str, token: str, timeouts: tuple[float, float], connections: int) -> None:
        self._timeouts = timeouts
        client = hubspot.HubSpot(access_token=token, host=base_url, retry=False, connection_pool_maxsize=connections)
        # Each access to `batch_api` builds a client with a separate connection pool, hence this one is kept.
        self._api = client.crm.contacts.batch_api.api_client

    def send(self, call: Call, token: str) -> Answer | Trouble:
        """Return the answer to a call, or why there is none."""
        try:
            response = self._call_api(call, token)
            return Answer(response.status, in_lower_case(response.headers), parse_json(response.data))
        except ApiException as error:
            return _answer_of(error)
        except (UnicodeDecodeError, AttributeError) as error:
            # The client decodes an error's body as UTF-8: a proxy's page may be written otherwise, and if the server
            # isn't trusted, there is no body.
            if not isinstance(error.__context__, ApiException):
                raise
            return _answer_of(error.__context__)
        except LocationValueError:
            raise ConfigurationError("ENRICHMENT_HUBSPOT_BASE_URL is not a valid URL") from None
        except HTTPError as error:
            fault = Fault.CONNECT if isinstance(error, _UNSENT) else Fault.LOST_ANSWER
            return network_trouble(error, fault)

    def close(self) -> None:
        """Give the connections back."""
        self._api.rest_client.pool_manager.clear()
        self._api.close()

    def _call_api(self, call: Call, token: str) -> Any:
        return self._api.call_api(
            call.path,
            call.method,
            None,
            list(call.query.items()),
            {"Accept": "application/json", "Content-Type": "application/json", "Authorization": f"Bearer {token}"},
            body=call.body,
            auth_settings=[],
            _preload_content=False,
            _request_timeout=self._timeouts,
        )


def _answer_of(error: Any) -> Answer | Trouble:
    if not getattr(error, "status", None):
        return network_trouble(error, Fault.CONNECT)  # TLS, of which the client says this much
    return Answer(error.status, in_lower_case(error.headers or {}), parse_json(error.body))

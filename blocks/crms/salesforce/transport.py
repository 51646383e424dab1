"""The one use of simple-salesforce and its HTTP client, requests: raw answers, with timeouts and loopback addresses."""

from typing import Any
from urllib.parse import urlsplit

from blocks.base import not_installed
from blocks.calls.messages import Answer, Call, in_lower_case, network_trouble, parse_json
from blocks.calls.tls import authorities, check_address
from blocks.crms.salesforce.session import CLIENT_NAME, MOST_CONNECTIONS, Session
from enrichment.retry import Fault, Trouble
from enrichment.text import storable

try:
    import requests
    from requests.adapters import HTTPAdapter
    from simple_salesforce.api import Salesforce as Client
    from simple_salesforce.exceptions import SalesforceError
except ImportError as error:
    raise not_installed("Salesforce", "simple-salesforce", "salesforce") from error


class Transport:
    """
    Sends calls in a session; safe to share between threads.

    Args:
        api_version: such as `68.0`.
        timeouts: seconds to connect and to read.
    """

    def __init__(self, api_version: str, timeouts: tuple[float, float]) -> None:
        self._version = api_version
        self._timeouts = timeouts
        self._http = requests.Session()
        self._http.mount("https://", _PatientAdapter(timeouts))
        self._http.verify = authorities()
        self._http.headers["Sforce-Call-Options"] = f"client={CLIENT_NAME}"
        # A duplicate rule that only warns would else refuse the update; one that blocks still does.
        self._http.headers["Sforce-Duplicate-Rule-Header"] = "allowSave=true"
        # Without an explicit authorisation, requests would put that of a .netrc file in the place of ours.
        self._http.auth = _Unchanged()

    def send(self, session: Session, call: Call) -> Answer | Trouble:
        """Send a call, and return what came back."""
        received: list[requests.Response] = []
        options = {**_body(call), "hooks": {"response": lambda response, **_: received.append(response)}}
        try:
            body = self._client(session).restful(
                call.path, dict(call.query), call.method, allow_redirects=False, **options
            )
        except SalesforceError:
            body = parse_json(received[-1].content)
        except requests.exceptions.JSONDecodeError:
            body = received[-1].content.decode(errors="replace")  # a CSV, whose charset requests would guess
        except (TypeError, RecursionError):
            # The client asks for the length of what it parsed, which null or a number doesn't have; or it is too deep.
            if not received:
                raise
            body = parse_json(received[-1].content)
        except (requests.exceptions.ConnectTimeout, requests.exceptions.ProxyError) as error:
            return network_trouble(error, Fault.CONNECT)
        except requests.exceptions.RequestException as error:
            return network_trouble(error, _network_fault(error))
        return Answer(received[-1].status_code, in_lower_case(received[-1].headers), storable(body))

    def close(self) -> None:
        """Give the connections back."""
        self._http.close()

    def _client(self, session: Session) -> Client:
        address = session.instance_url
        if address.startswith("http:"):
            self._reach_loopback(address)
        return Client(
            session_id=session.token,
            instance_url=address,
            version=self._version,
            session=self._http,
            object_pairs_hook=dict,
        )

    def _reach_loopback(self, address: str) -> None:
        prefix = f"https://{urlsplit(address).netloc}/"
        check_address(address, "ENRICHMENT_SALESFORCE_INSTANCE_URL, or the instance URL in Salesforce's session,")
        if prefix not in self._http.adapters:
            self._http.trust_env = False  # a proxy of the environment is never meant for this machine itself
            self._http.mount(prefix, _LoopbackAdapter(self._timeouts, prefix, address + "/"))


class _PatientAdapter(HTTPAdapter):
    """Sets timeouts where the caller set none, which are all calls."""

    def __init__(self, timeouts: tuple[float, float]) -> None:
        super().__init__(pool_maxsize=MOST_CONNECTIONS)
        self._timeouts = timeouts

    def send(self, request: requests.PreparedRequest, *args: Any, **options: Any) -> requests.Response:
        """Send a request."""
        return super().send(request, *args, **{**options, "timeout": options.get("timeout") or self._timeouts})


class _LoopbackAdapter(_PatientAdapter):
    """Puts back the scheme and path of an instance URL on this machine, which simple-salesforce drops."""

    def __init__(self, timeouts: tuple[float, float], given: str, meant: str) -> None:
        super().__init__(timeouts)
        self._given = given
        self._meant = meant

    def send(self, request: requests.PreparedRequest, *args: Any, **options: Any) -> requests.Response:
        """Send a request to where it was meant to go."""
        request.url = (request.url or "").replace(self._given, self._meant, 1)
        return super().send(request, *args, **options)


class _Unchanged(requests.auth.AuthBase):
    """Leaves a request as it is."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Return the request."""
        return request


def _body(call: Call) -> dict[str, Any]:
    if call.content is not None:
        return {"data": call.content, "headers": dict(call.headers)}
    return {} if call.body is None else {"json": call.body}


def _network_fault(error: requests.exceptions.RequestException) -> Fault:
    # requests shows only by its cause whether a connection was refused, or lost after the request had left.
    text = type(getattr(error.args[0], "reason", None)).__name__ if error.args else ""
    return Fault.CONNECT if text in {"NewConnectionError", "NameResolutionError"} else Fault.LOST_ANSWER

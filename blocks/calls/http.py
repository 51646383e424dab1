"""What httpx's failures mean for repeating a call."""

import httpx

from enrichment.retry import Fault, Trouble

#: The request never left.
_UNSENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)


def network_fault(error: httpx.HTTPError | TimeoutError) -> Fault:
    """Return the fault of a request that got no whole answer."""
    return Fault.CONNECT if isinstance(error, _UNSENT) else Fault.LOST_ANSWER


def network_trouble(error: httpx.HTTPError) -> Trouble:
    """Return the trouble of a request that got no whole answer, in words."""
    return Trouble(network_fault(error), f"the network failed ({type(error).__name__})")

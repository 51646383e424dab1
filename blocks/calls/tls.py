"""How servers are verified: one configuration for all of this process's HTTP clients."""

import functools
import ssl

import httpx


@functools.cache
def tls() -> ssl.SSLContext:
    """Return the configuration; reading the certificates takes longer than many a call."""
    return httpx.create_ssl_context()

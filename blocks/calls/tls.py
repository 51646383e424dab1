"""
How servers are verified: one configuration for all of this process's HTTP clients, and TLS to every other machine.

Keys and contacts could be read, and answers changed, on the way to a server that is called without TLS.
"""

import functools
import os
import ssl

import httpx

from enrichment.errors import ConfigurationError

LOOPBACK_HOSTS = frozenset({"127.0.0.1", "::1", "localhost"})


@functools.cache
def tls() -> ssl.SSLContext:
    """Return the configuration; reading the certificates takes longer than many a call."""
    return httpx.create_ssl_context()


def authorities() -> str | bool:
    """Return the same for `requests`, which doesn't know OpenSSL's own variable: the file that it names, or True."""
    return os.environ.get("SSL_CERT_FILE") or True


def is_loopback(url: str) -> bool:
    """Return whether a URL is of this machine."""
    return httpx.URL(url).host in LOOPBACK_HOSTS


def check_address(url: str, setting: str) -> None:
    """Raise a ConfigurationError if a URL is one of plain HTTP, unless it is of this machine."""
    try:
        plain = url.lower().startswith("http:") and not is_loopback(url)
    except httpx.InvalidURL:
        raise ConfigurationError(f"{setting} is not a valid URL: write it as https://host/path") from None
    if plain:
        raise ConfigurationError(f"{setting} must begin with https://: http is only for servers on this machine")


def check_unencrypted(host: str | None, setting: str) -> None:
    """Raise a ConfigurationError if a setting that switches TLS off isn't for a server on this machine."""
    if host not in LOOPBACK_HOSTS:
        raise ConfigurationError(f"{setting} switches TLS off, which is only for servers on this machine")

"""Clients of outside systems come as extras, so that nobody installs those of systems that they don't use."""

from enrichment.errors import ConfigurationError


def install_extra(extra: str) -> str:
    """Return the commands that install an extra, in a clone and in an environment of one's own."""
    return f"`uv sync --extra {extra}`, or `pip install 'contact-enrichment[{extra}]'`"


def not_installed(what: str, library: str, extra: str) -> ConfigurationError:
    """
    Return the error that says which extra to install.

    Args:
        what: needs the library.
        library: that can't be imported.
        extra: that brings it.
    """
    return ConfigurationError(f"{what} needs {library}, which isn't installed: {install_extra(extra)}")

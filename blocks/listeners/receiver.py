"""The receiver of webhooks: its limits, and the secret of its own endpoint; a CRM's secrets are in the CRM's block."""

import base64
import binascii
from typing import ClassVar

from pydantic import Field, HttpUrl, SecretStr

from blocks.base import configure
from blocks.listeners.base import ListenerBlock
from blocks.secrets import reveal
from enrichment.errors import ConfigurationError

_LEAST_BODY = 65_536
_MOST_BODY = 64 * 1024 * 1024

_STANDARD_PREFIX = "whsec_"
_LEAST_KEY = 24

#: HubSpot sends this many deliveries at once, which must always be let in.
_HUBSPOT_AT_ONCE = 10


class Receiver(ListenerBlock):
    """
    The receiver of webhooks and of signed contacts.

    Example:
        Let forms hand in contacts::

            Receiver(shared_secret="block:secret/contact-forms").save("default")
    """

    _block_type_name = "Contact Receiver"
    _block_type_slug = "enrichment-receiver"
    _description = "Limits of the webhook receiver, and the secret that signs contacts from forms and other systems."
    _documentation_url = HttpUrl("https://fastapi.tiangolo.com/deployment/concepts/")
    vendor: ClassVar[str] = "receiver"

    shared_secret: SecretStr | None = Field(
        default=None,
        description="Secret that signs `POST /contacts`, or the name of a secret block that holds it; "
        "`whsec_` and base64 for senders that follow Standard Webhooks; empty: that path is off.",
    )
    previous_shared_secret: SecretStr | None = Field(
        default=None, description="The shared secret before the last rotation, which is still accepted."
    )
    body_limit_bytes: int = Field(
        default=2 * 1024 * 1024, ge=_LEAST_BODY, le=_MOST_BODY, description="Largest request body that is accepted."
    )
    deliveries_at_once: int = Field(
        default=50, ge=_HUBSPOT_AT_ONCE, le=1000, description="Deliveries of a CRM that are handled at once."
    )
    requests_per_second: float = Field(
        default=20.0, gt=0, le=10_000, description="Requests to `POST /contacts` that are accepted per second."
    )
    answer_within_seconds: float = Field(
        default=4.0,
        gt=0,
        le=4.8,
        description="How long a request may take to be committed before the sender gets 503 and has to retry.",
    )

    def shared_secrets(self) -> tuple[str, ...]:
        """
        Return the secrets that a request may be signed with, read from their blocks just now.

        Raises:
            ConfigurationError: a block can't be read, or a secret looks like one of Standard Webhooks and isn't.
        """
        given = {
            "ENRICHMENT_RECEIVER_SHARED_SECRET": self.shared_secret,
            "ENRICHMENT_RECEIVER_PREVIOUS_SHARED_SECRET": self.previous_shared_secret,
        }
        secrets = {name: reveal(secret, name) for name, secret in given.items() if secret}
        for name, secret in secrets.items():
            if secret.startswith(_STANDARD_PREFIX) and not standard_key(secret):
                raise ConfigurationError(
                    f"{name} begins with {_STANDARD_PREFIX}, so the rest must be base64 of at least {_LEAST_KEY} "
                    f'bytes: make one with `echo "{_STANDARD_PREFIX}$(openssl rand -base64 32)"`'
                )
        return tuple(secrets.values())


def standard_key(secret: str) -> bytes:
    """Return the key in a secret of Standard Webhooks, `whsec_` and base64; empty if it is of another form."""
    encoded = secret.removeprefix(_STANDARD_PREFIX)
    try:
        key = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except (binascii.Error, ValueError):
        return b""
    return key if secret.startswith(_STANDARD_PREFIX) and len(key) >= _LEAST_KEY else b""


def load_receiver() -> Receiver:
    """Return the receiver's configuration as it is now."""
    return configure(Receiver, "")

"""Any notification block of Prefect: Teams, PagerDuty, Discord, a webhook of one's own, and what else Prefect knows."""

from typing import Any, ClassVar, Self
from uuid import UUID

import httpx
from prefect.blocks.abstract import NotificationBlock
from prefect.blocks.core import Block
from pydantic import Field, HttpUrl

from blocks.notifiers.base import Attachment, Notifier, NotifierBlock
from enrichment.errors import ConfigurationError, TransientError

#: Refusals of a kind that passes by itself.
_PASSING = frozenset({408, 425, 429})


class PrefectNotification(NotifierBlock):
    """
    Whatever a notification block that is saved in Prefect reaches.

    Example:
        Notify a Teams channel; `notification_block/ms-teams-webhook/ops` in `ENRICHMENT_NOTIFIERS` does so at once::

            PrefectNotification(reference="ms-teams-webhook/ops").save("default")
    """

    _block_type_name = "Notification Block Notifier"  # names that begin with Prefect are reserved
    _description = "Alerts your team through a notification block of Prefect when contact enrichment needs attention."
    _documentation_url = HttpUrl("https://docs.prefect.io/v3/api-ref/python/prefect-blocks-notifications")
    vendor: ClassVar[str] = "notification_block"

    reference: str = Field(
        default="", description="Prefect's notification block, `<block type>/<block name>`: `ms-teams-webhook/ops`."
    )

    @classmethod
    def named(cls, document: str) -> Self:
        """Return the configuration by its name; a name with a slash is the notification block itself."""
        return cls(reference=document) if "/" in document else super().named(document)

    def get_notifier(self) -> Notifier:
        """Return the adapter."""
        if not self.reference:
            raise ConfigurationError(
                "ENRICHMENT_NOTIFICATION_BLOCK_REFERENCE is not set: set it, "
                "or name the notifier `notification_block/<block type>/<block name>`"
            )
        return PrefectNotifier(self.reference, _load(self.reference))


class PrefectNotifier:
    """Hands messages to the block; its settings and its error texts may hold secrets, so neither is logged."""

    name = "notification_block"

    def __init__(self, reference: str, block: NotificationBlock) -> None:
        self._reference = reference
        self._block: Any = block  # its type says that a coroutine comes, which is so among coroutines only

    @property
    def block_id(self) -> UUID:
        """Return the id of the block in Prefect."""
        return UUID(str(self._block._block_document_id))  # noqa: SLF001 - Prefect has no other way to it

    def send(self, subject: str, body: str, attachment: Attachment | None = None) -> None:  # noqa: ARG002
        """Let the block deliver the message."""
        try:
            with self._block.raise_on_failure():
                self._block.notify(body, subject)
        except httpx.HTTPStatusError as error:
            raise self._refusal(error.response.status_code) from None
        except (httpx.InvalidURL, httpx.UnsupportedProtocol):
            raise ConfigurationError(f"the notification block '{self._reference}' has no valid URL") from None
        except Exception as error:  # noqa: BLE001 - every service has its own errors
            raise TransientError(
                f"the notification block '{self._reference}' can't deliver ({type(error).__name__})"
            ) from None

    def check(self) -> str:
        """Say that the block is there: Prefect has no call that tests one without a message."""
        return f"{self.name} {self._reference} is saved; it can't be tested without sending a message"

    def _refusal(self, status: int) -> Exception:
        if status >= 500 or status in _PASSING:
            return TransientError(f"the service behind the notification block '{self._reference}' answered {status}")
        return ConfigurationError(
            f"the service behind the notification block '{self._reference}' refuses it ({status}): check it in Prefect"
        )


def _load(reference: str) -> NotificationBlock:
    try:
        block: Any = Block.load(reference)
    except httpx.HTTPError as error:
        raise TransientError(f"Prefect's server can't be reached ({type(error).__name__})") from None
    except Exception as error:  # noqa: BLE001 - a block that doesn't fit its class is reported with its values
        raise ConfigurationError(
            f"the notification block '{reference}' can't be read ({type(error).__name__}): "
            "save a block of that name in Prefect"
        ) from None
    if not isinstance(block, NotificationBlock):
        raise ConfigurationError(
            f"the block '{reference}' can't send notifications: choose a notification block of Prefect"
        )
    return block

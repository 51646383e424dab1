"""HubSpot through hubspot-api-client."""

from blocks.crms.hubspot.block import HubSpot

__all__ = ["HubSpot"]

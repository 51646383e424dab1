"""Everything that is simulated, as one state that can be thrown away and made again."""

import threading
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sandbox.apollo.service import Apollo
from sandbox.clearbit.service import Clearbit
from sandbox.clock import Clock
from sandbox.faults import FaultScript
from sandbox.hubspot.service import HubSpot
from sandbox.hunter.service import Hunter
from sandbox.mail import Mailbox
from sandbox.people import populate
from sandbox.peopledatalabs.service import PeopleDataLabs
from sandbox.salesforce.service import Salesforce
from sandbox.service import Service
from sandbox.settings import Settings
from sandbox.slack import Slack
from sandbox.zoominfo.service import ZoomInfo
from sandbox.zoominfo_legacy.service import ZoomInfoLegacy

CONFIGURABLE = (
    "zoominfo",
    "zoominfo_legacy",
    "clearbit",
    "peopledatalabs",
    "apollo",
    "hunter",
    "hubspot",
    "salesforce",
    "slack",
    "mail",
)


class World:
    """
    The services, their clock and the faults that they meet.

    Args:
        settings: how it is at the beginning.
    """

    def __init__(self, settings: Settings) -> None:
        #: Held while a request is handled or a test changes something; what is read is a copy.
        self.lock = threading.RLock()
        self.clock = Clock(settings.now)
        self.faults = FaultScript()
        self.population = populate(settings.contacts, settings.seed)
        self.zoominfo = ZoomInfo(self.population, settings.zoominfo, self.clock, self.faults)
        self.zoominfo_legacy = ZoomInfoLegacy(self.population, settings.zoominfo_legacy, self.clock, self.faults)
        self.clearbit = Clearbit(self.population, settings.clearbit, self.clock, self.faults)
        self.peopledatalabs = PeopleDataLabs(self.population, settings.peopledatalabs, self.clock, self.faults)
        self.apollo = Apollo(self.population, settings.apollo, self.clock, self.faults)
        self.hunter = Hunter(self.population, settings.hunter, self.clock, self.faults)
        self.hubspot = HubSpot(self.population, settings.hubspot, self.clock, self.faults, self.lock)
        self.salesforce = Salesforce(self.population, settings.salesforce, self.clock, self.faults, self.lock)
        self.slack = Slack(settings.slack, self.clock, self.faults)
        self.mail = Mailbox(settings.mail, self.clock)
        sellers: tuple[Service, ...] = (
            self.zoominfo,
            self.zoominfo_legacy,
            self.clearbit,
            self.peopledatalabs,
            self.apollo,
            self.hunter,
        )
        self.services: dict[str, Service] = {
            each.name: each for each in (*sellers, self.hubspot, self.salesforce, self.slack)
        }

    def configure(self, changes: Mapping[str, Mapping[str, Any]]) -> None:
        """
        Change settings while it runs.

        Raises:
            KeyError: there is no such service.
            TypeError: there is no such setting.
        """
        parts: dict[str, Service | Mailbox] = {**self.services, "mail": self.mail}
        with self.lock:
            for name, values in changes.items():
                parts[name].configure(dict(values))

    def close(self) -> None:
        """Let nothing more happen."""
        self.hubspot.close()

    def summary(self) -> dict[str, Any]:
        """Return the totals of every service."""
        totals = {name: service.summary() for name, service in self.services.items()}
        return {**totals, "mail": {"messages": len(self.mail.messages)}}


def adjusted(settings: Settings, changes: Mapping[str, Any]) -> Settings:
    """
    Return the settings with changes; those of a service are given as a mapping.

    Raises:
        TypeError: there is no such setting.
    """
    parts = {
        name: replace(getattr(settings, name), **value)
        if name in CONFIGURABLE and isinstance(value, Mapping)
        else value
        for name, value in changes.items()
    }
    return replace(settings, **parts)

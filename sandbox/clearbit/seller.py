"""What the stand-ins of smaller sellers of data have in common: access, known people and billing."""

import base64
import binascii
from abc import abstractmethod
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar, Generic, TypeVar

from sandbox.clock import Clock
from sandbox.exchange import Reply, Request
from sandbox.faults import FaultScript
from sandbox.limits import RateLimiter, Rejection
from sandbox.people import Population
from sandbox.service import Service
from sandbox.settings import SellerSettings
from sandbox.zoominfo.directory import Directory, normalise

Options = TypeVar("Options", bound=SellerSettings)


class RefusalError(Exception):
    """A request ends with this reply."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.status)
        self.reply = reply


class Seller(Service, Generic[Options]):
    """
    An account at a seller of data, and its API.

    Args:
        population: whom it knows.
        settings: of the account.
        clock: of the world.
        faults: that its requests may meet.
    """

    #: The lengths in seconds of its rate windows, by the names that `limits` uses; shortest first.
    windows: ClassVar[Mapping[str, float]] = {"minute": 60.0}
    #: Whose data it sells, as a directory names it; its own if None.
    source: ClassVar[str | None] = None

    def __init__(self, population: Population, settings: Options, clock: Clock, faults: FaultScript) -> None:
        super().__init__(clock, faults)
        self.settings = settings
        self.directory = Directory(population, self.source if self.source is not None else self.name)
        self.limiter = RateLimiter(clock, self.windows)
        self.credits_left = settings.credits_left
        self._lookups: Counter[str] = Counter()
        self._billed: Counter[str] = Counter()

    @property
    def lookups(self) -> Counter[str]:
        """How often each normalised input was looked up."""
        return self._lookups.copy()

    @property
    def billed(self) -> Counter[str]:
        """The credits that each input cost."""
        return self._billed.copy()

    @property
    def credits_used(self) -> int:
        """All credits spent."""
        return self._billed.total()

    def options(self) -> Options:
        """Return the present settings."""
        return self.settings

    def configure(self, changes: dict[str, Any]) -> None:
        """Change some of the settings."""
        self.settings = replace(self.settings, **changes)
        self.credits_left = changes.get("credits_left", self.credits_left)

    def summary(self) -> dict[str, Any]:
        """Return the totals of the ledger."""
        return {
            "requests": self.log.by_status(),
            "lookups": self._lookups.total(),
            "distinct_lookups": len(self._lookups),
            "most_lookups_of_one_input": max(self._lookups.values(), default=0),
            "credits_used": self.credits_used,
            "credits_left": self.credits_left,
            "max_requests_in_any_second": self.limiter.max_in_any_second,
            "rejected_429": self.limiter.rejected,
        }

    def handle(self, request: Request) -> Reply:
        """Answer a request as the vendor would."""
        try:
            return self.route(request)
        except RefusalError as refusal:
            return refusal.reply

    @abstractmethod
    def route(self, request: Request) -> Reply:
        """
        Answer a request.

        Raises:
            RefusalError: with another answer.
        """

    def limits(self) -> dict[str, int]:
        """Return the requests that each window allows."""
        return {"minute": self.settings.per_minute}

    def admit(self) -> Rejection | None:
        """Count a request, or return why it is too much."""
        return self.limiter.admit(self.limits())

    def remaining(self) -> dict[str, int]:
        """Return what is left of each window."""
        return self.limiter.remaining(self.limits())

    def note_lookup(self, key: str) -> None:
        """Count that an input was looked up."""
        self._lookups[key] += 1

    def bill(self, key: str, amount: int = 1) -> bool:
        """Pay for an input, and return whether that was possible."""
        if self.credits_left < amount:
            return False
        self.credits_left -= amount
        self._billed[key] += amount
        return True


def input_key(email: Any, first_name: Any, last_name: Any, company: Any) -> str:
    """Return what identifies an input, however it is spelt; empty if it can't be looked up."""
    names = {"firstName": first_name, "lastName": last_name, "companyName": company}
    return normalise({"emailAddress": email, **names})


def key_of(request: Request) -> str:
    """Return the key of a Bearer or Basic header; of Basic, the user name is the key."""
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return value if scheme.lower() == "bearer" else ""
    try:
        return base64.b64decode(value, validate=True).decode().partition(":")[0]
    except (binascii.Error, UnicodeDecodeError):
        return ""

"""The sandbox as a command: prints one line of JSON when ready, and serves until it is stopped."""

import argparse
import gc
import json
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sandbox.server import Box, running


def main() -> int:
    """Serve until SIGTERM or SIGINT."""
    options = _options()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    latency = {"latency_ms": options.latency_ms}
    with (
        running(
            port=options.port,
            smtp_port=options.smtp_port,
            contacts=options.contacts,
            seed=options.seed,
            zoominfo=latency,
            hubspot={**latency, "tier": options.tier},
        ) as box,
        _events(box, options.events_folder) as events,
    ):
        # The contacts stay until the end: the collector needn't look at them again and again.
        gc.freeze()
        sys.stdout.write(json.dumps({**box.address(), **events}) + "\n")
        sys.stdout.flush()
        stop.wait()
    return 0


@contextmanager
def _events(box: Box, folder: Path | None) -> Iterator[dict[str, str]]:
    """Serve Salesforce's events too if that is asked for, and give where."""
    if folder is None:
        yield {}
        return
    from sandbox.salesforce.pubsub import serve_events  # noqa: PLC0415 - its libraries are those of an extra

    with serve_events(box, folder) as address:
        yield {"events_endpoint": address.endpoint, "events_ca_file": str(address.ca_file)}


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m sandbox", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="of HTTP; 0 for any")
    parser.add_argument("--smtp-port", type=int, default=0, help="of SMTP; 0 for any")
    parser.add_argument("--contacts", type=int, default=1000, help="that HubSpot has at the beginning")
    parser.add_argument("--seed", type=int, default=7, help="of everything that is made up")
    parser.add_argument("--latency-ms", type=float, default=0.0, help="of ZoomInfo and HubSpot")
    parser.add_argument("--events-folder", type=Path, help="serve Salesforce's events, and put their certificate there")
    parser.add_argument("--tier", choices=("starter", "professional", "enterprise"), default="professional")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())

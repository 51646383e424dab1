"""Ask what serves in this container whether it is well: exits with 0 if so, or if there is nothing to ask."""

import os
import sys
import urllib.request

TIMEOUT_SECONDS = 8


def main() -> int:
    """Ask the address in HEALTH_URL."""
    url = os.environ.get("HEALTH_URL", "")
    if not url:
        return 0
    # A proxy of the outside world doesn't know this container.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=TIMEOUT_SECONDS) as answer:
            return 0 if answer.status == 200 else 1
    except (OSError, ValueError) as error:  # refused, no answer in time, a status of 400 or more, or no address
        sys.stdout.write(f"{url}: {error}\n")
        return 1


if __name__ == "__main__":
    sys.exit(main())

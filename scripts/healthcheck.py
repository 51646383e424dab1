"""Check whether what serves in this container is healthy: exits with 0 if it is, or if there is nothing to check."""

import os
import sys
import urllib.request

TIMEOUT_SECONDS = 8


def main() -> int:
    """Call the address in HEALTH_URL."""
    url = os.environ.get("HEALTH_URL", "")
    if not url:
        return 0
    # A proxy of the outside world doesn't know this container.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=TIMEOUT_SECONDS) as answer:
            return 0 if answer.status == 200 else 1
    except (OSError, ValueError) as error:  # refused, no answer in time, a status of 400 or more, or not a valid URL
        sys.stdout.write(f"{url}: {error}\n")
        return 1


if __name__ == "__main__":
    sys.exit(main())

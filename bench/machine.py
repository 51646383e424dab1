"""The machine and the versions that figures belong to."""

import os
import platform
import re
from importlib.metadata import version
from pathlib import Path

_LIBRARIES = ("prefect", "httpx", "requests")


def machine() -> dict[str, object]:
    """Return what a reader needs to judge figures of this machine."""
    return {
        "cpu": _cpu(),
        "cores": os.cpu_count() or 0,
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "libraries": {name: version(name) for name in _LIBRARIES},
    }


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    found = re.search(r"^model name\s*: (.+)$", info.read_text(), re.MULTILINE) if info.exists() else None
    return found[1] if found else platform.processor() or platform.machine()

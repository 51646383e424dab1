"""Unpack the uv wheel with nothing but the standard library, for machines whose Python has neither pip nor venv."""

import hashlib
import io
import json
import platform
import sys
import urllib.request
import zipfile
from pathlib import Path
from urllib.parse import urljoin

INDEX = "https://pypi.org/pypi/uv/json"


def main(target: Path) -> None:
    """Put the uv program into `target/bin`."""
    with urllib.request.urlopen(INDEX, timeout=60) as answer:
        files, base = json.load(answer)["urls"], answer.url
    wheel = next(file for file in files if _fits(file["filename"]))
    # A mirror of the index may name its files by relative addresses.
    with urllib.request.urlopen(urljoin(base, wheel["url"]), timeout=300) as answer:  # noqa: S310 - named by the index, checked below
        content = answer.read()
    if hashlib.sha256(content).hexdigest() != wheel["digests"]["sha256"]:
        raise SystemExit("bootstrap: the uv wheel arrived damaged; try again")
    program = target / "bin" / "uv"
    program.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        member = next(name for name in archive.namelist() if name.endswith("/scripts/uv"))
        program.write_bytes(archive.read(member))
    program.chmod(0o755)


def _fits(filename: str) -> bool:
    machine = platform.machine().lower()
    if sys.platform == "darwin":
        return "macosx" in filename and ("arm64" if machine == "arm64" else "x86_64") in filename
    return "manylinux" in filename and machine in filename


if __name__ == "__main__":
    main(Path(sys.argv[1]))

"""The Dockerfile: its form, what gets into the image, and its commands, run outside a container."""

import os
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from sandbox.place import ROOT
from tests.containers.dockerfile import DOCKERFILE, LEFT_OUT, Image, context_files, machine, pairs, run, stages

BIN = Path(sys.executable).parent

#: Imports every module; only client libraries of extras that weren't asked for may be missing. Prints what shouldn't
#: be there.
IMPORT_EVERYTHING = """
import importlib, importlib.util, pkgutil, sys
ours = ("commands", "flows", "triggers", "tasks", "lookup", "reporting", "blocks", "enrichment")
for name in ours:
    package = importlib.import_module(name)
    assert package.__file__.startswith(sys.prefix), package.__file__
    # What can't be imported is asked for once more by the walk itself: here it is reported, there passed over.
    for module in pkgutil.walk_packages(package.__path__, f"{name}.", onerror=lambda _: None):
        try:
            importlib.import_module(module.name)
        except ModuleNotFoundError as error:
            assert error.name.split(".")[0] not in (*ours, "sandbox"), (module.name, error)
        except Exception as error:
            assert "bootstrap --inexact --no-dev --extra" in str(error), (module.name, error)
import cli, psycopg
unwanted = ("sandbox", "tests", "pytest", "ruff", "moto", "aiosmtpd")
print([name for name in unwanted if importlib.util.find_spec(name)])
"""


def in_image(image: Image, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command as `docker run` would."""
    return subprocess.run(
        command,
        cwd=image.folder,
        env=image.environment | environment,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )


def test_the_linter_finds_nothing() -> None:
    """Every rule of hadolint holds, those for information included."""
    done = subprocess.run([BIN / "hadolint", DOCKERFILE], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, ""), done.stdout


def test_the_image_is_built_in_stages_from_the_lock_for_a_user_without_rights() -> None:
    """The last stage runs no installer, has labels, a numeric user, a health check and a command in list form."""
    builder, final = stages()[-2:]
    assert builder.base == final.base
    assert all("uv sync --locked --no-dev" in value for value in builder.values("RUN"))
    assert not [value for value in final.values("RUN") if "uv" in value or "pip" in value]
    assert [int(user) > 0 for user in final.values("USER")] == [True]
    labels = dict(pair for value in final.values("LABEL") for pair in pairs(value))
    assert {f"org.opencontainers.image.{name}" for name in ("title", "description", "licenses", "version")} == set(
        labels
    )
    assert all(value.startswith("[") for value in final.values("CMD"))


def test_only_what_is_copied_reaches_the_builder() -> None:
    """No secret, no test, no stand-in and nothing of the machine is sent; everything that COPY names is."""
    files = context_files()
    tops = {name.split("/")[0] for name in files}
    assert tops.isdisjoint({".env", ".git", ".venv", ".tools", "tests", "sandbox", "bench", "docs"})
    named = {
        word
        for stage in stages()
        for value in stage.values("COPY")
        if "--from" not in value
        for word in value.split()[:-1]
    }
    assert {name for name in files if not any(name == one or name.startswith(f"{one}/") for one in named)} <= {
        ".dockerignore",
        "Dockerfile",
    }
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert set(wheel["only-include"]) - named == {"sandbox"}


def test_the_image_has_the_product_without_stand_ins_and_tools(image: Image) -> None:
    """Its environment imports every module of the product, and holds neither the sandbox nor what developers use."""
    done = in_image(image, "python", "-c", IMPORT_EVERYTHING)
    assert (done.returncode, done.stdout.strip()) == (0, "[]"), done.stderr
    assert {path.name for path in image.folder.iterdir()} == {".venv", "prefect.yaml", "healthcheck.py"}


def test_the_command_line_is_in_the_image(image: Image) -> None:
    """`docker run … enrich` works there, and the demo says where it can be had."""
    assert in_image(image, "enrich", "--help").returncode == 0
    done = in_image(image, "enrich", "demo")
    assert (done.returncode, "make demo" in done.stderr) == (2, True), done.stderr


def test_further_client_libraries_are_a_build_argument() -> None:
    """Every extra of the project may be asked for: uv finds it in the lock."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    value = stages()[-2].values("RUN")[0]
    environment = machine() | {
        "HOME": os.environ["HOME"],
        "EXTRAS": " ".join(extras),
        "UV_PROJECT_ENVIRONMENT": "/nowhere",
    }
    shown = run(f"{value} --dry-run", ROOT, environment)
    for library in (
        "psycopg",
        "snowflake-connector-python",
        "simple-salesforce",
        "google-cloud-bigquery",
        "prefect-dask",
    ):
        assert f" + {library}==" in shown


def test_what_is_left_out_is_in_the_file() -> None:
    """What these tests don't carry out is stated, and nothing that went away is still excused."""
    text = DOCKERFILE.read_text()
    assert [name for name in LEFT_OUT if name not in text] == []


class _Answer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/health" else 503)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def address() -> Iterator[str]:
    """Give the address of something that is well at /health, and nowhere else."""
    server = HTTPServer(("127.0.0.1", 0), _Answer)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_health_check_fails_when_the_service_does(image: Image, address: str) -> None:
    """0 for an answer of 200 and where there is nothing to ask; else 1, whatever is wrong."""
    codes = {
        url: in_image(image, *image.health_command, HEALTH_URL=url).returncode
        for url in (f"{address}/health", f"{address}/ready", "http://127.0.0.1:9/health", "nonsense", "")
    }
    assert list(codes.values()) == [0, 1, 1, 1, 0], codes


def test_a_proxy_of_the_outside_is_not_asked_for_health(image: Image, address: str) -> None:
    """The check goes straight to the container's own server."""
    done = in_image(image, *image.health_command, HEALTH_URL=f"{address}/health", http_proxy="http://127.0.0.1:9")
    assert done.returncode == 0

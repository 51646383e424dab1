"""compose.yaml: its form, and what it promises about its services."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from compose_spec import PyCompose

from sandbox.place import ROOT
from tests.containers.compose import COMPOSE, Service, VariableMissingError, env_file, project, services

PASSWORDS = ("POSTGRES_PASSWORD", "PREFECT_DATABASE_PASSWORD", "WAREHOUSE_PASSWORD")
VARIABLES = env_file() | {name: f"made-up-{name.lower()}" for name in PASSWORDS}
SERVICES = services(VARIABLES)
each_service = pytest.mark.parametrize("service", SERVICES.values(), ids=list(SERVICES))


def test_it_is_a_compose_file() -> None:
    """Every key and value is one of the Compose Specification, and every volume that is used is declared."""
    read = PyCompose.from_yaml(yaml.safe_dump(project(VARIABLES)))
    read.validate()
    read.validate_volumes()
    assert set(read.service_names()) == {"database", "server", "setup", "worker", "receiver", "live"}


def test_the_linter_finds_nothing_grave(tmp_path: Path) -> None:
    """compose-lint passes, but for what .compose-lint.yml gives a reason for."""
    shutil.copy(COMPOSE, tmp_path)
    shutil.copytree(ROOT / "deploy", tmp_path / "deploy")
    (tmp_path / ".env").write_text("".join(f"{name}={value}\n" for name, value in VARIABLES.items()))
    lint = Path(sys.executable).parent / "compose-lint"
    options = ["check", "--quiet", "--strict-config", "--config", ROOT / ".compose-lint.yml", "--fail-on", "high"]
    done = subprocess.run(
        [lint, *options, "compose.yaml"], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", PASSWORDS)
def test_a_password_that_is_not_set_is_named(name: str) -> None:
    """Compose refuses to start, and says where the password belongs."""
    with pytest.raises(VariableMissingError, match=rf"{name}: set it in \.env"):
        project(VARIABLES | {name: ""})


def test_the_example_of_settings_has_every_variable() -> None:
    """A user who copies .env.example finds each password to fill in."""
    assert set(PASSWORDS) <= set(env_file())


@each_service
def test_every_service_says_when_it_is_well(service: Service) -> None:
    """It has a health check of its own or the image's, and comes back when it ends; only the setup ends for good."""
    check = service.entry.get("healthcheck")
    if service.name == "setup":
        assert (check, service.entry["restart"]) == ({"disable": True}, "no")
    else:
        assert service.ours or check["test"][0] == "CMD"
        assert service.entry["restart"] == "unless-stopped"


@each_service
def test_nothing_is_open_to_the_network(service: Service) -> None:
    """Ports are published on the loopback address, and no service gets more rights than it needs."""
    assert all(port.startswith("127.0.0.1:") for port in service.entry.get("ports", []))
    assert "privileged" not in service.entry
    assert "no-new-privileges:true" in service.entry["security_opt"]
    if service.ours:
        assert (service.entry["cap_drop"], service.entry["read_only"], service.entry["init"]) == (["ALL"], True, True)


@each_service
def test_passwords_reach_only_who_needs_them(service: Service) -> None:
    """The administrator's stays with the database, and each side of it knows its own."""
    seen = VARIABLES | service.environment if "env_file" in service.entry else service.environment
    known = {name for name in PASSWORDS if VARIABLES[name] in seen.values()}
    pipeline = {"WAREHOUSE_PASSWORD"}
    allowed = {"database": set(PASSWORDS), "server": {"PREFECT_DATABASE_PASSWORD"}}
    assert known == allowed.get(service.name, pipeline)


@each_service
def test_a_service_waits_for_what_can_become_ready(service: Service) -> None:
    """Healthy is waited for where there is a check, and the end where there is one."""
    for name, condition in service.needs.items():
        assert condition == ("service_completed_successfully" if name == "setup" else "service_healthy")
    assert service.name == "database" or service.needs

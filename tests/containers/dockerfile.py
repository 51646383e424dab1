"""The Dockerfile as data, and its stages carried out in a folder instead of in a container."""

import io
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from docker.utils.build import exclude_paths
from dockerfile_parse import DockerfileParser

from sandbox.place import ROOT

DOCKERFILE = ROOT / "Dockerfile"

#: What is left out of what the file says, and why.
LEFT_OUT = {
    "useradd": "it would make a user on this machine",
    "UV_COMPILE_BYTECODE": "it takes minutes, and what is compiled runs as what isn't",
}


@dataclass
class Stage:
    """One stage: where it begins, and its instructions in order."""

    base: str
    name: str
    instructions: list[tuple[str, str]] = field(default_factory=list)

    def values(self, instruction: str) -> list[str]:
        """Return what the instructions of one kind say."""
        return [value for kind, value in self.instructions if kind == instruction]


@dataclass(frozen=True)
class Image:
    """What a container of the image would find: its folder, its environment and its commands."""

    folder: Path
    environment: dict[str, str]
    command: list[str]
    health_command: list[str]


def stages() -> list[Stage]:
    """Return the stages of the Dockerfile, the last one being the image."""
    found: list[Stage] = []
    parser = DockerfileParser(fileobj=io.BytesIO(DOCKERFILE.read_bytes()))
    for entry in parser.structure:
        kind, value = entry["instruction"], entry["value"]
        if kind == "FROM":
            base, _, name = value.partition(" AS ")
            found.append(Stage(base, name))
        elif kind != "COMMENT":
            found[-1].instructions.append((kind, value))
    return found


def context_files() -> set[str]:
    """Return what `.dockerignore` lets into the build, by the reading of Docker's own client."""
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    patterns = [line for line in lines if line and not line.startswith("#")]
    return {name for name in exclude_paths(str(ROOT), patterns) if (ROOT / name).is_file()}


def pairs(value: str) -> Iterator[tuple[str, str]]:
    """Return names and values of ENV, ARG and LABEL."""
    for word in shlex.split(value):
        name, _, text = word.partition("=")
        yield name, text


def build(folder: Path, **arguments: str) -> Image:
    """
    Carry out the stages below a folder: `app` is what the image has as /app.

    Args:
        folder: stands for the root of the file system.
        arguments: as of `docker build --build-arg`.
    """
    builder, final = stages()[-2:]
    app = folder / "app"
    app.mkdir()
    environment = machine() | {"HOME": os.environ["HOME"]}  # uv's cache is there, as the mount is in Docker
    for kind, value in builder.instructions:
        if kind in {"ENV", "ARG"}:
            environment |= {name: text for name, text in pairs(value) if name not in LEFT_OUT}
            environment |= {name: text for name, text in arguments.items() if name in environment}
        elif kind == "COPY" and "--from" not in value:
            copy(value, app)
        elif kind == "RUN":
            run(value, app, environment)
    keep_only(app, {source.removeprefix("/app/") for source, _ in copied_from(final, builder.name)})
    for value in final.values("COPY"):
        if "--from" not in value:
            copy(value, app)
    return Image(app, machine() | settings(final, folder), words(final, "CMD"), health(final, folder))


def machine() -> dict[str, str]:
    """Return the environment of the base image: paths, a Python to build with, and the way to the package index."""
    uv = shutil.which("uv") or str(ROOT / ".tools" / "bin" / "uv")
    network = {name: os.environ[name] for name in os.environ if re.fullmatch(r"(?i)(ssl|uv)_\w+|\w+_proxy", name)}
    return network | {"PATH": f"{Path(uv).parent}:/usr/local/bin:/usr/bin:/bin", "UV_PYTHON": sys._base_executable}


def settings(stage: Stage, folder: Path) -> dict[str, str]:
    """Return the environment that a stage sets, with its folders below ours."""
    environment: dict[str, str] = {}
    for value in stage.values("ENV"):
        environment |= dict(pairs(value))
    return {name: located(text, folder).replace("$PATH", machine()["PATH"]) for name, text in environment.items()}


def health(stage: Stage, folder: Path) -> list[str]:
    """Return the command of the stage's health check."""
    (check,) = stage.values("HEALTHCHECK")
    return [located(word, folder) for word in literal(check.partition(" CMD ")[2])]


def words(stage: Stage, instruction: str) -> list[str]:
    """Return a command in its list form."""
    (value,) = stage.values(instruction)
    return literal(value)


def literal(value: str) -> list[str]:
    """Return the words of a JSON list."""
    return [str(word) for word in json.loads(value)]


def located(text: str, folder: Path) -> str:
    """Return a path or text with the image's folders below ours."""
    for name in ("/app", "/data"):
        text = text.replace(name, f"{folder}{name}")
    return text


def copied_from(stage: Stage, source: str) -> list[tuple[str, str]]:
    """Return what a stage takes from another one: there, and here."""
    taken = [value.split() for value in stage.values("COPY") if f"--from={source}" in value]
    return [(parts[1], parts[2]) for parts in taken]


def copy(value: str, app: Path) -> None:
    """Carry out a COPY from the context."""
    *sources, target = value.split()
    allowed = context_files()
    for source in sources:
        names = [name for name in allowed if name == source or name.startswith(f"{source}/")]
        if not names:
            raise FileNotFoundError(f"COPY {source}: .dockerignore lets nothing of it into the build")
        for name in names:
            inner = Path(name).name if target == "./" else str(Path(target) / Path(name).relative_to(source))
            (app / inner).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, app / inner)


def run(value: str, app: Path, environment: dict[str, str]) -> str:
    """Carry out a RUN with the shell that Docker takes; mounts only keep a cache."""
    script = " ".join(word for word in value.split(" ") if word and not word.startswith("--mount="))
    done = subprocess.run(
        ["/bin/sh", "-c", script], cwd=app, env=environment, capture_output=True, text=True, timeout=600, check=False
    )
    if done.returncode:
        raise RuntimeError(f"RUN {script}\n{done.stdout}{done.stderr}")
    return done.stdout + done.stderr


def keep_only(app: Path, names: set[str]) -> None:
    """Remove what the next stage doesn't take."""
    for path in app.iterdir():
        if path.name not in names:
            shutil.rmtree(path) if path.is_dir() else path.unlink()

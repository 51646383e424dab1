# syntax=docker/dockerfile:1
# One image for the Prefect server, the worker, the listeners and the command line.

FROM ghcr.io/astral-sh/uv:0.13.9 AS uv

FROM python:3.11-slim AS build
COPY --from=uv /uv /usr/local/bin/uv
WORKDIR /app
ENV UV_PYTHON_DOWNLOADS=never UV_LINK_MODE=copy UV_COMPILE_BYTECODE=1
# Which client libraries to install: extras of pyproject.toml, such as "postgres snowflake salesforce".
ARG EXTRAS="postgres"
COPY pyproject.toml uv.lock README.md LICENSE ./
# Dependencies first: they change less often than the code.
RUN --mount=type=cache,target=/root/.cache/uv \
    set --; for extra in $EXTRAS; do set -- "$@" "--extra=$extra"; done; \
    uv sync --locked --no-dev --no-install-project "$@"
COPY cli.py prefect.yaml ./
COPY enrichment enrichment
COPY blocks blocks
COPY reporting reporting
COPY lookup lookup
COPY tasks tasks
COPY flows flows
COPY triggers triggers
COPY commands commands
# Installed, not linked: the image needs only the environment of this stage.
RUN --mount=type=cache,target=/root/.cache/uv \
    set --; for extra in $EXTRAS; do set -- "$@" "--extra=$extra"; done; \
    uv sync --locked --no-dev --no-editable "$@"

FROM python:3.11-slim
ARG VERSION=unreleased
LABEL org.opencontainers.image.title="contact-enrichment" \
      org.opencontainers.image.description="Contact enrichment on Prefect: server, worker, listeners and command line" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="$VERSION"
RUN useradd --create-home --uid 10001 enrich && install --directory --owner=enrich /data
WORKDIR /app
COPY --from=build /app/.venv .venv
COPY prefect.yaml scripts/healthcheck.py ./
USER 10001
ENV PATH=/app/.venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    DO_NOT_TRACK=1 \
    ENRICHMENT_SQLITE_PATH=/data/enrichment_pipeline.db \
    PREFECT_WORKER_WEBSERVER_HOST=127.0.0.1 \
    PREFECT_WORKER_WEBSERVER_PORT=8080 \
    HEALTH_URL=http://127.0.0.1:8080/health
# Worker and listeners answer there; a container that serves nothing sets HEALTH_URL to an empty value.
HEALTHCHECK --interval=30s --timeout=10s --start-period=90s --retries=3 CMD ["python", "/app/healthcheck.py"]
CMD ["prefect", "worker", "start", "--pool", "enrichment", "--type", "process", "--with-healthcheck"]

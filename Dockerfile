# One image for the worker, the listeners and the command line.
FROM python:3.11-slim AS build
COPY --from=ghcr.io/astral-sh/uv:0.13 /uv /usr/local/bin/uv
WORKDIR /app
ENV UV_PYTHON_DOWNLOADS=never UV_LINK_MODE=copy UV_COMPILE_BYTECODE=1
COPY pyproject.toml uv.lock README.md LICENSE ./
# Dependencies first: they change less often than the code.
RUN uv sync --locked --no-dev --extra postgres --group sandbox --no-install-project
COPY cli.py prefect.yaml ./
COPY enrichment enrichment
COPY blocks blocks
COPY tasks tasks
COPY flows flows
COPY triggers triggers
COPY commands commands
COPY sandbox sandbox
RUN uv sync --locked --no-dev --extra postgres --group sandbox

FROM python:3.11-slim
RUN useradd --create-home --uid 10001 enrich
COPY --from=build --chown=enrich:enrich /app /app
WORKDIR /app
USER enrich
ENV PATH=/app/.venv/bin:$PATH PYTHONUNBUFFERED=1
HEALTHCHECK --interval=60s --timeout=30s CMD ["enrich", "doctor"]
CMD ["prefect", "worker", "start", "--pool", "enrichment"]

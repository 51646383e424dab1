# Every target works on a bare clone: the first one to run builds the environment.
.DEFAULT_GOAL := help
SHELL := /bin/sh
BIN := .venv/bin
export DO_NOT_TRACK := 1
export PREFECT_SERVER_ANALYTICS_ENABLED := false
# Where this is set, each of the many processes compiles all of Prefect again, which takes longer than it runs.
unexport PYTHONDONTWRITEBYTECODE

.venv/.synced: pyproject.toml uv.lock scripts/bootstrap
	@echo "building the environment (once) ..."
	@scripts/bootstrap --compile-bytecode
	@touch $@

# The demo needs a quarter of what the tests need, and installs what a combination needs beyond that.
.venv/.demo: pyproject.toml uv.lock scripts/bootstrap
	@echo "building the environment (once) ..."
	@scripts/bootstrap --inexact --no-default-groups --group sandbox
	@touch $@

help: ## Show this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

demo: .venv/.demo ## Run the whole pipeline on made-up contacts (CONTACTS= CRM= PROVIDER= WAREHOUSE=)
	@$(BIN)/enrich demo $(if $(CONTACTS),--contacts $(CONTACTS)) $(if $(CRM),--crm $(CRM)) \
		$(if $(PROVIDER),--provider $(PROVIDER)) $(if $(WAREHOUSE),--warehouse $(WAREHOUSE))

# Much of the time is waiting: for processes to start, servers to answer, leases to end; so there are five workers on
# two cores. Tests that share a slow stand-in are one group (tests/groups.py), so that it starts once.
PYTEST := $(BIN)/python -m pytest --numprocesses 5 --dist loadscope
DECISIONS := tests/unit/enrichment $(wildcard tests/unit/lookup)

# The tests of decisions also measure which branches they take, which would slow down all others.
test: coverage ## Run all tests, several at once
	@$(PYTEST) $(addprefix --ignore=,$(DECISIONS))

# Neither the stand-ins of cloud warehouses, which take seconds a test, nor notifiers and saved blocks, which need the
# one Prefect server after the pipeline, nor what starts processes as a user does.
test-quick: .venv/.synced ## Run the tests that a change breaks first: units, SQLite and PostgreSQL, the pipeline
	@$(PYTEST) tests/unit tests/contract tests/integration/test_pipeline.py -m "not cloud" \
		--ignore=tests/contract/test_notifiers.py --ignore=tests/unit/blocks/test_saved_blocks.py

# Needs Debian's chromium, nodejs and npm. The screenshots in .cache/browser are there to be looked at.
test-browser: .venv/.synced ## Check the report in a browser, with axe and Lighthouse, and take screenshots
	@npm ci --silent --no-audit --no-fund --prefix tests/browser
	@$(BIN)/python -m tests.browser.build_page .cache/browser/report.html
	@$(BIN)/python -m tests.browser.build_pictures .cache/browser
	@node tests/browser/check.mjs .cache/browser/report.html .cache/browser

# None of these waits for anything.
coverage: .venv/.synced ## Check that the tests of decisions take every branch
	@$(PYTEST) --numprocesses 2 --quiet --cov --cov-report=term $(DECISIONS)

# A history is a few runs on one queue to which a seed lets anything happen; the suite plays 200 of them.
simulate: .venv/.synced ## Play histories of crashes, lost answers and expired locks (SEEDS= FIRST=)
	@$(BIN)/python -m tests.simulation --seeds $(or $(SEEDS),1000) --first $(or $(FIRST),0)

# The suite tries some hundred inputs for each reader.
fuzz: .venv/.synced ## Try whatever may come from outside on the receiver and on every reader (EXAMPLES=)
	@FUZZ_EXAMPLES=$(or $(EXAMPLES),5000) $(PYTEST) --quiet --timeout 0 tests/fuzz

# Needs the network, so neither `make check` nor .ci/run does it. That the lock fits pyproject.toml is checked whenever .venv is built.
audit-dependencies: .venv/.demo ## Look the locked packages up in PyPI's list of known vulnerabilities
	@scripts/audit_dependencies

# What a release left is never written again; until then it follows the present code.
release-data: .venv/.synced ## Keep the tables of the present version, which later ones must go on from
	@$(BIN)/python -m tests.releases

# Takes about ten minutes on two quiet cores.
mutants: .venv/.synced ## Take out one guard after the other, and see that the histories notice
	@$(BIN)/python -m tests.simulation.mutants

# Takes about ten minutes on two quiet cores.
faults: .venv/.synced ## Kill, interrupt and rob real processes at their steps (HISTORIES= FIRST=)
	@$(BIN)/python -m tests.faults --histories $(or $(HISTORIES),120) --first $(or $(FIRST),0)

# Takes about half an hour on two quiet cores. `python -m bench --help` says how to measure a part of it.
bench: .venv/.synced ## Measure speed and cost beside simpler programs, and write docs/performance.md
	@$(BIN)/python -m bench --save bench/results.json
	@$(BIN)/python -m bench.live --way resident --way worker --save bench/live.json
	@$(BIN)/python scripts/docs_performance.py

check: .venv/.synced ## Run linters, formatter check, types and import rules
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache

format: .venv/.synced ## Format the code
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

docs: .venv/.synced ## Generate the pages in docs/ that are made from the code
	@for script in scripts/docs_*.py; do $(BIN)/python $$script || exit 1; done

interfaces: .venv/.synced ## Compile the gRPC interface again
	@scripts/interfaces

ui: .venv/.demo ## Show the demo's runs in Prefect's UI on http://127.0.0.1:4200
	@PREFECT_HOME="$(CURDIR)/.demo/prefect" $(BIN)/prefect server start

clean: ## Remove the environment and the demo's files
	rm -rf .venv .tools .demo .cache

.PHONY: help demo test test-quick test-browser coverage simulate fuzz audit-dependencies release-data mutants faults bench check format docs interfaces ui clean

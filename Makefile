# Everything is made from the lock files into two environments: .venv (the harness) and backend/.venv (the stack under test).
# Options are given on the command line; what the shell exports under such common names (HOST, USERS) is not meant for us.
# Paths are relative on purpose: the checkout may lie in a folder with spaces.

PYTHON ?= python3
USERS =
SCENARIO = phase5
DURATION =
WORKERS =
HOST =
GRAFANA =
STACK = auto
SEED =
SPEED =
OUT = results
SERVERS = wheels
METRICS_PORT =
QUICK =
INFLUX =
SUITE = nightly
AGAINST =
ACCEPT =
ROUNDS =
START =
HIGHEST =
PRECISION =
TRIES =
STEP =
PLATEAU =
ENV =
OPTIONAL =
VOLUMES =
SERVICE =

RUN := .venv/bin/python -m loadtests
flags = $(if $(USERS),--users "$(USERS)") $(if $(DURATION),--duration "$(DURATION)") $(if $(WORKERS),--workers "$(WORKERS)") \
	$(if $(HOST),--host "$(HOST)") $(if $(SEED),--seed "$(SEED)") $(if $(SPEED),--speed "$(SPEED)") $(if $(METRICS_PORT),--metrics-port "$(METRICS_PORT)") \
	$(if $(INFLUX),--influx "$(INFLUX)")

.DEFAULT_GOAL := help
.PHONY: help setup setup-dev loadtest doctor audit capacity nightly validate test test-unit check lint types format docs dashboards bench bench-stack bench-metrics bench-probes bench-ledger bench-capacity bench-compare bench-master bench-db lock clean test-hosts env up down logs test-containers bench-sizes

help: ## this list
	@echo 'make loadtest [USERS= SCENARIO=phase5 DURATION= WORKERS= HOST= STACK=auto|embedded|compose|none SEED= SPEED= OUT= SERVERS=wheels|system METRICS_PORT= INFLUX=]'
	@grep -hE '^[a-z][a-z-]*:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{ printf "  make %-12s %s\n", $$1, $$2 }'

loadtest: setup ## run a scenario against the stack, or against HOST, and print its verdict
	@$(RUN) run "$(SCENARIO)" $(flags) --stack "$(STACK)" --servers "$(SERVERS)" --out "$(OUT)"

env: setup ## write .env with secrets for the containers, once
	@$(RUN) compose env

up: setup ## bring stack and metrics up in containers, and leave them up [USERS=10000]
	@$(RUN) compose up $(if $(USERS),--users "$(USERS)")

down: setup ## take all containers down [VOLUMES=1: metrics' data too]
	@$(RUN) compose down $(if $(filter-out 0 no false,$(VOLUMES)),--volumes)

logs: setup ## what the containers said [SERVICE="api worker"]
	@$(RUN) compose logs $(SERVICE)

# SCENARIO is that of loadtest unless the command line says another; ENV is a list such as ENV="API_INSTANCES=2 CACHE=off".
searched = $(if $(filter command,$(firstword $(origin SCENARIO))),$(SCENARIO),capacity)
capacity: setup ## search for the highest rate that meets all objectives [SCENARIO=capacity START= HIGHEST= PRECISION= STEP= PLATEAU= ENV=]
	@$(RUN) capacity "$(searched)" $(foreach one,$(ENV),--env "$(one)") $(if $(START),--start "$(START)") \
		$(if $(HIGHEST),--highest "$(HIGHEST)") $(if $(PRECISION),--precision "$(PRECISION)") $(if $(TRIES),--tries "$(TRIES)") $(if $(STEP),--step "$(STEP)") \
		$(if $(PLATEAU),--plateau "$(PLATEAU)") $(if $(WORKERS),--workers "$(WORKERS)") $(if $(HOST),--host "$(HOST)") \
		$(if $(SEED),--seed "$(SEED)") $(if $(METRICS_PORT),--metrics-port "$(METRICS_PORT)") \
		$(if $(INFLUX),--influx "$(INFLUX)") --stack "$(STACK)" --servers "$(SERVERS)" --out "$(OUT)"

nightly: setup ## run a suite several times and compare it with its baseline [SUITE=nightly AGAINST=../other ACCEPT=1 ROUNDS= WORKERS= OUT=]
	@$(RUN) nightly "$(SUITE)" $(if $(AGAINST),--against "$(AGAINST)") $(if $(filter-out 0 no false,$(ACCEPT)),--accept) $(if $(ROUNDS),--rounds "$(ROUNDS)") \
		$(if $(WORKERS),--workers "$(WORKERS)") --servers "$(SERVERS)" --out "$(OUT)"

doctor: setup ## check what a load needs of this machine, and say what to set [SCENARIO=phase5 USERS= WORKERS= STACK= INFLUX=]
	@$(RUN) doctor "$(SCENARIO)" $(if $(USERS),--users "$(USERS)") $(if $(WORKERS),--workers "$(WORKERS)") $(if $(HOST),--host "$(HOST)") \
		$(if $(INFLUX),--influx "$(INFLUX)") --stack "$(STACK)" --servers "$(SERVERS)" --out "$(OUT)"

audit: .make/audit/.runtime ## known vulnerabilities of what the lock files pin (OPTIONAL=1: where no service can be asked, too)
	@.make/audit/bin/python scripts/audit.py .make/audit/bin/pip-audit $(if $(OPTIONAL),--optional) requirements.lock backend/requirements.lock

validate: setup ## check every scenario file
	@$(RUN) validate scenarios/*.toml

# Most tests wait for something most of the time, so two at once take little more than half of the time, on any machine.
test: setup-dev ## all tests, on servers that they start themselves
	@sh scripts/install_packages.sh nginx:nginx-light openssl:openssl influxd:influxdb chromium:chromium
	@.venv/bin/python -m pytest -n 2 --dist loadfile -m "not alone"
	@.venv/bin/python -m pytest -m alone
	@$(RUN) servers --cwd backend -- .venv/bin/python -m pytest

test-hosts: setup-dev ## a run on four machines that are network namespaces, three minutes; as root
	@TEST_HOSTS=1 .venv/bin/python -m pytest -rP tests/hosts

test-containers: setup ## images and docker-compose.yml with real containers; root on Debian, ten minutes
	@tests/containers/run.sh

test-unit: setup-dev ## the tests that need no server, in seconds
	@.venv/bin/python -m pytest tests/unit tests/property

check: lint types test ## lint, layers, types and all tests

lint: setup-dev ## ruff and the layers
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/lint-imports
	@cd backend && .venv/bin/ruff check . && .venv/bin/ruff format --check .

types: setup-dev ## mypy --strict
	@.venv/bin/mypy
	@cd backend && .venv/bin/mypy

format: setup-dev ## rewrite the sources as ruff would have them
	@.venv/bin/ruff check --fix . && .venv/bin/ruff format .
	@cd backend && .venv/bin/ruff check --fix . && .venv/bin/ruff format .

setup: .venv/.runtime backend/.venv/.runtime ## build both environments (done by every target that needs them)

setup-dev: .venv/.dev backend/.venv/.dev ## the same, with what checks and tests need

docs: setup ## write docs/scenarios.md from the schema
	@.venv/bin/python scripts/scenario_reference.py

dashboards: setup ## write dashboards/json, and put it into the Grafana at GRAFANA=http://... (with INFLUX= as it sees it)
	@.venv/bin/python -m dashboards
	@$(if $(GRAFANA),$(RUN) dashboards --grafana "$(GRAFANA)" $(if $(INFLUX),--influx "$(INFLUX)"))

bench: setup ## the generator against its peers, 20 minutes (QUICK=1: under five); writes benchmarks/README.md
	@sh scripts/install_packages.sh nginx:nginx-light wrk:wrk hey:hey ab:apache2-utils
	@.venv/bin/python -m benchmarks.generator $(if $(QUICK),--quick)

bench-stack: setup ## the stack against the guide's sketch and less one feature at a time (QUICK=1: under ten minutes)
	@sh scripts/install_packages.sh nginx:nginx-light
	@.venv/bin/python -m benchmarks.stack $(if $(QUICK),--quick)

bench-metrics: setup-dev ## what sending metrics to InfluxDB takes of the generator's throughput, 5 minutes
	@sh scripts/install_packages.sh nginx:nginx-light influxd:influxdb
	@.venv/bin/python -m benchmarks.metrics

bench-probes: setup ## what all of phase5's probes take of the stack's throughput, 5 minutes
	@sh scripts/install_packages.sh nginx:nginx-light
	@.venv/bin/python -m benchmarks.probes

bench-ledger: setup ## memory and time of a million accepted tasks, from the workers' files to the books, a minute
	@$(RUN) servers -- .venv/bin/python -m benchmarks.ledger

bench-sizes: setup ## what a second of a run weighs by workers and endpoints, seconds (FOLDER=results/... for the bytes of answers); writes docs/big-loads.md
	@.venv/bin/python -m benchmarks.sizes $(if $(FOLDER),--run "$(FOLDER)")

bench-master: setup ## what the master costs by the number of its workers, 5 minutes on a quiet machine; writes docs/big-loads.md
	@.venv/bin/python -m benchmarks.master

bench-capacity: setup ## how far this machine goes and what a request costs each service, 40 minutes; writes docs/capacity.md
	@sh scripts/install_packages.sh nginx:nginx-light
	@.venv/bin/python -m benchmarks.capacity

bench-compare: setup ## ten comparisons of equal builds, ten with an endpoint that takes 15 % longer: who is flagged, an hour
	@sh scripts/install_packages.sh nginx:nginx-light
	@.venv/bin/python -m benchmarks.comparison

bench-db: setup ## every query of the API on a million tasks: its plan, its time
	@$(RUN) servers --cwd backend -- .venv/bin/python -m benchmarks.database

lock: setup-dev ## make the lock files anew from the .in files, with the newest versions
	@.venv/bin/python -m pip install -q uv
	@for name in requirements backend/requirements; do \
		.venv/bin/uv pip compile -q --upgrade --universal --generate-hashes --python-version 3.11 --no-header \
			$$name.in -o $$name.lock && \
		.venv/bin/uv pip compile -q --upgrade --universal --generate-hashes --python-version 3.11 --no-header \
			-c $$name.lock $$name-dev.in -o $$name-dev.lock || exit 2; done
	@.venv/bin/uv pip compile -q --upgrade --universal --generate-hashes --python-version 3.11 --no-header \
		requirements-audit.in -o requirements-audit.lock

clean: ## remove the environments and all caches; results stay
	@rm -rf .venv backend/.venv .make/audit .mypy_cache .pytest_cache .ruff_cache .hypothesis *.egg-info

# $(call environment,folder): a virtual environment whose pip can read the locks' hashes.
define environment
	@$(1)/bin/python -m pip --version >/dev/null 2>&1 || { echo "building $(1)"; $(PYTHON) scripts/check_python.py && $(PYTHON) -m venv --clear $(1); }
endef

# $(call install,folder,lock): exactly what the lock says, by hash.
define install
	@$(1)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $(2) || \
		{ echo "$(1): the packages of $(2) could not be installed" >&2; exit 2; }
endef

.venv/.runtime: requirements.lock pyproject.toml
	$(call environment,.venv)
	$(call install,.venv,requirements.lock)
	@.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

.venv/.dev: requirements-dev.lock .venv/.runtime
	$(call install,.venv,requirements-dev.lock)
	@touch $@

.make/audit/.runtime: requirements-audit.lock
	$(call environment,.make/audit)
	$(call install,.make/audit,requirements-audit.lock)
	@touch $@

backend/.venv/.runtime: backend/requirements.lock
	$(call environment,backend/.venv)
	$(call install,backend/.venv,backend/requirements.lock)
	@touch $@

backend/.venv/.dev: backend/requirements-dev.lock backend/.venv/.runtime
	$(call install,backend/.venv,backend/requirements-dev.lock)
	@touch $@

# pydock's commands. Every target can be run on a fresh Debian 12 as root, with git, make and Python >= 3.11.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMPS := $(VENV)/.stamps

# what pydockd needs on a host
DEBIAN := conmon runc nftables libnftables1 iproute2 golang-github-containers-common
# what the demo adds: a real registry and something to put into an image
DEBIAN_DEMO := $(DEBIAN) docker-registry busybox-static
# what the tests add: oracles to compare with, and tools to break things
DEBIAN_TEST := $(DEBIAN_DEMO) crun skopeo umoci buildah btrfs-progs podman docker.io strace procps openssl
# what the benchmarks add: peers
DEBIAN_BENCH := $(DEBIAN_DEMO) podman docker.io skopeo debootstrap e2fsprogs

# one more than processors: a test waits for its daemon much of the time
JOBS ?= $(shell expr $$(nproc) + 1)
PYTEST := $(BIN)/python -m pytest
# whole files to each worker, the longest first (reconciler/testing/order.py)
SPREAD := -n $(JOBS) --dist loadfile --no-loadscope-reorder

# so that no daemon of a test compiles what was edited, also where the environment forbids it to keep what it compiled
COMPILE := @env -u PYTHONDONTWRITEBYTECODE $(BIN)/python -m compileall -q reconciler

.PHONY: help
help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: setup
setup: $(STAMPS)/debian $(STAMPS)/python ## install the Debian packages and make .venv with pydock and pydockd in .venv/bin

.PHONY: demo
demo: $(STAMPS)/debian-demo $(STAMPS)/python ## set up and watch files turn into running containers (KEEP=1 leaves it running)
	$(BIN)/python packaging/demo.py $(if $(KEEP),--keep)

.PHONY: test
test: $(STAMPS)/debian-test $(STAMPS)/python-dev check ## set up, check the code and run all tests
	$(COMPILE)
	$(PYTEST) $(SPREAD) --durations=25 --durations-min=1 tests

.PHONY: test-unit
test-unit: $(STAMPS)/debian-test $(STAMPS)/python-dev ## run the fast tests only
	$(PYTEST) $(SPREAD) tests/unit

.PHONY: check
check: lint types contracts

.PHONY: lint
lint: $(STAMPS)/python-dev ## ruff: style and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

.PHONY: types
types: $(STAMPS)/python-dev ## mypy --strict
	$(BIN)/mypy

.PHONY: contracts
contracts: $(STAMPS)/python-dev ## import-linter: which room may import which
	$(BIN)/lint-imports --no-cache

.PHONY: format
format: $(STAMPS)/python-dev ## put the code into its format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

.PHONY: bench
bench: $(STAMPS)/debian-bench $(STAMPS)/python-dev ## measure against podman, docker, and bare conmon+runc, side by side
	$(BIN)/python -m bench

.PHONY: reference
reference: $(STAMPS)/python-dev ## write schemas/ and docs/reference anew from the types and the commands
	$(BIN)/python docs/generate.py

.PHONY: lock
lock: ## pin all Python packages anew (needs uv)
	uv pip compile -q --universal --generate-hashes --python-version 3.11 --no-header pyproject.toml -o packaging/requirements.lock
	uv pip compile -q --universal --generate-hashes --python-version 3.11 --no-header --no-annotate --group dev \
	    -c packaging/requirements.lock pyproject.toml -o packaging/requirements-dev.lock

.PHONY: wheel
wheel: $(STAMPS)/python-dev ## build dist/*.whl
	$(BIN)/python -m pip wheel -q --no-deps --no-build-isolation -w dist .

.PHONY: clean
clean: ## remove what these commands made in this directory
	rm -rf $(VENV) dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Packages are asked of dpkg, so that a host that has them all needs no network.
$(STAMPS)/debian: | $(STAMPS)
	packaging/debian-packages $(DEBIAN)
	touch $@
$(STAMPS)/debian-demo: | $(STAMPS)
	packaging/debian-packages $(DEBIAN_DEMO)
	touch $@
$(STAMPS)/debian-test: | $(STAMPS)
	packaging/debian-packages $(DEBIAN_TEST)
	touch $@
$(STAMPS)/debian-bench: | $(STAMPS)
	packaging/debian-packages $(DEBIAN_BENCH)
	touch $@

$(STAMPS):
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "pydock needs Python 3.11 or newer; set PYTHON=...")'
	$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || packaging/debian-packages python3-venv
	$(PYTHON) -m venv $(VENV)
	mkdir -p $@

$(STAMPS)/python: packaging/requirements-dev.lock pyproject.toml | $(STAMPS)
	$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r packaging/requirements-dev.lock
	$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	env -u PYTHONDONTWRITEBYTECODE $(BIN)/python -m compileall -q $(VENV)/lib reconciler || true
	touch $@
$(STAMPS)/python-dev: $(STAMPS)/python
	touch $@

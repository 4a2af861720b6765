# Needs Python 3.11 or newer, git and make; redis-server, too, or the tests that need it are skipped. Each target sets up
# what else it needs; `make` lists them.

# Interpreters to try, in this order. One by name: make test PYTHON=python3.13
PYTHON ?= python3 python3.13 python3.12 python3.11
# The version of uv that `make lock` installs for itself: another one may write the locks differently.
UV_VERSION := 0.13.8

# pyright would ask a registry for a newer version of itself and say so; the lock decides.
export PYRIGHT_PYTHON_IGNORE_WARNINGS := 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_ROOT_USER_ACTION := ignore

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test test-lowest lint format types bench docs lock clean setup

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: .venv/.stamp ## See it work: a local server with faults, a client with a stack
	.venv/bin/llmstack demo

test: .venv/.stamp ## Run the tests (more pytest options: make test ARGS="-k retry -x")
	.venv/bin/python -m pytest $(ARGS)

test-lowest: .venv-lowest/.stamp ## Run the tests with the oldest version of each dependency we allow
	.venv-lowest/bin/python -m pytest $(ARGS)

lint: .venv/.stamp ## Check style and formatting
	.venv/bin/ruff check
	.venv/bin/ruff format --check

format: .venv/.stamp ## Repair style and formatting where a tool can
	.venv/bin/ruff check --fix-only
	.venv/bin/ruff format

types: .venv/.stamp ## Check types, with mypy and with pyright
	@status=0; \
	.venv/bin/mypy llmstack benchmarks $(wildcard tests/typing plugins/*/llmstack_*) || status=1; \
	.venv/bin/pyright || status=1; \
	exit $$status

bench: .venv/.stamp ## Measure what a call costs
	.venv/bin/python -m benchmarks $(ARGS)

docs: .venv-docs/.stamp ## Build the documentation as a site, in site/; a broken link is an error
	.venv-docs/bin/zensical build --clean --strict

setup: .venv/.stamp ## Only create .venv

clean: ## Remove the environments and all caches
	rm -rf .venv .venv-docs .venv-lowest .venv-uv .cache dist site .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage*
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# --- environments -----------------------------------------------------------------------------------------------------
# The project, and each package in plugins/.
PROJECTS := ./pyproject.toml $(wildcard plugins/*/pyproject.toml)

# A stamp means: made here, from these files, to the end. A folder without one (half made, or made by another tool and
# perhaps without pip) is made anew; one that is only out of date is brought up to date.

.venv/.stamp: requirements.lock $(PROJECTS)
	$(make-environment)

.venv-lowest/.stamp: requirements-lowest.lock $(PROJECTS)
	$(make-environment)

# The pages' tool needs nothing of the project: it reads the docstrings without importing them.
.venv-docs/.stamp: PROJECTS :=
.venv-docs/.stamp: requirements-docs.lock
	$(make-environment)

define make-environment
@set -eu; \
environment=$(@D); \
if ! { [ -f $@ ] && $$environment/bin/python -m pip --version >/dev/null 2>&1; }; then \
  python=; \
  for candidate in $(PYTHON); do \
    python=$$($$candidate -c 'import sys, venv, ensurepip; assert sys.version_info >= (3, 11); print(sys._base_executable)' 2>/dev/null) \
      && break || python=; \
  done; \
  if [ -z "$$python" ]; then \
    echo 'No usable Python among: $(PYTHON).' >&2; \
    echo 'Install Python 3.11 or newer with its venv module (on Debian and Ubuntu: python3-venv),' >&2; \
    echo 'or name one: make $(firstword $(MAKECMDGOALS)) PYTHON=/path/to/python3' >&2; \
    exit 1; \
  fi; \
  echo "Creating $$environment with $$($$python --version) (once; about half a minute)"; \
  rm -rf $$environment; \
  $$python -m venv $$environment; \
fi; \
echo "Installing $< into $$environment"; \
rm -f $@; \
$$environment/bin/python -m pip install --quiet --require-hashes -r $<; \
$(if $(PROJECTS),$$environment/bin/python -m pip install --quiet --no-deps --no-build-isolation \
  $(addprefix -e ,$(dir $(PROJECTS)));) \
$$environment/bin/python -m pip check; \
touch $@
endef

# --- locks ------------------------------------------------------------------------------------------------------------
# Hash-pinned, for every Python and platform at once, and without the address of any index. What is locked already stays
# as long as it fits; to raise it: make lock UPGRADE=--upgrade

UV ?= .venv-uv/bin/uv
PIN = $(UV) pip compile --quiet --no-config --universal --python-version 3.11 --no-header
COMPILE = $(PIN) pyproject.toml --all-extras
HASHED = --generate-hashes --no-emit-index-url $(UPGRADE)
LOCK = $(COMPILE) --group dev $(HASHED)

lock: $(if $(filter .venv-uv/%,$(UV)),.venv-uv/bin/uv) ## Write the requirements files anew from pyproject.toml
	$(LOCK) --group frameworks -o requirements.lock
	$(PIN) --group docs $(HASHED) -o requirements-docs.lock
	lowest=$$(mktemp) && trap 'rm -f "$$lowest"' EXIT && \
	$(COMPILE) --group plugins --no-deps --no-annotate --resolution lowest-direct > "$$lowest" && \
	$(LOCK) --group frameworks-oldest -c "$$lowest" --no-annotate -o requirements-lowest.lock
	@! grep -n '://' requirements*.lock

.venv-uv/bin/uv:
	$(firstword $(PYTHON)) -m venv .venv-uv
	.venv-uv/bin/python -m pip install --quiet uv==$(UV_VERSION)

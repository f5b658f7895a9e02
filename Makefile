# Every chore. `make help` lists them.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin
PARALLEL := -n auto --maxprocesses 4 --dist loadfile

.PHONY: help setup finetune sandbox demo test slow check format bench lock wheel clean

help: ## list the chores
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  make \1\t\2/' | expand -t 16

setup: .venv/.ready ## make .venv with the pinned packages

.venv/.ready: requirements.lock pyproject.toml hatch_build.py
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "funcforge needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) -V 2>&1)." \
	       "Set another one: make PYTHON=python3.12" >&2; exit 1; }
	@echo "Installing the pinned packages into .venv ..."
	@$(PYTHON) -m venv .venv > .venv.log 2>&1 || { \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get > /dev/null; then \
	    apt-get update -qq > .venv.log && apt-get install -y -qq python3-venv >> .venv.log 2>&1 \
	    && $(PYTHON) -m venv --clear .venv; \
	  else cat .venv.log; echo "Run: sudo apt-get install python3-venv" >&2; exit 1; fi; }
	@rm -f .venv.log
	@{ $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps \
	     --require-hashes -r requirements.lock \
	   && $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps \
	     --no-build-isolation -e .; } > .venv/install.log 2>&1 || { cat .venv/install.log; exit 1; }
	@$(BIN)/python -m compileall -q engine adapters storage > /dev/null
	@touch .venv/.ready

finetune: setup ## install what fine-tuning on this machine takes: torch, transformers, trl, peft
	@{ $(BIN)/python -m pip install --quiet --disable-pip-version-check torch==2.13.0 \
	   && $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps \
	     -r requirements-finetune.txt; } > .venv/finetune.log 2>&1 || { cat .venv/finetune.log; exit 1; }

sandbox: ## install bubblewrap, the sandbox, if it is missing
	@command -v bwrap > /dev/null || { \
	  if command -v apt-get > /dev/null && [ "$$(id -u)" = 0 ]; then \
	    echo "Installing bubblewrap ..."; \
	    { apt-get update -qq && apt-get install -y -qq bubblewrap; } > /dev/null 2>&1; \
	  elif command -v apt-get > /dev/null && sudo -n true 2> /dev/null; then \
	    echo "Installing bubblewrap ..."; \
	    { sudo apt-get update -qq && sudo apt-get install -y -qq bubblewrap; } > /dev/null 2>&1; \
	  else \
	    echo "The sandbox needs bubblewrap. Run: sudo apt-get install bubblewrap" >&2; \
	  fi; }

demo: setup sandbox ## train the example: no key, no network
	@$(BIN)/funcforge train examples/quickstart.toml

test: setup sandbox ## run the tests, but for the slow ones
	@$(BIN)/pytest -m "not slow" $(PARALLEL)

slow: setup sandbox ## run the slow tests: hostile code, recorded dialogues, more providers
	@$(BIN)/pytest -m slow $(PARALLEL)

check: setup ## lint, formatting, strict types, import rule
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/mypy -p funcforge
	@$(BIN)/lint-imports --no-cache

format: setup ## format the code
	@$(BIN)/ruff check --fix-only --quiet . && $(BIN)/ruff format .

bench: setup sandbox ## run the benchmarks; results go to benchmarks/results
	@$(BIN)/python -m benchmarks

lock: setup ## pin the newest packages that pyproject.toml allows
	@$(BIN)/python -m pip install --quiet uv
	@$(BIN)/uv pip compile pyproject.toml --group dev --universal --generate-hashes \
	  --python-version 3.11 --no-emit-index-url --no-header --quiet --upgrade -o requirements.lock

wheel: setup ## build sdist and wheel into dist/
	@$(BIN)/python -m build --no-isolation --outdir dist . > /dev/null

clean: ## remove what the chores made
	@rm -rf .venv .dev dist .mypy_cache .ruff_cache .pytest_cache

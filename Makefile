# Two commands do everything: `make demo` and `make test`. `make help` lists the rest.

PYTHON ?= python3
BIN := .venv/bin
SOURCES := benchmarks components docs pipeline trainer tools tests setup.py

.PHONY: help venv ready ready-to-test demo test lint format docs constraints clean
.DEFAULT_GOAL := help
.NOTPARALLEL:

help: ## list the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /\1\t/' | expand -t 14

venv: ## make .venv, with PYTHON (default python3); a no-op once that is done
	@$(PYTHON) -m tools.make_venv

# As venv, and installs missing Debian packages where it may (root on Debian).
ready:
	@$(PYTHON) -m tools.make_venv --install-missing

# As ready, with the browser that the tests look at pages with.
ready-to-test:
	@$(PYTHON) -m tools.make_venv --install-missing --for-tests

demo: ready ## set everything up, then train, judge and push a model on real images
	$(BIN)/effnet demo

test: ready-to-test lint ## set everything up, then check the style, the types and the tests
	$(BIN)/python -m pytest

# These two use the .venv that is there, and never make it again under running work.
lint: ## style, formatting, types and the direction of imports
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/mypy
	$(BIN)/lint-imports --verbose

format: ## rewrite the sources in the project's style
	$(BIN)/ruff check --fix $(SOURCES)
	$(BIN)/ruff format $(SOURCES)

docs: ## build the documentation's site in site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

# One resolution for all supported Pythons; the gpu extra's CUDA wheels are left to its user.
# Keeps the versions which still fit; `make constraints UPGRADE=--upgrade` takes the newest.
constraints: ## bring constraints.txt into line with setup.py, by the uv in .venv
	$(BIN)/python -m tools.uv pip compile $(UPGRADE) --quiet --universal --python-version 3.11 \
	    --extra demo --extra dev --extra kfp --extra s3 --extra gcs \
	    --no-annotate --custom-compile-command "make constraints" \
	    --output-file constraints.txt setup.py

clean: ## remove .venv and the tools' caches
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .import_linter_cache build site *.egg-info
	find . -name __pycache__ -prune -exec rm -rf {} +

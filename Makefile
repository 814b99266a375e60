# The commands for people and CI; each sets up all that it needs. `make` alone lists them.
#
# Variables: PYTHON=python3.12 (interpreter for .venv), ARGS="..." (passed to the demo, pytest or the benchmarks).

SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help demo test lint format bench screenshots lock clean

export PYTHON
ARGS ?=

help:  ## list these commands
	@sed -nE 's/^([a-z]+):.*## (.*)/  make \1\t\2/p' Makefile | expand -t 18

demo:  ## set up, then build the sample company's dataset and its report
	@tools/setup.sh demo
	@.venv/bin/stellwerk demo $(ARGS)

test:  ## set up, then style, types, layers and all tests
	@tools/setup.sh test
	@tools/check.sh all $(ARGS)

lint:  ## style, types and layers, without the tests
	@tools/setup.sh test
	@tools/check.sh lint

format:  ## rewrite the code to the project's style
	@tools/setup.sh test
	@.venv/bin/python -m ruff check --fix-only --quiet .
	@.venv/bin/python -m ruff format .

bench:  ## measure speed and peak memory (what: benchmarks/README.md)
	@tools/setup.sh test
	@.venv/bin/python -m benchmarks $(ARGS)

screenshots:  ## pictures of every page of demo-workspace, wide and on a phone, light and dark, in both languages
	@tools/setup.sh test
	@.venv/bin/python tools/screenshots.py $(ARGS)

lock:  ## renew constraints.txt with the newest versions that pyproject.toml allows
	@tools/lock.sh

clean:  ## remove .venv, caches, build outputs and the demo's workspace
	@rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache build dist demo-workspace
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
	@echo "removed .venv, caches, build outputs and demo-workspace"

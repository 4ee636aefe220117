# Two commands on a fresh machine, with Python 3.11+ and make and nothing else:  make run  ·  make test
# Another Python:  make PYTHON=python3.12 run

PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.stamp
PACKAGES := features models needs
UV := build/uv/bin/uv
COMPILE := compile pyproject.toml --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --no-annotate --no-header --quiet

.DEFAULT_GOAL := help
.PHONY: help env run test long check format lint types imports smoke bench docs lock upgrade clean
.NOTPARALLEL:

help:  ## say what each target does
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' Makefile | expand -t 10

env: $(STAMP)  ## make the environment in .venv (done again only when the lock or pyproject.toml change)

$(STAMP): requirements-dev.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "$(PYTHON) is older than Python 3.11. Name another one: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 2; }
	@echo "Making the environment in .venv (a few minutes the first time)"
	@$(BIN)/python -c '' 2>/dev/null || $(PYTHON) -m venv --clear .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

run: env  ## draw the simulated region if data/raw is empty, then run the whole nightly chain
	@if [ -z "$$(find data/raw -type f 2>/dev/null | head -n 1)" ]; then $(BIN)/needs demo --scale demo; fi
	@$(BIN)/needs nightly

test: env  ## pass the tests and doctests, in parallel: one thread for each process
	OMP_NUM_THREADS=1 $(BIN)/pytest -n auto --dist loadfile -m "not long"

long: env  ## pass the tests that take their time: whole worlds and markets, nights that break, killed jobs
	OMP_NUM_THREADS=1 $(BIN)/pytest -n auto --dist loadfile -m long

check: env lint types imports test long smoke  ## everything a commit must pass

lint: env
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: env
	$(BIN)/mypy

imports: env
	$(BIN)/lint-imports --no-logo

smoke: env  ## build the wheel and run it in a clean environment, far from the repository
	$(BIN)/python tests/wheel_smoke.py

format: env  ## lay out the code and mend what can be mended
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: env  ## run every benchmark and print its figures beside their bounds
	$(BIN)/python benchmarks/run.py

docs: env  ## write the reference anew and build the pages of docs/ into build/site; a broken link stops it
	$(BIN)/python -m needs.show.reference docs/reference
	$(BIN)/mkdocs build --strict --quiet --config-file docs/site/mkdocs.yml

lock: $(UV)  ## write the locks anew after a change of pyproject.toml; versions stay where they can
	$(UV) pip $(COMPILE) -o requirements.lock
	$(UV) pip $(COMPILE) --extra postgres --group dev -c requirements.lock -o requirements-dev.lock

upgrade:  ## write the locks anew with the newest versions
	rm -f requirements.lock requirements-dev.lock
	$(MAKE) lock

$(UV):
	$(PYTHON) -m venv build/uv
	build/uv/bin/python -m pip install --quiet --disable-pip-version-check 'uv>=0.9'

clean:  ## remove the environment and what tools left; data/ and var/ stay
	rm -rf .venv build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find $(PACKAGES) tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

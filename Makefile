# `make run` and `make test` each do all the set-up on a fresh machine.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CONSTRAINTS := constraints.txt
EXAMPLES := serve/examples/*.txt

.PHONY: run test lint demo clean gate slow

run: $(VENV)/.run
	$(BIN)/themewatch classify $(EXAMPLES)

test: $(VENV)/.test lint
	$(BIN)/python -m pytest -m "not slow"

gate: $(VENV)/.test
	$(BIN)/python -m pytest -m slow tests/test_gate.py

slow: $(VENV)/.test
	$(BIN)/python -m pytest -m slow

lint: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

demo: $(VENV)/.test
	$(BIN)/themewatch serve

$(VENV)/bin/pip:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.run: $(VENV)/bin/pip pyproject.toml $(CONSTRAINTS)
	$(BIN)/pip install --quiet --constraint $(CONSTRAINTS) --editable .
	touch $@

$(VENV)/.test: $(VENV)/bin/pip pyproject.toml $(CONSTRAINTS)
	$(BIN)/pip install --quiet --constraint $(CONSTRAINTS) --editable '.[all,dev]'
	touch $@ $(VENV)/.run

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache build dist *.egg-info

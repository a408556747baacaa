# Two commands are enough: `make run` serves the application, `make test` tests it. `make help` names the others.

PYTHON ?= python3
ROW ?=
ROUNDS ?= 5
QUICK ?=
USERS ?= 50
DURATION ?= 300
OUT ?= shots
GUIDE ?=
LOCK_OPTIONS ?=

VENV := .venv/bin
LOCK := $(VENV)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--no-emit-find-links $(LOCK_OPTIONS)
export UV_CUSTOM_COMPILE_COMMAND := make lock

.PHONY: help run demo test lint corpus e2e axe faults shots bench load lock icons tabler installed installed-to-test

help:  ## name the targets
	@sed -n 's/^\([a-z0-9-]*\):.*##/\1\t/p' Makefile | expand -t 12

run: installed  ## serve on http://127.0.0.1:8000 (PORT= changes that), setting up what is not yet
	@exec $(VENV)/python -m accessaudience.supervisor

demo: installed  ## serve with sample data and a Klaviyo that is played, to try everything without a key
	@$(VENV)/python bin/demo.py

test: installed-to-test  ## run the whole suite: on SQLite, on PostgreSQL, in Chromium
	@$(VENV)/python bin/test.py

lint: installed-to-test  ## check style, types, templates, imports, migrations and settings
	@$(VENV)/python bin/lint.py

corpus: installed-to-test  ## read every sample file on both databases, a line each
	@$(VENV)/python bin/test.py corpus

e2e: installed-to-test  ## use the pages in Chromium
	@$(VENV)/python bin/test.py e2e

axe: installed-to-test  ## check every page for accessibility, light and dark
	@$(VENV)/python bin/test.py axe

faults: installed-to-test  ## break things on both databases, and print what came of each
	@$(VENV)/python bin/test.py faults

shots: installed-to-test  ## take a picture of every page into OUT=folder, and see that all fits (GUIDE=1: those of docs/)
	@$(VENV)/python bin/test.py $(if $(GUIDE),guide --out docs/img,shots --out "$(OUT)")

bench: installed-to-test  ## measure what is promised and write it down (ROW= one row, ROUNDS= fewer, QUICK=1 only sees that it runs)
	@$(VENV)/python bench/run.py $(if $(QUICK),--quick,--write) --rounds $(ROUNDS) $(ROW)

load: installed-to-test  ## let 50 people browse, edit and upload at once (USERS=, DURATION= seconds, QUICK=1 only sees that it runs)
	@$(VENV)/python bench/load.py $(if $(QUICK),--quick,--write --users $(USERS) --duration $(DURATION))

lock: installed-to-test  ## pin requirements.txt anew (LOCK_OPTIONS=--upgrade takes newer releases)
	sed '/^# To test/,$$d' requirements.txt | $(LOCK) - --output-file requirements.lock
	$(LOCK) requirements.txt --constraint requirements.lock --output-file requirements-test.lock
	echo uv | $(LOCK) - --output-file requirements-uv.lock

icons:  ## make the sprite of the icons that static/img/icons.txt names (needs npm)
	@$(PYTHON) bin/icons

tabler:  ## take from Tabler's style sheet what the pages use (needs npm)
	@$(PYTHON) bin/tabler

installed:
	@$(PYTHON) bin/bootstrap.py requirements.lock

installed-to-test:
	@$(PYTHON) bin/bootstrap.py requirements-test.lock

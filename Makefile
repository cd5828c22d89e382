# Everything a developer types. A bare `make` lists it.

VENV := .venv
PYTEST := $(VENV)/bin/python -m pytest
PREFIX ?= /usr/local

# Debian's names of what each step needs.
TO_RUN := ca-certificates python3 python3-venv
TO_BUILD := gcc libc6-dev libvirt-dev pkg-config python3-dev
TO_TEST := busybox-static chromium cpio debian-archive-keyring e2fsprogs fish fonts-dejavu-core graphviz mandoc mmdebstrap mount prometheus zsh
TO_BENCH := pciutils virtinst
TO_MAKE_IMAGES := bubblewrap buildah debian-archive-keyring mmdebstrap

.DEFAULT_GOAL := help
.PHONY: help setup demo pyz install uninstall test test-fast oracle test-host lint bench image clean tested-with

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(VENV)/.dev ## install all that development needs: Debian packages by name, .venv by hashed pins

demo: $(VENV)/.cli ## boot a VM with a QAT virtual function, all of it played; no hardware, no network beyond the setup
	@demo/run

pyz: ## build dist/passgate.pyz: the command line as one file that needs Python 3.11 and nothing else
	@$(or $(PYTHON),python3) deploy/pyz/build.py dist/passgate.pyz

install: $(VENV)/.cli ## put programs, man pages and completion below PREFIX (/usr/local); DESTDIR goes before it
	@tools/install '$(PREFIX)' '$(DESTDIR)'

uninstall: ## take away what install has put there
	@tools/uninstall '$(PREFIX)' '$(DESTDIR)'

test: $(VENV)/.dev tested-with ## run every test this machine can run, in parts beside each other
	@tools/test

test-fast: $(VENV)/.dev ## run the tests that need neither root nor minutes
	@tools/test --fast

oracle: $(VENV)/.dev tested-with ## run the tests that ask real libvirts, in Debian chroots
	@$(PYTEST) -m oracle

test-host: $(VENV)/.dev tested-with ## run the tests that boot a real passthrough host in QEMU
	@$(VENV)/bin/python -m tests.vmhost.image --small-kernel || echo "going on without it"
	@$(PYTEST) -m vmhost

lint: $(VENV)/.dev ## check style and types
	@tools/lint

bench: $(VENV)/.dev ## measure what is promised, beside what others need for the same
	@tools/packages $(TO_BENCH) || echo "going on without them"
	@$(VENV)/bin/python -m bench

image: $(VENV)/.cli ## build the images without a registry, and try them
	@tools/packages $(TO_MAKE_IMAGES)
	@tools/image

clean: ## remove what was built, .venv too
	rm -rf build dist $(VENV) .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

tested-with:
	@tools/packages $(TO_TEST)

$(VENV)/.cli: pyproject.toml requirements/build.txt requirements/cli.txt tools/venv tools/packages
	@tools/packages $(TO_RUN)
	@tools/venv --wheels-only cli
	@touch $@

$(VENV)/.dev: $(VENV)/.cli requirements/dev.txt requirements/schemas.txt
	@tools/packages $(TO_BUILD)
	@tools/venv dev schemas
	@touch $@

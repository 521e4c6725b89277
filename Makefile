# make demo   a sample commune: server, two loudspeakers, one board, sound within a minute
# make test   everything that must hold, on a fresh Debian machine with Rust
# make soak   random tests again and again with new seeds (SOAK=N rounds, 10)
# make bench  the figures of the README's table

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
CARGO := cargo
RELEASE := target/release/loa
SOAK ?= 10

# What must hold for every change is the same each time; `make soak` looks further. A case that a
# soak finds is kept in tests/regressions or as a test of its own.
export PROPTEST_RNG_SEED ?= 20261122
export LOA_SEED ?= 20261122

.PHONY: demo test soak bench fmt lint reduced unit e2e python setup release

demo:
	.ci/setup demo
	$(CARGO) build --release
	$(RELEASE) demo

test: setup lint reduced unit release e2e python

setup:
	.ci/setup

fmt:
	$(CARGO) fmt

lint:
	$(CARGO) fmt --check
	$(CARGO) clippy --all-targets -- -D warnings

# The end-to-end tests (names beginning with `e2e`) need the release binary, see below.
unit:
	$(CARGO) test -- --skip e2e::

soak:
	$(CARGO) test --no-run
	for round in $$(seq $(SOAK)); do \
	  seed=$$(od -An -N4 -tu4 /dev/urandom | tr -d ' '); \
	  echo "round $$round: PROPTEST_RNG_SEED=$$seed LOA_SEED=$$seed"; \
	  PROPTEST_RNG_SEED=$$seed LOA_SEED=$$seed $(CARGO) test -q -- --skip e2e:: || exit 1; \
	done

# The sets of features that a small device or a server without a broker is built with.
reduced:
	$(CARGO) clippy --no-default-features --features speaker,board -- -D warnings
	$(CARGO) clippy --no-default-features --features server,speaker,board -- -D warnings

release:
	$(CARGO) build --release

e2e: release
	LOA_BIN=$(CURDIR)/$(RELEASE) $(CARGO) test --test it -- e2e:: --test-threads 2

python: setup
	.venv/bin/python tests/python/test_vectors.py
	.venv/bin/python tests/python/test_board.py
	.venv/bin/python tests/python/judge_schema.py
	.venv/bin/python tests/python/judge_asyncapi.py
	.venv/bin/python tests/python/test_c.py

bench: setup release
	$(RELEASE) bench

# Each target does all its own set-up on a machine with git, make, a C++ compiler, Python 3 with pip, and
# Rust; ci/setup.sh says what is missing and how to get it. LIBTORCH=FOLDER uses a libtorch that is there.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

BENCH := target/release/adamv-bench
SMOKE := runs/smoke

# Cargo runs build scripts in other folders, so a relative path would miss.
ifneq ($(strip $(LIBTORCH)),)
export LIBTORCH := $(abspath $(LIBTORCH))
endif

.PHONY: help setup build demo test check clean

help:
	@echo "make demo    train and evaluate one seed of the smoke suite, write $(SMOKE)/report/report.html"
	@echo "make test    every test; lists what was skipped"
	@echo "make check   formatting, lints, documentation"
	@echo "make build   $(BENCH)"
	@echo "make setup   programs and libtorch only"
	@echo "make clean   removes what was built and run; keeps the fetched libtorch"

setup:
	@ci/setup.sh

build: setup
	cargo build --release --workspace

demo: build
	$(BENCH) run suite/suites/smoke.yaml --only seed=0 --out $(SMOKE)
	$(BENCH) report $(SMOKE) --out $(SMOKE)/report
	@echo "$(CURDIR)/$(SMOKE)/report/report.html"

test: setup
	@ci/test.sh

check: setup
	cargo fmt --all --check
	cargo clippy --release --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --release --workspace --no-deps

clean:
	rm -rf target $(SMOKE)

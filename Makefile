# The commands a person must know. `make help` lists them; the work is done by scripts/.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# Where cargo builds, and the tree into which the package is staged for demo and tests.
TARGET := $(abspath $(or $(CARGO_TARGET_DIR),target))
STAGE := $(TARGET)/stage

# Flags of every cargo command: Cargo.lock decides the versions.
CARGO_FLAGS ?= --locked
export CARGO_FLAGS STAGE

PREFIX ?= /usr/local
LIBDIR ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include
DESTDIR ?=

# How much longer than usual `make soak` runs the random and the stress tests, and how often it replays the trace.
SOAK_ROUNDS ?= 20

.PHONY: help
help: ## Print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

.PHONY: setup setup-demo
setup: ## Install what `make test` needs (Debian packages, as root), or say what is missing
	@scripts/setup.sh test
setup-demo:
	@scripts/setup.sh demo

.PHONY: build
build: ## Build libreqbus.so and libreqbus.a
	@scripts/build.sh

.PHONY: header
header: ## Regenerate include/*.h from the sources
	cargo run $(CARGO_FLAGS) -q -p reqbus-ffi --example header -- include/reqbus.h
	cargo run $(CARGO_FLAGS) -q -p reqbus-ffi --example header -- --test-clock include/reqbus_test.h

.PHONY: install
install: build ## Install header, libraries, pkg-config and CMake files: PREFIX, LIBDIR, INCLUDEDIR, DESTDIR
	@PREFIX='$(PREFIX)' LIBDIR='$(LIBDIR)' INCLUDEDIR='$(INCLUDEDIR)' DESTDIR='$(DESTDIR)' scripts/install.sh

# The package as a user has it, in target/stage.
.PHONY: stage
stage: build
	@rm -rf '$(STAGE)'
	@PREFIX='$(STAGE)' LIBDIR='$(STAGE)/lib' INCLUDEDIR='$(STAGE)/include' DESTDIR= scripts/install.sh

.PHONY: demo
demo: setup-demo stage ## Replay a trace of real traffic through slots, bus and runner from C: TRACE=file SPEED=n
	@scripts/demo.sh

.PHONY: test
test: setup ## Run every check and every test
	@scripts/test.sh

.PHONY: loom
loom: ## Run the loom models alone: PREEMPTIONS=n, FILTER=name
	@scripts/loom.sh

.PHONY: ctests
ctests: setup stage ## Run the C programs alone
	@scripts/ctests.sh

.PHONY: gotests
gotests: setup stage ## Test the Go package alone
	@scripts/go_tests.sh

.PHONY: pytests
pytests: setup ## Build the Python package and run what checks it alone
	@scripts/python_tests.sh

.PHONY: nodetests
nodetests: ## Test the Node package alone
	@scripts/node_tests.sh

.PHONY: node-package
node-package: ## Pack the Node package and this machine's binary for npm install; names the tarballs
	@scripts/node_pack.sh

.PHONY: bench
bench: stage ## Measure beside peers in one run; writes target/bench.json
	cargo bench $(CARGO_FLAGS) -p reqbus-core --bench peers
	cd bindings/go/bench && PKG_CONFIG_PATH='$(STAGE)/lib/pkgconfig' LD_LIBRARY_PATH='$(STAGE)/lib' go run . -out '$(TARGET)/bench.json'
	scripts/python_bench.sh
	scripts/node_bench.sh --out '$(TARGET)/bench.json'

.PHONY: lint
lint: ## Formatting, clippy, rustdoc, scripts, dependency policy
	@scripts/lint.sh

.PHONY: tsan
tsan: ## Stress tests under ThreadSanitizer (a nightly toolchain; long)
	@scripts/tsan.sh

.PHONY: miri
miri: ## Tests of the unsafe code under miri (a nightly toolchain; long)
	@scripts/miri.sh

.PHONY: fuzz
fuzz: ## Fuzz targets at length: FUZZ_SECONDS=n for each
	@scripts/fuzz.sh

.PHONY: soak
soak: setup-demo stage ## Model and stress tests at SOAK_ROUNDS times their size, then the demo as often (long)
	REQBUS_STRESS=$(SOAK_ROUNDS) cargo test $(CARGO_FLAGS) --release -p reqbus-core --test bus_model --test bus_stress \
		--test slots_model --test slots_stress --test runner_model --test runner_stress
	REQBUS_STRESS=$(SOAK_ROUNDS) scripts/python_tests.sh build suite
	REQBUS_STRESS=$(SOAK_ROUNDS) scripts/node_tests.sh
	@for ((round = 1; round <= $(SOAK_ROUNDS); round++)); do echo "soak: round $$round of $(SOAK_ROUNDS)"; scripts/demo.sh; done

.PHONY: clean
clean: ## Remove all that was built
	cargo clean

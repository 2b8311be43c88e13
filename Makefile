# The everyday commands. `make` alone lists them.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# Most tests wait for servers, disks and clocks, so more of them run at once than there are cores.
test_threads = $(or $(RUST_TEST_THREADS),$(shell echo $$((2 * $$(getconf _NPROCESSORS_ONLN)))))
target_dir := $(or $(CARGO_TARGET_DIR),target)
scripts := scripts/with-postgres scripts/test scripts/demo scripts/fuzz-rest scripts/coverage $(wildcard scripts/bench scripts/chaos scripts/profile scripts/lib/*.sh) .ci/run \
	.cargo/rustc-with-profile

.PHONY: help
help: ## List the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: run
run: toolchain ## Build and start everything in one process, with data in data/
	cargo build --release -p configapi
	exec "$(target_dir)/release/configapi" serve

.PHONY: test
test: toolchain ## Run all tests, with a PostgreSQL of their own (TEST_FLAGS="-p crate …")
	RUST_TEST_THREADS=$(test_threads) scripts/with-postgres scripts/test $(or $(TEST_FLAGS),--workspace)

.PHONY: test-postgres
test-postgres: toolchain ## Run the tests that use PostgreSQL on every version (VERSIONS="13 18")
	@failed=""; for version in $(or $(VERSIONS),13 14 15 16 17 18); do echo "== PostgreSQL $$version"; \
		CONFIGAPI_TEST_PG_VERSION=$$version $(MAKE) test \
			TEST_FLAGS="--workspace --no-fail-fast --test postgres --test configapi --test acceptance" \
			|| failed+=" $$version"; \
	done; if [[ -n $$failed ]]; then echo "== failed on PostgreSQL$$failed" >&2; exit 1; fi

.PHONY: lint
lint: toolchain ## Check formatting, lints, shell scripts and proto files
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	@if command -v shellcheck >/dev/null; then \
		echo "shellcheck -x $(scripts)" && shellcheck -x $(scripts); \
	else echo "shellcheck is not installed: shell scripts not checked"; fi
	@if command -v buf >/dev/null; then echo "buf lint" && buf lint; \
	else echo "buf is not installed: proto files not checked"; fi

with_failpoints := --workspace --locked \
	--features configapi-command-service/failpoints,configapi-query-service/failpoints

.PHONY: failpoints
failpoints: toolchain ## Lint and test what only builds with failpoints have
	cargo clippy $(with_failpoints) --bin configapi-command-service-failpoints \
		--bin configapi-query-service-failpoints -- -D warnings
	@cargo test $(with_failpoints) --test runtime failpoints -- --list \
		| grep '^failpoints::armed::.*: test$$' >/dev/null \
		|| { echo "there is no test of what only builds with failpoints have" >&2; exit 1; }
	cargo test $(with_failpoints) --test runtime failpoints

.PHONY: fmt
fmt: toolchain ## Format the code
	cargo fmt --all

.PHONY: doc
doc: toolchain ## Build the code's documentation, warnings being errors
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps

.PHONY: demo
demo: toolchain ## Take a tour with curl against a fresh server
	scripts/demo

.PHONY: docs-examples
docs-examples: toolchain ## Run the examples in README.md and docs/, each as it is printed there
	@command -v python3 >/dev/null || { \
		echo "python3 is missing: the examples in the documents cannot be run" >&2; exit 1; }
	scripts/examples-in-docs

.PHONY: examples
examples: toolchain ## Run the clients in examples/ against a fresh server
	@command -v python3 >/dev/null || { \
		echo "python3 is missing: it starts the examples in every language" >&2; exit 1; }
	scripts/examples

.PHONY: bench
bench: toolchain ## Measure, beside an echo server and etcd; writes bench/results (BENCH_FLAGS="--only get,set")
	scripts/bench $(BENCH_FLAGS)

.PHONY: profile
profile: toolchain ## Make anew what a release is compiled with: what of it runs often
	scripts/profile

.PHONY: fuzz-rest
fuzz-rest: toolchain ## Fuzz the REST API against its own description (FUZZ_MINUTES=5)
	scripts/fuzz-rest $(FUZZ_MINUTES)

.PHONY: chaos
chaos: toolchain ## Break everything on purpose and check every promise (CHAOS_FLAGS="--short")
	scripts/chaos $(CHAOS_FLAGS)

.PHONY: chaos-soak
chaos-soak: toolchain ## The same again and again with other seeds (HOURS=8)
	scripts/chaos --hours $(or $(HOURS),8) $(CHAOS_FLAGS)

.PHONY: coverage
coverage: toolchain ## Measure which lines the tests reach (with cargo-llvm-cov or cargo-tarpaulin)
	scripts/coverage

.PHONY: clean
clean: toolchain ## Remove what was built; data/ is kept
	cargo clean

# Better one line now than a page of linker errors in five minutes.
.PHONY: toolchain
toolchain:
	@command -v cargo >/dev/null || { \
		echo "cargo is missing: install Rust from https://rustup.rs, then try again" >&2; exit 1; }
	@command -v "$${CC:-cc}" >/dev/null || { \
		echo "a C compiler is missing (SQLite and the TLS library need one):" >&2; \
		echo "  Debian, Ubuntu: apt-get install build-essential · Fedora: dnf install gcc" >&2; \
		echo "  macOS: xcode-select --install" >&2; exit 1; }

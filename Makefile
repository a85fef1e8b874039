# Perch: `make demo` tries it, `make test` tests it; both install what they need.
SHELL := /bin/bash
export PATH := $(CURDIR)/target/tools/node/node_modules/.bin:$(HOME)/.cargo/bin:$(PATH)

WEB_SOURCES := $(shell find web -type f -not -path '*/node_modules/*' -not -path '*/dist/*' -not -path '*/generated/*' 2>/dev/null)

.PHONY: help setup demo build test check check-rust check-web bench lighthouse cameras hidden networks soak clean cross cross-smoke deb test-deb image image-check test-image

help:
	@echo "make demo    install what is missing, build, and run the box with its test camera"
	@echo "make test    install what is missing and run every test whose program or inputs changed since it passed; FRESH=1: every test"
	@echo "make check   formatting, lints, web checks, licences and advisories"
	@echo "make bench   measure CPU, memory and time to first frame; prints JSON; ONLY=network: eight network cameras alone, ONLY=glass: how old pictures are when shown, ONLY=viewers: what viewers cost"
	@echo "make lighthouse   every page as Lighthouse sees it on a phone, as a table; ONLY=/live for one"
	@echo "make hidden       a page that is hidden for ten minutes with its sound on: what is heard, what it costs, when the picture is back"
	@echo "make networks     live over bad networks, the page in Chromium among them: freezes, and when which picture comes, in ten minutes"
	@echo "make cameras what the box makes of every odd network camera of tests/cameras, as a table; CASES='reolink longgop' for a few"
	@echo "make soak    the long forms: 20 power cuts, 5 minutes without a hole, 20 minutes of damaged packets, 1,000 changes with 40 kills, a camera's day in memory"
	@echo "make cross   build perch for arm64; make cross-smoke runs it here under qemu-user"
	@echo "make deb     the Debian package for this machine, ARCH=arm64 for that; make test-deb installs, upgrades and purges it in a container"
	@echo "make image   build the card image (KERNEL=raspberrypi for cards, KERNEL=debian for qemu) into target/image"
	@echo "make image-check   the image's layers, units and rules; make test-image boots it in qemu (half an hour to an hour)"
	@echo "make clean   remove everything that was built"

setup:
	@.ci/setup check

demo:
	@.ci/setup demo
	@$(MAKE) --no-print-directory build
	@exec target/release/perch run

build: web/dist/index.html
	cargo build --release --locked

web/node_modules: web/package.json web/package-lock.json
	cd web && npm ci --no-fund --no-audit --silent && touch node_modules

web/dist/index.html: web/node_modules $(WEB_SOURCES) src/api/openapi.json
	cd web && npm run --silent build

test:
	@.ci/setup test
	@$(MAKE) --no-print-directory web/dist/index.html tests/web/node_modules
	tests/run $(if $(FRESH),--fresh)

tests/web/node_modules: tests/web/package.json tests/web/package-lock.json
	cd tests/web && npm ci --no-fund --no-audit --silent && touch node_modules

check:
	@.ci/setup check
	@$(MAKE) --no-print-directory check-rust check-web

check-rust: web/dist/index.html
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	cargo deny --log-level error check bans licenses sources
	@if cargo deny --log-level error fetch db >/dev/null 2>&1; then cargo deny --log-level error check advisories; \
	else echo "SKIPPED: the advisory database cannot be reached from here"; fi

check-web: web/dist/index.html tests/web/node_modules
	cd web && npm run --silent check
	cd tests/web && npm run --silent check

bench:
	@.ci/setup test
	@$(MAKE) --no-print-directory web/dist/index.html tests/web/node_modules
	cargo bench --locked --bench box -- $(ONLY)

lighthouse:
	@.ci/setup test
	@$(MAKE) --no-print-directory web/dist/index.html tests/web/node_modules
	cd tests/web/lighthouse && npm ci --no-fund --no-audit --silent
	cargo build --release --locked
	cd tests/web && PERCH_TEST_BINARY=../../target/release/perch npx playwright test -c lighthouse/lighthouse.config.ts

cameras:
	@.ci/setup test
	@$(MAKE) --no-print-directory web/dist/index.html tests/web/node_modules
	cargo bench --locked --bench cameras -- $(CASES)

hidden: web/dist/index.html
	@.ci/setup test
	cargo build --locked -p perch
	cd tests/web && PERCH_TEST_HIDDEN_S=600 npx playwright test 9-listening -g hidden

networks:
	@.ci/setup test
	@$(MAKE) --no-print-directory web/dist/index.html tests/web/node_modules
	cargo test --release --locked -p perch-media --test webrtc -- bad_networks --ignored --nocapture
	cargo build --release --locked
	cd tests/web && PERCH_TEST_BINARY=../../target/release/perch npx playwright test -c networks/networks.config.ts

soak: web/dist/index.html
	PERCH_TEST_LONG=1 cargo test --release --locked --test box -- recording:: damaged:: settings:: modes:: --nocapture
	PERCH_TEST_LONG=1 cargo test --release --locked --test packets -- --nocapture

cross:
	@.ci/setup cross
	@$(MAKE) --no-print-directory web/dist/index.html
	cross/build

cross-smoke:
	@.ci/setup cross
	cross/smoke

deb:
	@.ci/setup deb
	@[ "$(ARCH)" != arm64 ] || .ci/setup cross
	@$(MAKE) --no-print-directory web/dist/index.html
	image/deb/build $(ARCH)

test-deb:
	@.ci/setup deb
	image/deb/test

image:
	@.ci/setup image
	@$(MAKE) --no-print-directory cross
	image/build
	image/check --built
	image/bundle target/image/$${KERNEL:-debian}/perch.raucb

image-check:
	@.ci/setup image
	image/check

test-image:
	@.ci/setup image
	@$(MAKE) --no-print-directory image KERNEL=debian
	python3 image/qemu/test.py --long

clean:
	cargo clean
	rm -rf web/dist web/node_modules tests/web/node_modules

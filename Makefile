# Every task of the project. `make run`, `make test` and `make soak` also install what they need.
.DEFAULT_GOAL := help
.PHONY: help run test interop soak random fuzz fmt bench bench-window compare fleet clean

help: ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1	/' | expand -t 22

run: ## build and open the desktop client with its demo server; without a display, walk through the demo
	@scripts/run.sh

test: ## everything that CI checks; STAGES="format clippy" for some of it
	@scripts/test.sh $(STAGES)

interop: ## sessions at Directus and django-graphql-jwt, and OAuth's conformance scenarios; installs them, minutes the first time
	@scripts/interop.sh

soak: ## an hour of random faults over real processes and a real keyring; MINUTES=2 SEED=7 for less
	@scripts/soak.sh

random: ## 100,000 random steps through the whole core; RANDOM_SEED=7 for a run again
	RANDOM_STEPS=$${RANDOM_STEPS:-100000} RANDOM_SEED=$${RANDOM_SEED:-$$(date +%s)} \
		cargo test --locked -p graphql-session --test random any_order -- --nocapture

fuzz: ## a million mutated inputs for each parser of bytes from outside, half an hour; FUZZ_SEED=7 for a run again
	@export FUZZ_INPUTS=$${FUZZ_INPUTS:-1000000} FUZZ_SEED=$${FUZZ_SEED:-$$(date +%s)} && set -x && \
	cargo test --locked -p graphql-session --features parsers --test fuzz -- --nocapture && \
	cargo test --locked -p tauri-plugin-graphql-session -p holdfast --features custom-protocol --lib framing::tests -- --nocapture

fmt: ## format all sources: Rust, TypeScript, JavaScript, CSS
	@scripts/format.sh

bench: ## what a call through the session costs, 10,000 waiters on one renewal, reading the credentials, judging a reply, and whether 30 renewals are felt
	cargo bench --locked -p graphql-session --bench session --bench envelope --bench expiries

bench-window: ## what a call costs in the real window, beside the page's own fetch, and an upload's memory; three minutes
	@scripts/bench-window.sh

fleet: ## a million clients and an outage, on virtual time; writes docs/fleet.md and its plots
	cargo bench --locked -p graphql-session-renewal --bench fleet

compare: ## ours beside the clients that people use, in the same cases and by the same requests; writes docs/comparison.md
	@scripts/compare.sh

clean: ## remove everything that was built or installed here
	cargo clean
	rm -rf target ui/dist ui/node_modules src-tauri/plugin/dist-js src-tauri/plugin/node_modules gen
	rm -rf examples/*/dist examples/*/node_modules examples/*/server/node_modules examples/*/src-tauri/gen
	rm -rf benches/window/dist benches/window/node_modules benches/window/src-tauri/gen benches/client/empty/gen
	rm -rf compare/target compare/clients/js/node_modules compare/clients/rust/target

# Everything that a fresh machine with Rust, make and a C compiler needs is made here.

PROTOC := .tools/protoc/bin/protoc

.PHONY: run test tools

# A platform beside a simulated Lightning network, ready to pay; see what it prints.
run: $(PROTOC)
	cargo build --release -p switchyard
	@target/release/switchyard demo --data data/demo

# Tests that need no server.
test: $(PROTOC)
	cargo test --workspace --lib --bins --quiet
	cargo test -p lightning-sim --tests --quiet

tools: $(PROTOC)

$(PROTOC):
	cargo run --quiet -p protoc -- .tools/protoc

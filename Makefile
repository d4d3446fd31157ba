# Everything that a fresh machine with Rust, make and a C compiler needs is made here.

PROTOC := .tools/protoc/bin/protoc
TARGET := $(or $(CARGO_TARGET_DIR),target)

.PHONY: run cluster test failpoints chaos release bench tools

# A platform beside a simulated Lightning network, ready to pay; see what it prints.
run: $(PROTOC)
	cargo build --release -p switchyard
	@$(TARGET)/release/switchyard demo --data data/demo

# A cluster on this machine: PostgreSQL (its binaries must be installed), two gateways, three engines and a
# simulated Lightning network, ready to pay and to be broken; see what it prints.
cluster: $(PROTOC)
	cargo build --release -p switchyard
	@$(TARGET)/release/switchyard cluster --data data/cluster

# Tests that need no server. The gate plays ten times as many seeds of the simulation; see `.ci/run`.
test: $(PROTOC)
	cargo test --workspace --exclude tests --quiet
	SWITCHYARD_SIM_SEEDS=$${SWITCHYARD_SIM_SEEDS:-200} \
		cargo test -p tests --lib --test tidy --test conformance --test flood --test sim --quiet

# kill -9 at every named gap, on SQLite and on PostgreSQL, whose server binaries must be installed; and engines
# of a cluster that stop at some of them and go on three leases later.
failpoints: $(PROTOC)
	cargo build -p switchyard --features failpoints
	cp $(TARGET)/debug/switchyard $(TARGET)/switchyard-failpoints
	SWITCHYARD_BIN=$(abspath $(TARGET))/switchyard-failpoints \
		cargo test -p tests --test failpoints -- --include-ignored --nocapture
	SWITCHYARD_BIN=$(abspath $(TARGET))/switchyard-failpoints \
		cargo test -p tests --test cluster -- --ignored stopped

# Faults of every kind on a cluster that pays, as the dice fall: SEED=n strikes again as that one did, for FOR=n
# seconds (60). Without SEED one is drawn, and told. PostgreSQL and Redis must be installed.
chaos: $(PROTOC)
	cargo build -p switchyard
	CHAOS_SEED=$(SEED) CHAOS_SECONDS=$(FOR) \
		cargo test -p tests --test cluster -- --ignored --nocapture faults_as_the_dice_fall

# The binary for production: built twice, the second time laid out by what the first one did under load. A payment costs
# a fifth less CPU then. Half an hour on two cores; needs PostgreSQL and rustup.
PROFILED := $(abspath $(TARGET))/profiled
release: $(PROTOC)
	rustup component add llvm-tools
	CARGO_TARGET_DIR=$(PROFILED)/watched RUSTFLAGS=-Cprofile-generate=$(PROFILED)/seen cargo build --release -p switchyard
	rm -rf $(PROFILED)/seen $(PROFILED)/release # What the build itself has run is of no interest.
	SWITCHYARD_BIN=$(PROFILED)/watched/release/switchyard cargo bench -p tests --bench load -- --quick --train
	$$(rustc --print sysroot)/lib/rustlib/*/bin/llvm-profdata merge -o $(PROFILED)/seen.profdata $(PROFILED)/seen
	CARGO_TARGET_DIR=$(PROFILED) RUSTFLAGS=-Cprofile-use=$(PROFILED)/seen.profdata cargo build --release -p switchyard
	@echo "$(PROFILED)/release/switchyard"

# How fast it is, beside what the machine can do without it; the table lies in target/bench/load.json too, with its
# curves as pictures. CURVES=1 measures those too that take long, RELEASE=1 what `make release` has built. Needs
# PostgreSQL, and a machine that is idle.
bench: $(PROTOC)
	$(if $(RELEASE),,cargo build --release -p switchyard)
	$(if $(RELEASE),SWITCHYARD_BIN=$(PROFILED)/release/switchyard) cargo bench -p tests --bench load -- $(if $(CURVES),--curves) --json $(abspath $(TARGET))/bench/load.json

tools: $(PROTOC)

$(PROTOC):
	cargo run --quiet -p protoc -- .tools/protoc

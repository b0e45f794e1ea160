# Counts and ranges: SEEDS=from:to, SCENARIO=one-node-kill, FUZZTIME=10m, KILLS=200,
# STATES=1000000, SECTION=latency,raw, ROUNDS=3, BUDGET=60m,
# NODES=3, PROXY=1, DURATION=1h, SEED=7, FAULTS=kill-leader,power-all, DOCUMENT=../docs/reliability.md.
SEEDS    ?= 0:10000
SCENARIO ?=
RACE     ?=
LEDGER   ?= docs/simulation-runs.tsv
FUZZTIME ?= 1m
BUGS     ?=
ENGINE   ?=
STATES   ?= 1000000
KILLS    ?= 200
BIN      := bin/logbahn
SECTION  ?=
ROUNDS   ?= 3
BUDGET   ?= 60m
NODES    ?= $(if $(PROXY),3,1)
PROXY    ?=
DURATION ?= 10m
SEED     ?= 0
FAULTS   ?=
DOCUMENT ?=

.PHONY: build check test race crash sim sim-same sim-wasm sim-both explore seeded fuzz hostile interop interop-golden kill chaos bench figures clean

build: ## the stripped static binary
	CGO_ENABLED=0 go build -trimpath -ldflags='-s -w' -o $(BIN) ./cmd/logbahn

test:
	go test ./...

check: ## what a change has to pass before it is pushed
	@unformatted=$$(gofmt -l $$(git ls-files '*.go')); [ -z "$$unformatted" ] || { echo "gofmt: $$unformatted"; exit 1; }
	go vet ./...
	go run honnef.co/go/tools/cmd/staticcheck@v0.7.0 ./...
	go test ./...

race:
	go test -race ./...

crash: ## seeded power losses, torn writes, full disks and bit flips of the log, against a model
	LOGBAHN_CRASH_SEEDS=$(SEEDS) go test -count=1 -timeout 3h -run Crash ./internal/commitlog/

seeded: ## every deliberate fault must be caught by the test that it names; BUGS=name,name chooses
	LOGBAHN_BUGS=$(BUGS) go test -count=1 -timeout 3h -v -tags seeded ./internal/seeded/

explore: ## every state of three replicas within bounds, STATES at most for each; and long walks, by seed
	LOGBAHN_EXPLORE_STATES=$(STATES) LOGBAHN_EXPLORE_SEEDS=$(SEEDS) go test -count=1 -timeout 3h -v -run Explore ./internal/sim/explore/

.PHONY: quorum
quorum: ## seeded quorums of three and five under power losses, cuts, lost messages and changes of their members
	LOGBAHN_QUORUM_SEEDS=$(SEEDS) go test -count=1 -timeout 3h -run Chaos ./internal/quorum/

# SEEDS=from:to goes on where another range left off. SCENARIO=name (a pattern) plays that one; without it seed after seed plays the next
# of the scenarios that count. What a range has shown is appended to LEDGER, if that is not empty. RACE=1 watches for races.
sim: ## a whole cluster under load and faults, in virtual time, seed after seed
	LOGBAHN_SIM_RACE=$(RACE) LOGBAHN_SIM_SEEDS=$(SEEDS) LOGBAHN_SIM_LEDGER=$(abspath $(LEDGER)) go test -count=1 -timeout 24h -v \
		-run '$(if $(SCENARIO),TestScenarios$$/^($(SCENARIO))$$,TestMix$$)' ./internal/sim/

sim-same: ## one seed, one run: three nodes under wazero, twice
	@mkdir -p bin/wasm
	LOGBAHN_SIM_WASM=$(CURDIR)/bin/wasm go test -count=1 -timeout 30m -v -run TestSameSeedSameTrace ./internal/sim/

# ENGINE=wasmtime is three times as fast, and needs a C compiler. TWICE=n plays one run in n twice.
sim-wasm: $(if $(ENGINE),bin/$(ENGINE)) ## as sim, under wazero, where one seed is one run: played twice it has to be the same
	@mkdir -p bin/wasm
	LOGBAHN_SIM_WASMTIME=$(if $(ENGINE),$(CURDIR)/bin/$(ENGINE)) LOGBAHN_SIM_WASM=$(CURDIR)/bin/wasm LOGBAHN_SIM_TWICE=$(TWICE) LOGBAHN_SIM_SEEDS=$(SEEDS) LOGBAHN_SIM_LEDGER=$(abspath $(LEDGER)) go test -count=1 -timeout 24h -v \
		-run '$(if $(SCENARIO),TestScenariosWasm$$/^($(SCENARIO))$$,TestMixWasm$$)' ./internal/sim/

sim-both: bin/wasmtime ## as sim-same, once under wazero and once under wasmtime
	@mkdir -p bin/wasm
	LOGBAHN_SIM_WASMTIME=$(CURDIR)/bin/wasmtime LOGBAHN_SIM_WASM=$(CURDIR)/bin/wasm go test -count=1 -timeout 30m -v -run TestSameSeedSameTrace ./internal/sim/

bin/wasmtime: FORCE
	cd internal/sim/wasmtime && go vet . && go test . && go build -o $(CURDIR)/bin/wasmtime .

fuzz: ## every fuzz target for FUZZTIME
	@for pkg in $$(go list ./...); do \
		for target in $$(go test -list '^Fuzz' $$pkg | grep '^Fuzz'); do \
			echo "== $$pkg $$target"; \
			go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) $$pkg || exit 1; \
		done; \
	done

hostile: ## ten thousand hostile connections, bombs and a reconnect storm for a minute, next to a client that behaves
	LOGBAHN_HOSTILE=10000 LOGBAHN_HOSTILE_SECONDS=60 go test -count=1 -timeout 20m -v -run TestHostileClients ./internal/node/

interop interop-golden: export LOGBAHN_INTEROP ?= $(HOME)/.cache/logbahn-interop
interop: ## every real client against the built binary and Apache Kafka; writes docs/compatibility.md; NODES=3: three nodes, PROXY=1: one of their proxies
	interop/install.sh
	LOGBAHN_NODES=$(NODES) LOGBAHN_PROXY=$(PROXY) LOGBAHN_MATRIX=all LOGBAHN_REQUIRE=1 go test -count=1 -timeout 60m ./interop/...

interop-golden: ## what the clients see of Apache Kafka, for continuous integration to compare with
	interop/install.sh
	LOGBAHN_NODES=$(NODES) LOGBAHN_MATRIX=golden LOGBAHN_REQUIRE=1 go test -count=1 -timeout 60m -run TestMatrix ./interop/

kill: ## kill -9 under load
	LOGBAHN_KILLS=$(KILLS) go test -count=1 -timeout 2h -v -run TestKillUnderLoad ./interop/

# A module of its own, so that the file system that loses power is no dependency of Logbahn's.
bin/chaos: FORCE
	cd chaos && go build -o ../bin/chaos .

chaos: build bin/chaos ## three real processes that are killed, cut off and robbed of unsynced writes under three clients; needs root
	interop/install.sh
	cd chaos && go test ./... && ../bin/chaos -duration $(DURATION) -seed $(SEED) -faults '$(FAULTS)' -document '$(DOCUMENT)'

# The benchmark is a module of its own, so that the peers' code is no dependency of Logbahn's, nor Logbahn's one of it.
bin/bench: FORCE
	cd bench && go build -o ../bin/bench .

# So are the stubs of a large cluster, which are made of Logbahn's own parts.
bin/scale: FORCE
	cd bench/scale && go build -o ../../bin/scale .

.PHONY: FORCE

bench: build bin/bench $(if $(findstring scale,$(SECTION)),bin/scale) ## Logbahn beside its peers, an hour; SECTION=clients,latency or three,failover,recovery,idle chooses, ROUNDS=5 repeats
	cd bench && ../bin/bench run -section=$(SECTION) -rounds=$(ROUNDS) -budget=$(BUDGET)
	cd bench && ../bin/bench report

.PHONY: scale
scale: ## a controller and a broker among 99 stubs with 200,000 partitions, then among 999 with 1,000,000; 13 minutes at most
	$(MAKE) bench SECTION=scale

figures: build bin/bench ## start time, idle memory, binary size: fails when they are more than they may be
	cd bench && ../bin/bench figures

clean:
	rm -rf bin

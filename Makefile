# SPDX-License-Identifier: Apache-2.0
# make demo   runs the plugins on a node with an API server and pods
# make test   runs what a change must pass
# Both install what they need, and need root, because they create network namespaces.

GO      ?= go
## VERSION: version of the binaries, the image and the release; by default from git describe
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unversioned)
LDFLAGS  = -s -w -X calico-cni/internal/buildinfo.Version=$(VERSION)
MODULES  = . test test/kube test/containerd test/runc hack/tools hack/tools/lint hack/release
# When the sources were last changed: the date of everything that is published, so that it can be made again.
SOURCE_DATE_EPOCH ?= $(shell git log -1 --format=%ct 2>/dev/null || echo 0)
## IMAGE: name of the container image
IMAGE     ?= localhost/calico-cni
## PLATFORMS: platforms of the container image
PLATFORMS ?= linux/amd64,linux/arm64

TARGETS = nightly kubed-server help build image release verify-release demo check test test-unit mutants test-real test-v3 soak bench bench-agent bench-ipam lint verify generate tidy fmt system kubed cluster cluster-down test-e2e test-smoke test-cluster test-netkit system-cluster
.PHONY: $(TARGETS)

help:            ## list the targets and variables
	@./hack/help.sh

build:           ## build the three binaries, static and stripped, into bin/
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/ ./cmd/...

image:           ## build the container image for PLATFORMS as an OCI archive in dist/, without Docker
	$(GO) run -C hack/release ./cmd/image -version $(VERSION) -date $(SOURCE_DATE_EPOCH) -name $(IMAGE) -platforms $(PLATFORMS) \
		-out ../../dist/calico-cni-$(VERSION)-image.tar

release:         ## build archives of the binaries for four platforms, with SBOM and checksums, in dist/
	$(GO) run -C hack/release ./cmd/release -version $(VERSION) -date $(SOURCE_DATE_EPOCH) -out ../../dist

verify-release:  ## build image and release again, in another directory with empty caches, and compare (minutes)
	VERSION=$(VERSION) SOURCE_DATE_EPOCH=$(SOURCE_DATE_EPOCH) ./hack/verify-release.sh

# The flags are those of the API server and of the plugins, so that the three share what is compiled.
demo: system     ## run a node, an API server and pods, and verify the cleanup
	cd test && CGO_ENABLED=0 $(GO) build -trimpath -o ../bin/demo ./demo
	cd test && ../bin/demo

## BASE: revision since which make check lints changed packages; by default where the branch left main
BASE ?= $(shell git merge-base HEAD main 2>/dev/null || echo HEAD~1)
check: system    ## check format, vet, lint the packages changed since BASE, run short unit tests
	@files=$$($(GO) tool -modfile=hack/tools/go.mod gofumpt -l cmd pkg internal conflist test hack/release hack/doctables); \
		[ -z "$$files" ] || { echo "run 'make fmt' for: $$files" >&2; exit 1; }
	@for m in . test hack/release; do (cd $$m && $(GO) vet ./...) || exit 1; done
	@GO=$(GO) ./hack/lint-changed.sh $(BASE)
	$(GO) test -short ./...

test: system verify lint test-unit test-real test-cluster  ## run what a change must pass; continuous integration runs it too

# The model of pkg/ipam runs one step at a time, so that the race detector has nothing to find there. The other tests of the
# package run with it, too.
test-unit: system  ## run the unit tests, with the race detector
	CGO_ENABLED=1 $(GO) test -race -timeout 30m $$($(GO) list ./... | grep -v '/pkg/ipam$$')
	CGO_ENABLED=1 $(GO) test -race -short -skip 'Interleaving|Crash' -timeout 30m ./pkg/ipam
	$(GO) test -timeout 30m ./pkg/ipam
	cd hack/release && $(GO) test -count=1 ./...

# One compilation and run of pkg/ipam for each bug: two minutes for one on two busy cores. Not part of `make test`.
mutants:         ## plant bugs in the IPAM protocol, and check that the model checker finds each
	$(GO) test ./pkg/ipam -run PlantedBugs -mutants -count=1 -timeout 90m

# The API server is built outside of `go test`, whose timeout is shorter than the build. The e2e tests mostly wait, so that they
# run in E2E_SHARDS sandboxes at once, each with an API server and a node of its own.
## E2E_SHARDS: number of sandboxes in which make test-real runs the e2e tests at the same time
E2E_SHARDS ?= 3
# The e2e tests run on crd.projectcalico.org/v1, and these on projectcalico.org/v3 as well. make test-v3 runs all of them there.
ON_V3 = TestConnectivityOfPods|TestAddAndDelRestore|TestSteadyAddAndDel|TestEveryRight|TestRuntimeUsesInstalled|TestPoolsAndFamilies|TestGCAndStatusThrough|TestDelDuringOutage|TestMigrationKeeps|TestWatchingInstallerSettles
test-real: system kubed-server  ## run the tests against a real API server
	cd test && E2E_SHARDS=$(E2E_SHARDS) $(GO) test -count=1 -timeout 40m ./...
	cd test && E2E_SHARDS=$(E2E_SHARDS) E2E_GROUP=projectcalico.org/v3 $(GO) test -count=1 -timeout 20m ./e2e -run '$(ON_V3)'
	cd test/kube && $(GO) test ./internal/...

test-v3: system kubed-server  ## run all e2e tests on the API group projectcalico.org/v3
	cd test && E2E_SHARDS=$(E2E_SHARDS) E2E_GROUP=projectcalico.org/v3 $(GO) test -count=1 -timeout 40m ./e2e

kubed:           ## build all of Kubernetes for the cluster, once per machine (minutes), into the user's cache
	@cd test && $(GO) run ./cmd/kubed-build >/dev/null

kubed-server:    ## build only the API server and etcd, for tests and demo, which takes less time
	@cd test && $(GO) run ./cmd/kubed-build -server >/dev/null

## N: number of nodes of make cluster
N ?= 3
cluster: system-cluster kubed  ## start a Kubernetes cluster of N nodes with the plugins, in namespaces of this machine
	cd test && $(GO) build -o ../bin/cluster ./cmd/cluster
	cd test && ../bin/cluster up --nodes $(N)

cluster-down:    ## stop and remove the cluster
	cd test && $(GO) run ./cmd/cluster down

test-e2e: system-cluster kubed  ## run all tests on a new cluster, with faults (about 25 minutes)
	cd test && $(GO) test ./cluster ./cmd/cluster -p 1 -count 1 -v -timeout 60m -e2e

# What a change must pass on a cluster. The rest of test-e2e takes longer: run it before a release.
SMOKE = TestCheckerDetects|TestDualStack|TestPodsNodesAndHostAreConnected|TestDeploymentGrowsAndShrinks|TestKilledSandboxIsReplaced
test-smoke: system-cluster kubed  ## run a few tests on a new cluster (about three minutes)
	cd test && $(GO) test ./cluster -count 1 -v -timeout 20m -run '$(SMOKE)' -e2e

# The nodes of the cluster need cgroup v1.
test-cluster:    ## run test-smoke if this machine can run a cluster
	@if [ -w /sys/fs/cgroup/memory ]; then $(MAKE) test-smoke; else \
		echo "NOT TESTED: the cluster (make test-smoke): it needs cgroup v1, and /sys/fs/cgroup/memory is not writable"; fi

# About a minute on two idle cores. Installs Debian's qemu (17 MB) and downloads a kernel of its backports (34 MB), which it does not install.
test-netkit: system  ## test the data plane on a kernel that has netkit, in a virtual machine
	@command -v qemu-system-x86_64 >/dev/null || { echo "installing qemu-system-x86"; apt-get update -qq && \
		DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends qemu-system-x86 >/dev/null; }
	cd test && $(GO) test ./vm -count 1 -v -timeout 15m -vm

nightly: mutants soak test-v3 test-e2e  ## run what takes too long for each change: all mutants, long tests, all cluster tests (two hours)

soak: system kubed-server  ## run random interleavings, stalled requests and fuzzing (about an hour)
	GOGC=800 $(GO) test ./pkg/ipam -run RandomInterleavings -model.runs=100000 -timeout 120m
	cd test && $(GO) test ./e2e -run DelCleansUpAfterAnyRequestFault -soak -timeout 60m
	@for p in $$($(GO) list ./...); do for f in $$($(GO) test -list '^Fuzz' $$p | grep '^Fuzz'); do \
		$(GO) test -run '^$$' -fuzz "^$$f\$$" -fuzztime 30s $$p || exit 1; done; done
	cd test && $(GO) test ./messages/words -run '^$$' -fuzz FuzzConfiguration -fuzztime 30s

# About ten minutes, most of them to fill the store: BENCH=-blocks=0 leaves that out. PEER_BIN=directory adds a peer.
bench: system kubed-server  ## measure ADD and DEL in comparison with ptp and host-local, into docs/performance.md
	cd test && $(GO) test ./bench -count 1 -v -run TestPage -timeout 60m -args \
		-page $(CURDIR)/docs/performance.md -chart $(CURDIR)/docs/performance.svg -version $(VERSION) $(BENCH)

# About three minutes. It prints the figures; docs/agent-cost.md has those of a run.
## AGENT_NODES: number of nodes that make bench-agent simulates
AGENT_NODES ?= 1000
bench-agent: system kubed-server  ## measure time, CPU and memory of calico-node in a large cluster
	cd test && $(GO) test ./agent -count 1 -v -run TestScale -timeout 60m -args -scale $(AGENT_NODES)

# Ten to twenty minutes. Never run it beside other work: it shows times as well.
bench-ipam: system kubed-server  ## measure the cost of an allocation for the API server at 5,000 nodes, into docs/ipam-cost.md
	cd test && $(GO) test ./benchipam -count 1 -v -run TestTable -timeout 60m -args -table $(CURDIR)/docs/ipam-cost.md -version $(VERSION)

lint:            ## run golangci-lint, with .golangci.yaml
	$(GO) tool -modfile=hack/tools/lint/go.mod golangci-lint run ./...
	cd test && $(GO) tool -modfile=../hack/tools/lint/go.mod golangci-lint run ./...
	cd hack/release && $(GO) tool -modfile=../tools/lint/go.mod golangci-lint run --config ../../test/.golangci.yaml ./...

verify:          ## check that generated files, module files and formatting are current
	./hack/verify-generated.sh
	@for m in $(MODULES); do (cd $$m && $(GO) mod tidy -diff) || { echo "$$m: run 'make tidy'" >&2; exit 1; }; done
	@files=$$($(GO) tool -modfile=hack/tools/go.mod gofumpt -l cmd pkg internal conflist test hack/release hack/doctables); \
		[ -z "$$files" ] || { echo "run 'make fmt' for: $$files" >&2; exit 1; }
	@help=$$(./hack/help.sh); for t in $(TARGETS); do \
		echo "$$help" | grep -q "^$$t  *[^ ]" || { echo "make help does not list $$t: describe it after ## in the Makefile" >&2; exit 1; }; done

generate:        ## write deepcopy functions, CRDs, manifests, and the tables of flags and values in the docs
	./hack/generate.sh .

tidy:            ## run go mod tidy in every module
	@for m in $(MODULES); do (cd $$m && $(GO) mod tidy); done

fmt:             ## format all Go files
	$(GO) tool -modfile=hack/tools/go.mod gofumpt -w cmd pkg internal conflist test hack/release hack/doctables

# What Debian has and a bare machine may lack: ping for demo and tests, iptables for the tests of portmap and firewall, a C
# compiler for the race detector, valgrind to count instructions.
system:          ## install the Debian packages that tests and demo need
	@missing=; \
	command -v ping >/dev/null || missing="$$missing iputils-ping"; \
	command -v iptables >/dev/null || missing="$$missing iptables"; \
	command -v nsenter >/dev/null || missing="$$missing util-linux"; \
	command -v patch >/dev/null || missing="$$missing patch"; \
	command -v gcc >/dev/null || missing="$$missing gcc libc6-dev"; \
	command -v valgrind >/dev/null || missing="$$missing valgrind"; \
	[ -z "$$missing" ] || { echo "installing$$missing"; apt-get update -qq && \
		DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing >/dev/null; }

# The cluster also needs runc's library, to build it, and the programs that kube-proxy and portmap call.
system-cluster: system  ## install the Debian packages that the cluster needs
	@missing=; \
	[ -f /usr/include/seccomp.h ] || missing="$$missing libseccomp-dev"; \
	command -v iptables >/dev/null || missing="$$missing iptables"; \
	command -v conntrack >/dev/null || missing="$$missing conntrack"; \
	command -v nft >/dev/null || missing="$$missing nftables"; \
	[ -z "$$missing" ] || { echo "installing$$missing"; apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq $$missing >/dev/null; }

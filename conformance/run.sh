#!/usr/bin/env bash
# Passes when everything that this project promises about itself is true. It
# installs what it needs: Debian packages with apt-get, Go modules through the
# module proxy. About fifteen minutes on two cores, less when repeated.
#
#	bash conformance/run.sh            everything
#	bash conformance/run.sh lint fuzz  only these steps
set -euo pipefail
cd "$(dirname "$0")/.."

linter=github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0

step_install() {
	bash conformance/clients/install.sh
}

step_lint() {
	local unformatted
	unformatted=$(gofmt -l $(git ls-files '*.go'))
	if [ -n "$unformatted" ]; then
		echo "gofmt would change: $unformatted" >&2
		return 1
	fi
	go vet ./...
	go vet -tags failpoints,clients ./...
	go run "$linter" run ./...
	go mod tidy -diff
	go mod verify
}

# The release build is static and knows no failpoint; the other one does.
step_build() {
	CGO_ENABLED=0 go build -trimpath -o /dev/null ./cmd/acmebridge
	go build -tags failpoints -o /dev/null ./cmd/acmebridge
}

step_test() {
	go test -race -timeout 15m ./...
	go test -race -tags failpoints ./internal/failpoint
}

# What docs/conformance.md says is what the sources and the last run show.
step_report() {
	go run ./conformance/report -check
}

# Every fuzz target for a few seconds: enough to notice what was broken just
# now. Real campaigns run longer: go test -fuzz NAME -fuzztime 1h ./package
step_fuzz() {
	local package target log
	log=$(mktemp)
	git grep -lE '^func Fuzz' -- '*_test.go' | while read -r file; do
		package=./$(dirname "$file")
		for target in $(sed -nE 's/^func (Fuzz[A-Za-z0-9_]*)\(.*/\1/p' "$file"); do
			echo "fuzz $package $target"
			go test -run '^$' -fuzz "^$target\$" -fuzztime 3s -fuzzminimizetime 1x "$package" >"$log" 2>&1 ||
				out_of_time "$log" || { cat "$log"; return 1; }
		done
	done
	rm -f "$log"
}

# The go command now and then takes the end of its own time for a failure of the
# target. A real failure names what failed, or the input that it was written to.
out_of_time() {
	[ "$(grep -cE '^    +[^ ]' "$1")" = 1 ] && grep -qx '    context deadline exceeded' "$1"
}

# Keys in hardware need cgo, so they are in a build of their own; SoftHSM stands
# in for the hardware.
step_hsm() {
	bash conformance/clients/install.sh softhsm2
	go vet -tags pkcs11 ./internal/hsm/... ./cmd/acmebridge
	go test -race -tags pkcs11 ./internal/hsm/...
	go test -race -tags pkcs11 -run 'HSM' ./cmd/acmebridge
}

# Real clients against a real server.
step_clients() {
	go test -race -timeout 20m -parallel 4 -tags clients ./conformance/clients
}

# Benchmarks once each, so that they keep working; figures are not judged.
step_bench() {
	go test -run '^$' -bench . -benchtime 1x ./acme/... ./storage/... ./backends/... ./challenges/... ./internal/...
}

# The main job, as a newcomer runs it.
step_demo() {
	go run ./cmd/acmebridge demo
}

steps=("$@")
[ ${#steps[@]} -gt 0 ] || steps=(install lint build report fuzz bench demo hsm clients test)
for step in "${steps[@]}"; do
	declare -F "step_$step" >/dev/null || { echo "there is no step $step; they are: $(declare -F | sed -n 's/^declare -f step_//p' | xargs)" >&2; exit 2; }
done
for step in "${steps[@]}"; do
	echo "== $step"
	"step_$step"
done
echo "== all steps passed: ${steps[*]}"

package logbahn_test

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// layers is the map of the house, ground floor first. A package may import packages of its own row's floor only where
// the row names them, and any package of a floor below. A package that is not listed fails the test.
//
// The client half reaches the log through franz-go only: apps/ and the demo import nothing of the broker half.
var layers = [][]room{
	{ // ground: bytes, files, names
		{pkg: "internal/vfs"},
		{pkg: "internal/record"},
		{pkg: "internal/wire", beside: []string{"internal/record"}},
		{pkg: "internal/seeded"},
		{pkg: "internal/cluster", beside: []string{"internal/seeded"}},
		{pkg: "internal/config"},
		{pkg: "internal/metrics"},
	},
	{{pkg: "internal/commitlog"}, {pkg: "internal/peer"}},
	{
		{pkg: "internal/partition/replica"},
		{pkg: "internal/partition", beside: []string{"internal/partition/replica"}},
	},
	{
		{pkg: "internal/coordinator/group"},
		{pkg: "internal/coordinator", beside: []string{"internal/coordinator/group"}},
		{pkg: "internal/quorum/controller"},
		{pkg: "internal/quorum", beside: []string{"internal/quorum/controller"}},
	},
	{{pkg: "internal/broker"}},
	{{pkg: "internal/proxy"}},
	{{pkg: "internal/listener"}},
	{{pkg: "internal/ops"}},
	{{pkg: "internal/node"}},
	{{pkg: ""}},
	{
		{pkg: "logbahntest"},
		{pkg: "internal/sim/check"},
		{pkg: "internal/sim/explore"},
		{pkg: "internal/sim", beside: []string{"internal/sim/check"}},
	},
}

// clientHalf lists the packages that use the log as any client does. Each may import those named, and nothing else of
// this module.
var clientHalf = map[string][]string{
	"apps/payd/trip":      nil,
	"apps/payd/habit":     {"apps/payd/trip"},
	"apps/payd/premium":   {"apps/payd/habit"},
	"apps/payd/fleet":     {"apps/payd/trip"},
	"apps/payd/web":       nil,
	"apps/payd":           {"apps/payd/trip", "apps/payd/habit", "apps/payd/premium", "apps/payd/fleet", "apps/payd/web"},
	"internal/kafkacli":   {"internal/config", "internal/logdump"},
	"internal/logdump":    {"internal/record"},
	"internal/config/gen": {"internal/config"},
	"cmd/logbahn":         {"", "apps/payd", "internal/config", "internal/kafkacli", "internal/logdump", "internal/vfs", "internal/wire"},
	"interop":             {"", "interop/kafka"},
	"interop/kafka":       nil,
}

// testOnly lists packages that only tests import.
var testOnly = []string{"internal/vfs/vfstest", "internal/kafkacli/transcript"}

type room struct {
	pkg    string
	beside []string
}

const module = "github.com/logbahn/logbahn"

func TestLayers(t *testing.T) {
	out, err := exec.Command("go", "list", "-f", `{{.ImportPath}} {{join .Imports ","}}`, "./...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	for _, line := range strings.Split(strings.TrimSpace(string(out)), "\n") {
		path, imports, _ := strings.Cut(line, " ")
		pkg := short(path)
		allowed, ok := allowedImports(pkg)
		if !ok {
			t.Errorf("package %q is on no floor: add it to layers_test.go", pkg)
			continue
		}
		for _, imp := range strings.Split(imports, ",") {
			if imp != module && !strings.HasPrefix(imp, module+"/") {
				continue
			}
			if !slices.Contains(allowed, short(imp)) {
				t.Errorf("%q imports %q: imports run downwards only", pkg, short(imp))
			}
		}
	}
}

func short(path string) string {
	return strings.TrimPrefix(strings.TrimPrefix(path, module), "/")
}

// allowedImports returns what pkg may import of this module, and whether pkg is on the map at all.
func allowedImports(pkg string) ([]string, bool) {
	if imports, ok := clientHalf[pkg]; ok {
		return imports, true
	}
	if slices.Contains(testOnly, pkg) {
		return []string{"internal/vfs"}, true
	}
	var below []string
	for _, floor := range layers {
		for _, r := range floor {
			if r.pkg == pkg {
				return append(below, r.beside...), true
			}
		}
		for _, r := range floor {
			below = append(below, r.pkg)
		}
	}
	return nil, false
}

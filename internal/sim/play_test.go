package sim

import (
	"encoding/json"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
)

// playVar names the one run of this process, scenario:seed. A run has a process, or a WebAssembly module, of its own: what
// libraries keep in pools must not get from one bubble into another.
const playVar = "LOGBAHN_SIM_PLAY"

// wholeVar, when not empty, makes the trace of a failing run whole.
const wholeVar = "LOGBAHN_SIM_WHOLE"

// scenarios are all there are.
var scenarios = slices.Concat(OneNode, ThreeNodes, FourNodes)

func find(name string) (Scenario, bool) {
	for _, s := range slices.Concat(scenarios, Weak) {
		if s.Name == name {
			return s, true
		}
	}
	return Scenario{}, false
}

func TestPlay(t *testing.T) {
	name, seed, ok := strings.Cut(os.Getenv(playVar), ":")
	if !ok {
		t.Skipf("the other tests call this one, with %s=scenario:seed", playVar)
	}
	s, known := find(name)
	n, err := strconv.ParseUint(seed, 10, 64)
	if !known || err != nil {
		t.Fatalf("%s=%s: no such scenario or seed", playVar, os.Getenv(playVar))
	}
	s.KeepAll = os.Getenv(wholeVar) != ""
	synctest.Test(t, func(t *testing.T) {
		res := s.Play(t.Context(), n)
		if res.Failed() {
			_, _ = res.Trace.WriteTo(os.Stdout)
			t.Fail()
		}
		line, err := json.Marshal(res)
		if err != nil {
			t.Error(err)
		}
		_, _ = os.Stdout.WriteString(resultMark + string(line) + "\n")
	})
}

// resultMark begins the line with the Result of a run.
const resultMark = "result: "

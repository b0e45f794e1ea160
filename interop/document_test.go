package interop

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

const documentFile = "../docs/compatibility.md"

// symbols are how the table shows an outcome.
var symbols = map[string]string{same: "✓", alone: "○", differs: "≠", red: "✗", unsupported: "–"}

const legend = `# Compatibility

What each client library gets from Logbahn, and whether it is what the same library gets from Apache Kafka: every check
is run by the unmodified library against both, and compared fact by fact, error codes included. The checks are described in
[interop/clients/README.md](../interop/clients/README.md). ` + "`make interop`" + ` runs them all and writes this page.

| | |
|---|---|
| ✓ | works, and every fact is the one that Apache Kafka gives |
| ≠ | differs from Apache Kafka for a reason: the number leads to it below |
| ○ | works; no Apache Kafka could be asked |
| – | the library has no such feature |
| ✗ | does not work, or differs without a reason |

`

// renderDocument writes docs/compatibility.md from what a run of the suite has found.
func renderDocument(all, three map[string]column, listed []difference) string {
	var out strings.Builder
	out.WriteString(legend)
	names := namesOf(all)
	out.WriteString("## Clients\n\n")
	renderClients(&out, all, names, listed)
	renderThree(&out, three, listed)
	notes := renderChecks(&out, all, names, listed)
	renderNotes(&out, notes, listed)
	renderRed(&out, "What is wrong", all, names, listed)
	renderLater(&out, all, names)
	return out.String()
}

// renderClients gives the versions, and the sum of each client's cells.
func renderClients(out *strings.Builder, all map[string]column, names []string, listed []difference) {
	out.WriteString("| Client | Version | Compared on Kafka | ✓ | ≠ | ○ | – | ✗ |\n|---|---|---|---|---|---|---|---|\n")
	for _, name := range names {
		sum := map[string]int{}
		for check, c := range all[name].Cells {
			outcome, _, _ := c.outcome(check, name, listed)
			sum[outcome]++
		}
		fmt.Fprintf(out, "| %s | %s | %s |", name, all[name].Version, all[name].Kafka)
		for _, outcome := range []string{same, differs, alone, unsupported, red} {
			fmt.Fprintf(out, " %d |", sum[outcome])
		}
		out.WriteString("\n")
	}
}

// renderThree says which clients were run against three nodes, and what came of it.
func renderThree(out *strings.Builder, three map[string]column, listed []difference) {
	names := namesOf(three)
	if len(names) == 0 {
		return
	}
	var green []string
	for _, name := range names {
		wrong := func(check string) bool {
			c, run := three[name].Cells[check]
			outcome, _, _ := c.outcome(check, name, listed)
			return !run || outcome == red
		}
		if !slices.ContainsFunc(checks, wrong) {
			green = append(green, name)
		}
	}
	fmt.Fprintf(out, "\n## Three nodes\n\nThe same checks against three nodes, with three replicas of each topic and min.insync.replicas=2; between group.commit and "+
		"group.resume each node is restarted, one after the other. What is compared is what three brokers of Apache Kafka answer. `make interop NODES=3` runs this. "+
		"Green in all %d checks: %s.\n\n", len(checks), strings.Join(green, ", "))
	renderClients(out, three, names, listed)
	renderRed(out, "What is wrong with three nodes", three, names, listed)
}

// namesOf are the clients that were run, in the order of the table.
func namesOf(all map[string]column) []string {
	var names []string
	for _, l := range libraries {
		if _, run := all[l.name]; run {
			names = append(names, l.name)
		}
	}
	return names
}

// renderChecks gives the table itself and returns the differences that it points to, in the order of their numbers.
func renderChecks(out *strings.Builder, all map[string]column, names []string, listed []difference) (notes []int) {
	fmt.Fprintf(out, "\n## Checks\n\n| Check | %s |\n|---|%s\n", strings.Join(names, " | "), strings.Repeat("---|", len(names)))
	for _, check := range checks {
		fmt.Fprintf(out, "| %s |", check)
		for _, name := range names {
			c, run := all[name].Cells[check]
			if !run {
				out.WriteString(" |")
				continue
			}
			outcome, needs, _ := c.outcome(check, name, listed)
			fmt.Fprintf(out, " %s", symbols[outcome])
			for _, d := range needs {
				n := slices.Index(notes, d)
				if n < 0 {
					n, notes = len(notes), append(notes, d)
				}
				fmt.Fprintf(out, " [%d](#d%d)", n+1, n+1)
			}
			out.WriteString(" |")
		}
		out.WriteString("\n")
	}
	return notes
}

func renderNotes(out *strings.Builder, notes []int, listed []difference) {
	if len(notes) == 0 {
		return
	}
	out.WriteString("\n## Differences and their reasons\n\n| | Fact | Logbahn | Kafka | Reason |\n|---|---|---|---|---|\n")
	for i, n := range notes {
		d := listed[n]
		fmt.Fprintf(out, "| <a id=\"d%d\"></a>%d | %s: %s | %s | %s | %s |\n", i+1, i+1, d.check, d.fact, code(d.logbahn), code(d.kafka), d.reason)
	}
}

func code(value string) string {
	if value == "*" {
		return "(any)"
	}
	return "`" + value + "`"
}

func renderRed(out *strings.Builder, title string, all map[string]column, names []string, listed []difference) {
	var lines []string
	for _, check := range checks {
		for _, name := range names {
			c, run := all[name].Cells[check]
			if !run {
				continue
			}
			outcome, _, unlisted := c.outcome(check, name, listed)
			if outcome != red {
				continue
			}
			why := make([]string, 0, len(unlisted))
			for _, u := range unlisted {
				why = append(why, u.String())
			}
			line := fmt.Sprintf("- %s, %s: %s %s", check, name, strings.Join(why, "; "), c.Detail)
			lines = append(lines, strings.Join(strings.Fields(line), " "))
		}
	}
	if len(lines) > 0 {
		fmt.Fprintf(out, "\n## %s\n\n%s\n", title, strings.Join(lines, "\n"))
	}
}

// renderLater tells what the clients see of features that Logbahn does not have: Kafka's own answers where they are off.
func renderLater(out *strings.Builder, all map[string]column, names []string) {
	out.WriteString("\n## Access control, SCRAM, tokens, quotas, transactions\n\n" +
		"Where Logbahn does not have one of these, it answers as Apache Kafka does without it:\n\n| Check | Client | What the client is told |\n|---|---|---|\n")
	for _, check := range checks {
		if !strings.HasPrefix(check, "later.") {
			continue
		}
		for _, name := range names {
			c, run := all[name].Cells[check]
			if run && c.Status != unsupported && len(c.Facts) > 0 {
				fmt.Fprintf(out, "| %s | %s | `%s` |\n", check, name, jsonText(c.Facts))
			}
		}
	}
}

// TestCompatibilityDocument holds docs/compatibility.md to the stored results and differences.txt, and each listed
// difference to a cell that needs it. LOGBAHN_UPDATE=1 writes the page anew, for instance after a reason was added.
func TestCompatibilityDocument(t *testing.T) {
	all, three, listed := readResults(t, 1), readResults(t, 3), readDifferences(t)
	needed := map[int]bool{}
	for _, results := range []map[string]column{all, three} {
		for name, c := range results {
			for check, cell := range c.Cells {
				_, needs, _ := cell.outcome(check, name, listed)
				for _, n := range needs {
					needed[n] = true
				}
			}
		}
	}
	for i, d := range listed {
		if !needed[i] {
			t.Errorf("differences.txt: no cell needs %s | %s | %s | %s | %s", d.check, d.client, d.fact, d.logbahn, d.kafka)
		}
	}
	want := renderDocument(all, three, listed)
	if os.Getenv("LOGBAHN_UPDATE") != "" {
		if err := os.WriteFile(documentFile, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(documentFile); err != nil || string(got) != want {
		t.Errorf("%s is not what testdata/matrix.json and differences.txt make (%v): LOGBAHN_UPDATE=1 go test -run %s ./interop", documentFile, err, t.Name())
	}
}

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

// cluster is a section about clients that were run against several nodes.
type cluster struct {
	at                   place
	title, command, what string
}

var clusters = []cluster{
	{
		place{nodes: 3}, "Three nodes", "make interop NODES=3",
		"Three nodes, three replicas of each topic, min.insync.replicas=2; between group.commit and group.resume each node is restarted, one after the " +
			"other. What is compared is what three brokers of Apache Kafka answer. To librdkafka a node that is down stays named for a minute longer " +
			"than by Kafka ([why](decisions/fenced-brokers.md)).",
	},
	{
		place{nodes: 3, proxied: true}, "Three nodes behind one address", "make interop PROXY=1",
		"The same three nodes, of which a client reaches one, by its listener in proxy mode; a connection of a client to any other listener " +
			"fails the suite. What is compared is what one broker of Apache Kafka answers, but for `topic.create`: a topic may have as many replicas as the cluster " +
			"has brokers.",
	},
}

// allResults are the results of all places.
func allResults(t testing.TB) map[place]map[string]column {
	t.Helper()
	all := map[place]map[string]column{{nodes: 1}: readResults(t, place{nodes: 1})}
	for _, c := range clusters {
		all[c.at] = readResults(t, c.at)
	}
	return all
}

// clusterTools is about TestToolsOnThreeBrokers and TestReplicasVerified.
const clusterTools = `
### Kafka's tools

` + "`make interop NODES=3`" + ` points the command-line tools of Apache Kafka 4.3.1 at three nodes too and compares what they print with what they print of
three brokers (testdata/tools/cluster): kafka-topics --describe with its filters, a broker stopped and started again, kafka-leader-election,
kafka-reassign-partitions with --generate, --execute, --verify, --list and --cancel; kafka-metadata-quorum describe; and
kafka-replica-verification, of 3.9.1 as well, until it has compared every record. The same transcripts hold ` + "`logbahn kafka-…`" + ` to Kafka's words in every
` + "`go test ./...`" + `. With PROXY=1 the tools' transcripts of one broker are compared through a
proxy, but for three that speak of what a cluster has: kafka-configs, kafka-topics, kafka-reassign-partitions.
`

// renderDocument writes docs/compatibility.md from what the runs of the suite have found.
func renderDocument(results map[place]map[string]column, listed []difference) string {
	var out strings.Builder
	out.WriteString(legend)
	all := results[place{nodes: 1}]
	names := namesOf(all)
	out.WriteString("## Clients\n\n")
	renderClients(&out, all, names, listed)
	notes := renderChecks(&out, all, names, listed)
	renderNotes(&out, notes, listed)
	renderRed(&out, "## What is wrong", all, names, listed)
	renderLater(&out, all, names)
	renderClusters(&out, results, listed)
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

// renderClusters says what came of the same checks against several nodes, and which of Kafka's tools were pointed at them.
func renderClusters(out *strings.Builder, results map[place]map[string]column, listed []difference) {
	out.WriteString("\n## Clusters\n")
	for _, c := range clusters {
		found := results[c.at]
		names := namesOf(found)
		if len(names) == 0 {
			continue
		}
		fmt.Fprintf(out, "\n### %s\n\n`%s`: %s Green in all %d checks: %s.\n\n", c.title, c.command, c.what, len(checks), greenIn(found, names, listed))
		renderClients(out, found, names, listed)
		renderRed(out, "### What is wrong with "+strings.ToLower(c.title[:1])+c.title[1:], found, names, listed)
	}
	out.WriteString(clusterTools)
}

// greenIn names the clients that were run in every check, none of which is red.
func greenIn(found map[string]column, names []string, listed []difference) string {
	var green []string
	for _, name := range names {
		wrong := func(check string) bool {
			c, run := found[name].Cells[check]
			outcome, _, _ := c.outcome(check, name, listed)
			return !run || outcome == red
		}
		if !slices.ContainsFunc(checks, wrong) {
			green = append(green, name)
		}
	}
	switch len(green) {
	case 0:
		return "none"
	case len(libraries):
		return "all clients"
	}
	return strings.Join(green, ", ")
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
		fmt.Fprintf(out, "\n%s\n\n%s\n", title, strings.Join(lines, "\n"))
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
	results, listed := allResults(t), readDifferences(t)
	needed := map[int]bool{}
	for _, found := range results {
		for name, c := range found {
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
	want := renderDocument(results, listed)
	if os.Getenv("LOGBAHN_UPDATE") != "" {
		if err := os.WriteFile(documentFile, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(documentFile); err != nil || string(got) != want {
		t.Errorf("%s is not what testdata/matrix*.json and differences.txt make (%v): LOGBAHN_UPDATE=1 go test -run %s ./interop", documentFile, err, t.Name())
	}
}

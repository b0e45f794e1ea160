package config

import (
	"fmt"
	"strings"
)

//go:generate go run ./gen ../../docs/configuration.md

const markdownHead = `# Configuration

*Generated from the tables of keys in internal/config by ` + "`go generate ./internal/config`" + `; do not edit.*

Logbahn takes Kafka's settings: ` + "`logbahn start server.properties`" + ` boots the file that Kafka ships, unedited. A value comes from,
the later ones first: the file; variables of the environment, ` + "`KAFKA_`" + ` and the key in capitals with ` + "`_`" + ` for a dot, ` + "`__`" + ` for an
underscore and ` + "`___`" + ` for a dash (` + "`KAFKA_NUM_PARTITIONS=12`; `KAFKA_CFG_`" + ` means the same; the Java settings of the Apache image, such
as ` + "`KAFKA_HEAP_OPTS`, and what Kubernetes sets for a service named kafka, such as `KAFKA_PORT=tcp://...`, are no keys; `CLUSTER_ID`" + ` is cluster.id); ` + "`--override key=value`" + `. As in the Apache image, who sets
` + "`KAFKA_ADVERTISED_LISTENERS` and not `KAFKA_LISTENERS`" + ` listens on the same ports of every address.

A key that nobody knows is warned about, with the one that may have been meant; ` + "`--strict`" + ` refuses it. A value that is not
allowed is refused at the start. ` + "`logbahn config check FILE`" + ` says all that without a start, ` + "`logbahn config explain KEY`" + ` what this
page says of one key.

What happens to a key:

- **honoured**: what Kafka does.
- **mapped**: something near it, which the description says.
- **no effect**: accepted, so that a file for Kafka boots, and nothing comes of it.
- **refused**: any value but the default stops the start, for the reason that is given.

*update* says how a broker's key can be changed while brokers run (` + "`logbahn cluster configs`, `kafka-configs`" + `): no; of one broker;
of one broker or of all. What is changed at run time is kept with the cluster, goes before the file, and counts at once.
`

// Markdown returns docs/configuration.md.
func Markdown() string {
	var b strings.Builder
	b.WriteString(markdownHead)
	section(&b, "Logbahn's own keys", "", ourBrokerKeys)
	for _, t := range []struct {
		title string
		defs  []Def
	}{
		{"Node, sockets, controller", serverKeys}, {"Logs and replication", logKeys}, {"Groups, offsets, transactions", groupKeys},
		{"Security and quotas", securityKeys}, {"Remote storage", remoteKeys},
	} {
		section(&b, t.title, "", t.defs)
	}
	section(&b, "At run time only", "Keys that clients set, and that no file does.", dynamicOnlyKeys)
	section(&b, "Of older Kafkas", "So that the files of Kafka 0.8 to 3 boot. What begins with `zookeeper.` and is not listed is passed over.", retiredKeys)
	b.WriteString("\n## Topics\n\nA topic's own value, else the broker's default. Every key can be changed at run time.\n\n")
	b.WriteString("| key | type, allowed | default | broker's key | | what it is |\n|---|---|---|---|---|---|\n")
	for i := range topicKeys {
		topicRow(&b, &topicKeys[i])
	}
	for i := range retiredTopicKeys {
		topicRow(&b, &retiredTopicKeys[i])
	}
	return b.String()
}

func section(b *strings.Builder, title, text string, defs []Def) {
	fmt.Fprintf(b, "\n## %s\n\n", title)
	if text != "" {
		fmt.Fprintf(b, "%s\n\n", text)
	}
	b.WriteString("| key | type, allowed | default | update | | what it is |\n|---|---|---|---|---|---|\n")
	for i := range defs {
		d := &defs[i]
		fmt.Fprintf(b, "| `%s` | %s | %s | %s | %s | %s |\n", d.Name, d.typeText(), d.defaultText(), d.updateText(), classTexts[d.Class], d.docText())
	}
}

func topicRow(b *strings.Builder, d *Def) {
	var server []string
	for _, s := range d.Server {
		server = append(server, "`"+s.Name+"`")
	}
	fmt.Fprintf(b, "| `%s` | %s | %s | %s | %s | %s |\n", d.Name, d.typeText(), d.defaultText(), strings.Join(server, ", "), classTexts[d.Class], d.docText())
}

var (
	updateTexts = [...]string{ReadOnly: "no", PerBroker: "one", ClusterWide: "one, all"}
	classTexts  = [...]string{Honoured: "honoured", Mapped: "mapped", NoEffect: "no effect", Refused: "refused"}
)

func (d *Def) updateText() string {
	if d.AtStart {
		return "no (in Kafka: " + updateTexts[d.Dynamic] + ")"
	}
	return updateTexts[d.Dynamic]
}

func (d *Def) typeText() string {
	text := strings.ToLower(d.Type.String())
	if d.Valid != nil {
		text += ", " + d.Valid.Allowed
	}
	return cell(text)
}

func (d *Def) defaultText() string {
	switch {
	case d.Unset:
		return "none"
	case d.Default == "":
		return "empty"
	}
	return "`" + cell(d.Default) + "`"
}

func (d *Def) docText() string {
	text := d.Doc
	if d.Reason != "" {
		text += " Refused: " + strings.TrimSuffix(d.Reason, ".") + "."
	}
	return cell(text)
}

// cell keeps a text in its column.
func cell(text string) string { return strings.ReplaceAll(text, "|", `\|`) }

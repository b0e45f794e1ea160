package main

import (
	"flag"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
)

var update = flag.Bool("update", false, "write what is generated of docs/cli.md")

// outputs is what each command prints with -o json and yaml.
var outputs = map[string]any{
	"bench consume":       benchResult{},
	"bench e2e":           benchResult{},
	"bench produce":       benchResult{},
	"cluster brokers":     []brokerRow{},
	"cluster configs get": []brokerConfigRow{},
	"cluster features":    featuresObject{},
	"cluster health":      healthObject{},
	"cluster info":        clusterInfoObject{},
	"cluster drain":       []moveRow{},
	"cluster move":        []moveRow{},
	"cluster partitions":  []clusterPartitionRow{},
	"cluster quorum":      quorumObject{},
	"config check":        checkObject{},
	"config explain":      []explanation{},
	"consume":             consumed{},
	"doctor":              doctorObject{},
	"group describe":      groupDescription{},
	"group lag":           lagDescription{},
	"group list":          []groupRow{},
	"group seek":          []seekRow{},
	"topic consume":       consumed{},
	"topic create":        []topicRow{},
	"topic describe":      topicDescription{},
	"topic list":          []topicRow{},
	"topic tail":          consumed{},
	"topic trim":          []trimRow{},
	"version":             versionInfo{},
}

// TestReference keeps the part of docs/cli.md that is made from the commands: go test ./cmd/logbahn -run Reference -update.
func TestReference(t *testing.T) {
	const file, begin, end = "../../docs/cli.md", "<!-- begin: generated -->\n", "<!-- end: generated -->\n"
	t.Setenv("LOGBAHN_BROKERS", "")
	doc, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, ok := strings.Cut(string(doc), begin)
	_, tail, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s has no place for what is generated", file)
	}
	want := head + begin + reference(t) + end + tail
	if *update {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if want != string(doc) {
		t.Errorf("%s is not what the commands are: go test ./cmd/logbahn -run Reference -update", file)
	}
}

func reference(t *testing.T) string {
	var b strings.Builder
	commands := leaves(rootCommand())
	b.WriteString("| command | |\n|---|---|\n")
	documented := 0
	first := map[reflect.Type]string{}
	for _, c := range commands {
		fmt.Fprintf(&b, "| `%s` | %s |\n", c.UseLine()[len("logbahn "):], c.Short)
	}
	b.WriteString("\n## What -o json and -o yaml print\n")
	for _, c := range commands {
		name := strings.TrimPrefix(c.CommandPath(), "logbahn ")
		value, known := outputs[name]
		if printsForms := c.Flags().Lookup("output") != nil; printsForms != known {
			t.Errorf("%s: has -o: %v, is in the table of outputs: %v", name, printsForms, known)
		}
		if !known {
			continue
		}
		documented++
		if as, twice := first[reflect.TypeOf(value)]; twice {
			fmt.Fprintf(&b, "\n### %s\n\nAs `%s`.\n", name, as)
			continue
		}
		first[reflect.TypeOf(value)] = name
		fmt.Fprintf(&b, "\n### %s\n\n%s\n\n| field | type | |\n|---|---|---|\n", name, kindOf(value))
		fields(t, &b, "", reflect.TypeOf(value))
	}
	if documented != len(outputs) {
		t.Errorf("%d commands with output, %d in the table", documented, len(outputs))
	}
	return b.String()
}

// leaves are the commands that do something, Kafka's own names aside.
func leaves(c *cobra.Command) []*cobra.Command {
	var found []*cobra.Command
	for _, sub := range c.Commands() {
		switch {
		case sub.Hidden || sub.Name() == "help":
		case sub.HasSubCommands() && !sub.LocalNonPersistentFlags().HasFlags():
			found = append(found, leaves(sub)...)
		default:
			sub.InitDefaultHelpFlag()
			sub.DisableFlagsInUseLine = true
			found = append(found, sub)
			found = append(found, leaves(sub)...) // of one that does something itself
		}
	}
	return found
}

func kindOf(value any) string {
	switch value.(type) {
	case consumed:
		return "An object for each record, one a line (`-o json` only)."
	}
	if reflect.TypeOf(value).Kind() == reflect.Slice {
		return "A list of objects."
	}
	return "An object."
}

// fields writes a line for each field of an object, and for those of objects in it. Every field has a doc.
func fields(t *testing.T, b *strings.Builder, prefix string, typ reflect.Type) {
	for typ.Kind() == reflect.Slice || typ.Kind() == reflect.Pointer {
		typ = typ.Elem()
	}
	for i := range typ.NumField() {
		f := typ.Field(i)
		if f.Anonymous {
			fields(t, b, prefix, f.Type)
			continue
		}
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if !f.IsExported() {
			continue
		}
		doc := f.Tag.Get("doc")
		if name == "" || doc == "" {
			t.Errorf("%s.%s has no name or no doc", typ.Name(), f.Name)
		}
		if options == "omitempty" {
			doc += " (left out when there is none)"
		}
		text, object := typeText(f.Type)
		fmt.Fprintf(b, "| `%s%s` | %s | %s |\n", prefix, name, text, doc)
		if object != nil {
			if f.Type.Kind() == reflect.Slice {
				name += "[]"
			}
			fields(t, b, prefix+name+".", object)
		}
	}
}

// typeText names a type in JSON's words, and returns the object behind it, if there is one.
func typeText(typ reflect.Type) (string, reflect.Type) {
	switch {
	case typ == reflect.TypeFor[time.Time]():
		return "time", nil
	case typ == reflect.TypeFor[[]byte]():
		return "base64", nil
	}
	switch typ.Kind() {
	case reflect.Pointer:
		text, object := typeText(typ.Elem())
		if object != nil {
			return text, object
		}
		return text + " or null", nil
	case reflect.Slice:
		text, object := typeText(typ.Elem())
		return "list of " + text + "s", object
	case reflect.Struct:
		return "object", typ
	case reflect.Bool:
		return "boolean", nil
	case reflect.Float64:
		return "number", nil
	case reflect.String:
		return "string", nil
	}
	return "integer", nil
}

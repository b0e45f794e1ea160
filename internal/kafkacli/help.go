package kafkacli

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// helpWidth is the width of a line of help.
const helpWidth = 80

// printHelp prints the tool's options, sorted by name, in the two columns that Kafka's help has.
func (c *call) printHelp(w io.Writer) {
	rows := slices.Clone(c.tool.options)
	rows = append(rows, helpAndVersion...)
	slices.SortFunc(rows, func(a, b option) int { return strings.Compare(a.name, b.name) })
	left, widest := make([]string, len(rows)), 0
	for i, r := range rows {
		left[i] = r.synopsis()
		widest = max(widest, len(left[i]))
	}
	column := min(widest, helpWidth/2) + 2
	fmt.Fprintf(w, "%-*s%s\n%-*s%s\n", column, "Option", "Description", column, "------", "-----------")
	for i, r := range rows {
		help := r.help
		if r.fallback != "" {
			help += " (default: " + strings.ReplaceAll(r.fallback, "\n", `\n`) + ")"
		}
		printColumns(w, left[i], help, column)
	}
}

// synopsis is an option with its argument, such as --topic <String: topic>.
func (o *option) synopsis() string {
	s := "--" + o.name
	if o.required {
		s = "* " + s
	}
	if o.kind == flag {
		return s
	}
	arg := kindNames[o.kind]
	if o.value != "" {
		arg += ": " + o.value
	}
	if o.kind == optionalText || o.kind == optionalLong {
		return s + " [" + arg + "]"
	}
	return s + " <" + arg + ">"
}

// printColumns prints left, and right beside it in lines that are broken between words.
func printColumns(w io.Writer, left, right string, column int) {
	if len(left) > column-2 {
		fmt.Fprintln(w, left)
		left = ""
	}
	line := ""
	for _, word := range strings.Fields(right) {
		if line != "" && len(line)+1+len(word) > helpWidth-column {
			fmt.Fprintf(w, "%-*s%s\n", column, left, line)
			left, line = "", ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	fmt.Fprintf(w, "%-*s%s\n", column, left, line)
}

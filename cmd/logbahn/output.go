package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"
	"golang.org/x/term"
)

// form is how a command prints what it found. It is checked while flags are parsed, before anything is done.
type form string

const (
	formTable form = "table"
	formWide  form = "wide"
	formJSON  form = "json"
	formYAML  form = "yaml"
)

var forms = []string{string(formTable), string(formWide), string(formJSON), string(formYAML)}

func (f *form) String() string { return string(*f) }
func (f *form) Type() string   { return "form" }

func (f *form) Set(text string) error {
	if !slices.Contains(forms, text) {
		return fmt.Errorf("there are %s", strings.Join(forms, ", "))
	}
	*f = form(text)
	return nil
}

// outputFlag adds -o to a command that prints rows or an object.
func outputFlag(c *cobra.Command) {
	f := formTable
	c.Flags().VarP(&f, "output", "o", "table, wide (more columns), json or yaml")
	_ = c.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(forms, cobra.ShellCompDirectiveNoFileComp))
}

func formOf(c *cobra.Command) form { return form(c.Flags().Lookup("output").Value.String()) }

// show prints value as JSON or YAML, or rows as a table under header, as -o says. Columns behind a | in the header are
// for -o wide only; a row has a cell for each column of both.
func show(c *cobra.Command, value any, header string, rows func(line func(cells ...any))) error {
	switch formOf(c) {
	case formJSON:
		return writeJSON(c.OutOrStdout(), value)
	case formYAML:
		return writeYAML(c.OutOrStdout(), value)
	case formWide:
		header = strings.Replace(header, "|", "", 1)
	default:
		header, _, _ = strings.Cut(header, "|")
	}
	t := newTable(header)
	rows(t.line)
	return t.write(c.OutOrStdout())
}

// forPeople tells whether a command prints for eyes, so that a line beside the table does no harm.
func forPeople(c *cobra.Command) bool { return formOf(c) == formTable || formOf(c) == formWide }

func writeJSON(w io.Writer, value any) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(value)
}

// writeYAML writes what writeJSON does, in YAML: same names, same order, since JSON is YAML.
func writeYAML(w io.Writer, value any) error {
	data, err := json.Marshal(value)
	if err != nil {
		return err
	}
	var node yaml.Node
	if err := yaml.Unmarshal(data, &node); err != nil {
		return err
	}
	blockStyle(&node)
	encoder := yaml.NewEncoder(w)
	encoder.SetIndent(2)
	if err := encoder.Encode(&node); err != nil {
		return err
	}
	return encoder.Close()
}

// blockStyle takes JSON's brackets and quotes off. A text that reads as something else keeps its quotes.
func blockStyle(node *yaml.Node) {
	node.Style = 0
	if node.Kind == yaml.ScalarNode && node.Tag == "!!str" {
		var plain yaml.Node
		if err := yaml.Unmarshal([]byte(node.Value), &plain); err != nil || len(plain.Content) != 1 ||
			plain.Content[0].Tag != "!!str" || plain.Content[0].Value != node.Value {
			node.Style = yaml.DoubleQuotedStyle
		}
	}
	for _, child := range node.Content {
		blockStyle(child)
	}
}

// colour is a terminal's, by its ANSI number. 0 is none.
type colour int

const (
	bold   colour = 1
	red    colour = 31
	green  colour = 32
	yellow colour = 33
)

// painted is a cell with a colour, which shows on a terminal only.
type painted struct {
	text   string
	colour colour
}

// table gathers rows and aligns them. text/tabwriter would count the bytes of colours.
type table struct {
	widths []int
	lines  [][]painted
}

func newTable(header string) *table {
	t := &table{}
	names := strings.Fields(header)
	t.widths = make([]int, len(names))
	cells := make([]any, len(names))
	for i, name := range names {
		cells[i] = painted{name, bold}
	}
	t.line(cells...)
	return t
}

func (t *table) line(cells ...any) {
	line := make([]painted, len(t.widths))
	for i := range line {
		line[i] = cellOf(cells[i])
		t.widths[i] = max(t.widths[i], utf8.RuneCountInString(line[i].text))
	}
	t.lines = append(t.lines, line)
}

func cellOf(value any) painted {
	switch v := value.(type) {
	case painted:
		return painted{printable(v.text), v.colour}
	case []int32:
		var text []string
		for _, n := range v {
			text = append(text, strconv.Itoa(int(n)))
		}
		return painted{text: orDash(strings.Join(text, ","))}
	}
	return painted{text: printable(fmt.Sprint(value))}
}

// printable keeps what others have chosen, such as the id of a client, from steering the terminal.
func printable(text string) string {
	if strings.IndexFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) < 0 && utf8.ValidString(text) {
		return text
	}
	quoted := strconv.Quote(text)
	return quoted[1 : len(quoted)-1]
}

func (t *table) write(w io.Writer) error {
	colours := hasColours(w)
	var b strings.Builder
	for _, line := range t.lines {
		for i, cell := range line {
			b.WriteString(paint(cell, colours))
			if i < len(line)-1 {
				b.WriteString(strings.Repeat(" ", t.widths[i]-utf8.RuneCountInString(cell.text)+2))
			}
		}
		b.WriteByte('\n')
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func paint(p painted, colours bool) string {
	if !colours || p.colour == 0 {
		return p.text
	}
	return fmt.Sprintf("\x1b[%dm%s\x1b[0m", p.colour, p.text)
}

// hasColours follows no-color.org.
func hasColours(w io.Writer) bool {
	return isTerminal(w) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}

func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func offsetOrDash(offset int64) any {
	if offset < 0 {
		return "-"
	}
	return offset
}

// bytesText writes a size with three digits at most, in powers of 1024.
func bytesText(n int64) string {
	if n < 0 {
		return "-"
	}
	units := []string{"B", "KiB", "MiB", "GiB", "TiB", "PiB"}
	size, unit := float64(n), 0
	for size >= 999.5 && unit < len(units)-1 {
		size /= 1024
		unit++
	}
	digits := 0
	if unit > 0 && size < 99.95 {
		digits = 1
	}
	return strconv.FormatFloat(size, 'f', digits, 64) + " " + units[unit]
}

// counted writes a number of things.
func counted(n int, thing string) string {
	if n != 1 {
		thing += "s"
	}
	return strconv.Itoa(n) + " " + thing
}

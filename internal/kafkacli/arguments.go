package kafkacli

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
)

// argument is one row of the table of a tool whose command line is read as Python's argparse does. Some of Kafka's tools
// use a Java copy of that; their messages differ from those of the others.
type argument struct {
	names    []string // the long name first
	kind     kind
	several  bool // takes one value or more
	repeats  bool // may be given several times; of others the last one counts
	required bool
	group    int // of the arguments of one group above 0 exactly one is required
	choices  []string
	fallback string
	value    string
	help     string
}

// label is what messages call an argument.
func (a *argument) label() string { return strings.Join(a.names, "/") }

// argumentError is a command line that does not fit the table.
type argumentError struct{ text string }

func (e *argumentError) Error() string { return e.text }

func argumentErrorf(format string, args ...any) error {
	return &argumentError{fmt.Sprintf(format, args...)}
}

// arguments is a parsed command line.
type arguments struct {
	table []argument
	given map[string][]string // by the long name
	help  bool
}

// parseArguments reads args. It fails with an argumentError; with -h or --help nothing else is looked at.
func parseArguments(table []argument, args []string) (*arguments, error) {
	a := &arguments{table: table, given: map[string][]string{}}
	for len(args) > 0 {
		word := args[0]
		args = args[1:]
		if word == "-h" || word == "--help" {
			a.help = true
			return a, nil
		}
		name, value, hasValue := strings.Cut(word, "=")
		arg := a.find(name)
		if arg == nil {
			return nil, argumentErrorf("unrecognized arguments: '%s'", word)
		}
		if err := a.excluded(arg); err != nil {
			return nil, err
		}
		values := []string{}
		switch {
		case arg.kind == flag:
		case hasValue:
			values = append(values, value)
		case len(args) == 0 || isName(args[0]):
			return nil, argumentErrorf("argument %s: expected %s", arg.label(), map[bool]string{true: "at least one argument", false: "one argument"}[arg.several])
		default:
			n := 1
			for arg.several && n < len(args) && !isName(args[n]) {
				n++
			}
			values, args = append(values, args[:n]...), args[n:]
		}
		if err := arg.check(values); err != nil {
			return nil, err
		}
		if !arg.several && !arg.repeats {
			a.given[arg.names[0]] = nil
		}
		a.given[arg.names[0]] = append(a.given[arg.names[0]], values...)
		if a.given[arg.names[0]] == nil {
			a.given[arg.names[0]] = values
		}
	}
	return a, a.complete()
}

// isName tells whether a word names an argument; negative numbers do not.
func isName(word string) bool {
	if len(word) < 2 || word[0] != '-' {
		return false
	}
	_, err := strconv.ParseFloat(word, 64)
	return err != nil
}

func (a *argument) check(values []string) error {
	for _, v := range values {
		if len(a.choices) > 0 && !slices.Contains(a.choices, v) {
			return argumentErrorf("argument %s: invalid choice: '%s' (choose from {%s})", a.label(), v, strings.Join(a.choices, ","))
		}
		bits := map[kind]int{integer: 32, long: 64}[a.kind]
		if bits == 0 {
			continue
		}
		if _, err := strconv.ParseInt(v, 10, bits); err != nil {
			return argumentErrorf("argument %s: could not convert '%s' to %s (For input string: \"%s\")", a.label(), v, kindNames[a.kind], v)
		}
	}
	return nil
}

// excluded fails when another argument of the group has been given.
func (a *arguments) excluded(arg *argument) error {
	for i := range a.table {
		other := &a.table[i]
		if arg.group > 0 && other.group == arg.group && other.names[0] != arg.names[0] && a.has(other.names[0]) {
			return argumentErrorf("argument %s: not allowed with argument %s", arg.label(), other.label())
		}
	}
	return nil
}

func (a *arguments) complete() error {
	groups := map[int][]string{}
	satisfied := map[int]bool{}
	for i := range a.table {
		arg := &a.table[i]
		if arg.required && !a.has(arg.names[0]) {
			return argumentErrorf("argument %s is required", arg.label())
		}
		if arg.group > 0 {
			groups[arg.group] = append(groups[arg.group], arg.label())
			satisfied[arg.group] = satisfied[arg.group] || a.has(arg.names[0])
		}
	}
	for group := 1; group <= len(groups); group++ {
		if !satisfied[group] {
			return argumentErrorf("one of the arguments %s is required", strings.Join(groups[group], " "))
		}
	}
	return nil
}

func (a *arguments) find(name string) *argument {
	for i := range a.table {
		if slices.Contains(a.table[i].names, name) {
			return &a.table[i]
		}
	}
	return nil
}

func (a *arguments) has(name string) bool {
	_, ok := a.given[name]
	return ok
}

func (a *arguments) all(name string) []string { return a.given[name] }

func (a *arguments) text(name string) string {
	if values := a.given[name]; len(values) > 0 {
		return values[len(values)-1]
	}
	return a.find(name).fallback
}

// long returns a number; check has seen that it is one.
func (a *arguments) long(name string) int64 {
	n, _ := strconv.ParseInt(a.text(name), 10, 64)
	return n
}

// milliseconds is long as a time.
func (a *arguments) milliseconds(name string) time.Duration { return milliseconds(a.long(name)) }

// either returns the value of the new spelling, or of the old one.
func (a *arguments) either(now, old string) string {
	if a.has(now) {
		return a.text(now)
	}
	return a.text(old)
}

// synopsis is an argument as the usage line shows it.
func (a *argument) synopsis() string {
	s := a.names[0]
	if a.kind != flag {
		value := a.value
		if value == "" {
			value = strings.ToUpper(strings.ReplaceAll(strings.TrimLeft(a.names[0], "-"), "-", "_"))
		}
		s += " " + value
		if a.several {
			s += " [" + value + " ...]"
		}
	}
	return s
}

// printUsage prints the usage line, and with more the table as well.
func printUsage(w io.Writer, program, does string, table []argument, more bool) {
	fmt.Fprintf(w, "usage: %s [-h]", program)
	for i := range table {
		if table[i].required || table[i].group > 0 {
			fmt.Fprintf(w, " %s", table[i].synopsis())
		} else {
			fmt.Fprintf(w, " [%s]", table[i].synopsis())
		}
	}
	fmt.Fprintln(w)
	if !more {
		return
	}
	fmt.Fprintf(w, "\n%s\n\noptional arguments:\n", does)
	printColumns(w, "  -h, --help", "show this help message and exit", 27)
	for i := range table {
		help := table[i].help
		if table[i].fallback != "" {
			help += " (default: " + strings.ReplaceAll(table[i].fallback, "\n", `\n`) + ")"
		}
		names := make([]string, len(table[i].names))
		for j, name := range table[i].names {
			names[j] = strings.Replace(table[i].synopsis(), table[i].names[0], name, 1)
		}
		printColumns(w, "  "+strings.Join(names, ", "), help, 27)
	}
}

// subcommand is a word that a tool begins with, and its table.
type subcommand struct {
	name, does string
	table      []argument
}

// fail prints what is wrong with a command line, as argparse does.
func (c *call) fail(program string, table []argument, err error) error {
	printUsage(c.Stderr, program, "", table, false)
	fmt.Fprintf(c.Stderr, "%s: error: %v\n", c.tool.name, err)
	return exitError(1)
}

// leading counts the words before the subcommand: names with a dash and their values.
func leading(args []string) int {
	i := 0
	for i < len(args) && strings.HasPrefix(args[i], "-") && args[i] != "-h" && args[i] != "--help" {
		i++ // the name
		if i < len(args) && !strings.Contains(args[i-1], "=") {
			i++ // and its value
		}
	}
	return i
}

// choose reads the subcommand of a tool and its arguments. done says that everything has been said, with the exit code in
// err.
func (c *call) choose(commands []subcommand, args []string, helpCode int) (name string, a *arguments, done bool, err error) {
	names := make([]string, len(commands))
	for i := range commands {
		names[i] = commands[i].name
	}
	head := c.tool.name + " {" + strings.Join(names, ",") + "} ..."
	switch {
	case len(args) == 0:
		return "", nil, true, c.fail(head, nil, argumentErrorf("too few arguments"))
	case args[0] == "-h" || args[0] == "--help":
		printUsage(c.out, head, c.tool.does, nil, true)
		for _, command := range commands {
			printColumns(c.out, "  "+command.name, command.does, 27)
		}
		return "", nil, true, exitError(helpCode)
	}
	i := slices.Index(names, args[0])
	if i < 0 {
		return "", nil, true, c.fail(head, nil, argumentErrorf("invalid choice: '%s' (choose from '%s')", args[0], strings.Join(names, "', '")))
	}
	program := c.tool.name + " " + names[i]
	a, err = parseArguments(commands[i].table, args[1:])
	if err != nil {
		return "", nil, true, c.fail(program, commands[i].table, err)
	}
	if a.help {
		printUsage(c.out, program, commands[i].does, commands[i].table, true)
		return "", nil, true, exitError(helpCode)
	}
	return names[i], a, false, nil
}

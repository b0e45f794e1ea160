package kafkacli

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// kind says what an option takes.
type kind int8

const (
	flag         kind = iota // nothing
	text                     // a string
	integer                  // an int32
	long                     // an int64
	optionalText             // a string, or nothing
	optionalLong             // an int64, or nothing
)

// kindNames are the kinds as Kafka's help shows them.
var kindNames = [...]string{text: "String", integer: "Integer", long: "Long", optionalText: "String", optionalLong: "Long"}

// option is one row of a tool's table of options.
type option struct {
	name     string
	kind     kind
	value    string // what the help calls its argument
	fallback string // its value when it is not given
	help     string
	required bool // refused by the parser when it is missing
	list     bool // one argument holds several values, separated by commas
}

// helpAndVersion are the options that every tool has.
var helpAndVersion = []option{
	{name: "help", help: "Print usage information."},
	{name: "version", help: "Display Kafka version."},
}

// optionError is a command line that does not fit the table. The words are those of Kafka's parser.
type optionError struct{ text string }

func (e *optionError) Error() string { return e.text }

func optionErrorf(format string, args ...any) error {
	return &optionError{fmt.Sprintf(format, args...)}
}

// options is a parsed command line. Values are converted when they are asked for, and the first that cannot be is kept
// in err: a tool looks at it once before it acts.
type options struct {
	table []option
	given map[string][]string // an option without an argument has an empty list
	args  int                 // how many words the command line had
	err   error
}

// parse reads a command line as Kafka's parser does: --name value, --name=value, and -name; no abbreviations. Words
// that belong to no option are passed over. It fails with an optionError.
func parse(table []option, args []string) (*options, error) {
	o := &options{table: table, given: map[string][]string{}, args: len(args)}
	for len(args) > 0 {
		word := args[0]
		args = args[1:]
		if word == "--" {
			break
		}
		if len(word) < 2 || word[0] != '-' {
			continue
		}
		name, value, hasValue := strings.Cut(strings.TrimLeft(word, "-"), "=")
		opt := o.find(name)
		if opt == nil {
			switch {
			case name == "":
				name = word
			case !strings.HasPrefix(word, "--"):
				name = string([]rune(name)[:1]) // a cluster of short options, of which there are none
			}
			return nil, optionErrorf("%s is not a recognized option", name)
		}
		rest, err := o.take(opt, value, hasValue, args)
		if err != nil {
			return nil, err
		}
		args = rest
	}
	return o, o.checkRequired()
}

// take gives opt its argument, from behind the equals sign or from what follows, and returns what is left.
func (o *options) take(opt *option, value string, hasValue bool, args []string) ([]string, error) {
	switch opt.kind {
	case flag:
		hasValue = false
	case optionalText, optionalLong:
		if !hasValue && len(args) > 0 && !strings.HasPrefix(args[0], "-") {
			value, hasValue, args = args[0], true, args[1:]
		}
	default:
		if !hasValue {
			if len(args) == 0 {
				return nil, optionErrorf("Option %s requires an argument", opt.name)
			}
			value, hasValue, args = args[0], true, args[1:]
		}
	}
	values := slices.Clip(o.given[opt.name])
	if hasValue && opt.list {
		values = append(values, strings.Split(value, ",")...)
	} else if hasValue {
		values = append(values, value)
	}
	if values == nil {
		values = []string{}
	}
	o.given[opt.name] = values
	return args, nil
}

func (o *options) checkRequired() error {
	if o.has("help") || o.has("version") {
		return nil
	}
	for i := range o.table {
		if o.table[i].required && !o.has(o.table[i].name) {
			return optionErrorf("Missing required option(s) [%s]", o.table[i].name)
		}
	}
	return nil
}

func (o *options) find(name string) *option {
	for i := range o.table {
		if o.table[i].name == name {
			return &o.table[i]
		}
	}
	return nil
}

// has tells whether the option is on the command line.
func (o *options) has(name string) bool {
	_, ok := o.given[name]
	return ok
}

// count tells how many of the options are on the command line.
func (o *options) count(names ...string) int {
	n := 0
	for _, name := range names {
		if o.has(name) {
			n++
		}
	}
	return n
}

// all returns the values of an option that may be given several times.
func (o *options) all(name string) []string { return o.given[name] }

// text returns the value of an option, its fallback when it is not given.
func (o *options) text(name string) string {
	values := o.given[name]
	switch {
	case len(values) > 1:
		o.fail(optionErrorf("Found multiple arguments for option %s, but you asked for only one", name))
		return ""
	case len(values) == 1:
		return values[0]
	}
	return o.find(name).fallback
}

// long returns the value of a number, 0 when it is neither given nor has a fallback.
func (o *options) long(name string) int64 { return o.number(name, 64) }

// integer is long for 32 bits.
func (o *options) integer(name string) int32 { return int32(o.number(name, 32)) }

// milliseconds returns the value of a number as a time.
func (o *options) milliseconds(name string) time.Duration { return milliseconds(o.long(name)) }

// forever is a time that never comes.
const forever = time.Duration(math.MaxInt64)

// milliseconds is n of them; more than a Duration holds are forever.
func milliseconds(n int64) time.Duration {
	if n > forever.Milliseconds() {
		return forever
	}
	return time.Duration(max(n, -forever.Milliseconds())) * time.Millisecond
}

func (o *options) number(name string, bits int) int64 {
	s := o.text(name)
	if s == "" && !o.has(name) {
		return 0
	}
	n, err := strconv.ParseInt(s, 10, bits)
	if err != nil {
		o.fail(optionErrorf("Cannot parse argument '%s' of option %s", s, name))
	}
	return n
}

func (o *options) fail(err error) {
	if o.err == nil {
		o.err = err
	}
}

// require fails, in Kafka's words, for the first of the options that is missing.
func (o *options) require(names ...string) error {
	for _, name := range names {
		if !o.has(name) {
			return usage("Missing required argument \"[%s]\"", name)
		}
	}
	return nil
}

// exclude fails, in Kafka's words, when used is given together with one of the others.
func (o *options) exclude(used string, others ...string) error {
	if !o.has(used) {
		return nil
	}
	for _, other := range others {
		if other != used && o.has(other) {
			return usage("Option \"[%s]\" can't be used with option \"[%s]\"", used, other)
		}
	}
	return nil
}

// first returns the first error there is.
func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

package config

import (
	"math"
	"net"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// value is a parsed one. Which field counts, the type of its key says.
type value struct {
	text   string // as it is shown
	number int64
	float  float64
	list   []string
	yes    bool
}

// parse reads a value as its key demands. It returns what is wrong in Kafka's words, with the part that is wrong.
func (d *Def) parse(raw string) (value, *Error) {
	trimmed := strings.TrimFunc(raw, func(r rune) bool { return r <= ' ' }) // as Java's String.trim
	v := value{text: trimmed}
	var err error
	switch d.Type {
	case Boolean:
		v.text = strings.ToLower(trimmed)
		if v.yes = v.text == "true"; !v.yes && v.text != "false" {
			return v, invalid(d.Name, raw, "Expected value to be either true or false")
		}
	case Short:
		v.number, err = strconv.ParseInt(trimmed, 10, 16)
	case Int:
		v.number, err = strconv.ParseInt(trimmed, 10, 32)
	case Long:
		v.number, err = strconv.ParseInt(trimmed, 10, 64)
	case Double:
		v.float, err = strconv.ParseFloat(trimmed, 64)
	case List:
		v.list = splitList(trimmed)
		v.text = strings.Join(v.list, ",")
		if d.Valid != nil && slices.Contains(v.list, "") {
			return v, refuse("Configuration '%s' values must not be empty.", d.Name)
		}
	}
	if err != nil {
		return v, invalid(d.Name, raw, "Not a number of type "+d.Type.String())
	}
	v.format(d.Type)
	if d.Valid != nil {
		if part, wrong := d.Valid.check(d, v); wrong != "" {
			return v, invalid(d.Name, part, wrong)
		}
	}
	return v, nil
}

func (v *value) format(t Type) {
	switch t {
	case Short, Int, Long:
		v.float = float64(v.number)
		v.text = strconv.FormatInt(v.number, 10)
	case Double:
		v.text = JavaDouble(v.float, 64)
	}
}

// JavaDouble formats a number as Java's Double.toString does, or with 32 bits as Float.toString: decimal from 10^-3 to 10^7, otherwise
// with an exponent, and always with a digit behind the point.
func JavaDouble(x float64, bits int) string {
	switch size := math.Abs(x); {
	case math.IsNaN(x):
		return "NaN"
	case math.IsInf(x, 1):
		return "Infinity"
	case math.IsInf(x, -1):
		return "-Infinity"
	case x == 0 || size >= 1e-3 && size < 1e7:
		return withPoint(strconv.FormatFloat(x, 'f', -1, bits))
	}
	mantissa, exponent, _ := strings.Cut(strconv.FormatFloat(x, 'e', -1, bits), "e")
	power, _ := strconv.Atoi(exponent) // without the zeros in front
	return withPoint(mantissa) + "E" + strconv.Itoa(power)
}

func withPoint(digits string) string {
	if strings.Contains(digits, ".") {
		return digits
	}
	return digits + ".0"
}

// splitList splits at commas and drops the white space around them.
func splitList(trimmed string) []string {
	if trimmed == "" {
		return nil
	}
	parts := strings.Split(trimmed, ",")
	for i := range parts {
		parts[i] = strings.TrimSpace(parts[i])
	}
	return parts
}

// Rule limits the values of a key.
type Rule struct {
	// Allowed says what is allowed, to follow "allowed: ".
	Allowed string
	// check returns the part of the value that is wrong, and why in Kafka's words, or "".
	check func(d *Def, v value) (part, wrong string)
}

func number(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }

func atLeast(least float64) *Rule {
	return &Rule{"at least " + number(least), func(_ *Def, v value) (string, string) {
		if !(v.float >= least) {
			return v.text, "Value must be at least " + number(least)
		}
		return "", ""
	}}
}

func between(least, most float64) *Rule {
	return &Rule{number(least) + " to " + number(most), func(_ *Def, v value) (string, string) {
		switch {
		case !(v.float >= least):
			return v.text, "Value must be at least " + number(least)
		case v.float > most:
			return v.text, "Value must be no more than " + number(most)
		}
		return "", ""
	}}
}

// oneOf allows these words, and in a list each element must be one of them.
func oneOf(words ...string) *Rule {
	return choice(words, "String must be one of: ", func(a, b string) bool { return a == b })
}

func oneOfAnyCase(words ...string) *Rule {
	return choice(words, "String must be one of (case insensitive): ", strings.EqualFold)
}

func choice(words []string, complaint string, equal func(a, b string) bool) *Rule {
	all := strings.Join(words, ", ")
	return &Rule{"one of " + all, func(d *Def, v value) (string, string) {
		given := v.list
		if d.Type != List {
			given = []string{v.text}
		}
		for _, g := range given {
			if !slices.ContainsFunc(words, func(w string) bool { return equal(w, g) }) {
				return g, complaint + all
			}
		}
		return "", ""
	}}
}

var nonEmpty = &Rule{"not empty", func(_ *Def, v value) (string, string) {
	if v.text == "" {
		return "", "String must be non-empty"
	}
	return "", ""
}}

// notZero is for log.retention.ms: 0 would delete all that there is, and everything below it is for ever.
var notZero = &Rule{"at least 1, or -1", func(_ *Def, v value) (string, string) {
	if v.number == 0 {
		return v.text, "Value must be at least 1, or -1 for no limit"
	}
	return "", ""
}}

// hostLimits is for max.connections.per.ip.overrides.
var hostLimits = &Rule{"host:limit,...", func(_ *Def, v value) (string, string) {
	if _, err := parseLimits(v.text); err != nil {
		return v.text, err.Error()
	}
	return "", ""
}}

var gzipLevel = &Rule{"1 to 9, or -1", func(_ *Def, v value) (string, string) {
	if v.number != -1 && (v.number < 1 || v.number > 9) {
		return v.text, "Value must be between 1 and 9 or equal to -1"
	}
	return "", ""
}}

var clusterID = &Rule{"1 to 64 of a-z A-Z 0-9 _ -", func(_ *Def, v value) (string, string) {
	if !clusterIDText.MatchString(v.text) {
		return v.text, "must be 1 to 64 of a-z A-Z 0-9 _ -"
	}
	return "", ""
}}

var clusterIDText = regexp.MustCompile(`^[a-zA-Z0-9_-]{1,64}$`)

// OpsOff is the value of ops.listener for no endpoint.
const OpsOff = "off"

var hostPort = &Rule{"host:port, or off", func(_ *Def, v value) (string, string) {
	if v.text == "" || v.text == OpsOff {
		return "", ""
	}
	if _, port, err := net.SplitHostPort(v.text); err == nil {
		if _, err := strconv.ParseUint(port, 10, 16); err == nil {
			return "", ""
		}
	}
	return v.text, "must be host:port, or off"
}}

var replicaPair = regexp.MustCompile(`^[0-9]+:[0-9]+$`)

var throttledReplicas = &Rule{"* or partition:broker,...", func(d *Def, v value) (string, string) {
	if v.text == "*" {
		return "", ""
	}
	for _, pair := range v.list {
		if !replicaPair.MatchString(pair) {
			return "[" + strings.Join(v.list, ", ") + "]", d.Name + " must be the literal '*' or a list of replicas in the " +
				"following format: [partitionId]:[brokerId],[partitionId]:[brokerId],..."
		}
	}
	return "", ""
}}

var typeTexts = [...]string{"", "true or false", "", "a whole number of 32 bits", "a whole number of 16 bits", "a whole number",
	"a number", "a list separated by commas", "the name of a class", ""}

// Allowed says in words what values a key takes, or "" where any text will do.
func (d *Def) Allowed() string {
	text := typeTexts[d.Type]
	switch {
	case d.Valid == nil:
		return text
	case text == "":
		return d.Valid.Allowed
	}
	return text + ", " + d.Valid.Allowed
}

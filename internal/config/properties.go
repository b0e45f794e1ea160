package config

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/magiconair/properties"
)

// propertiesBytesMax bounds a properties file.
const propertiesBytesMax = 1 << 20

// ParseProperties reads a file in the syntax of Java's properties. ${} stays as it is. UTF-8 is read as such, anything
// else as Latin-1. origin is the name under which the settings and the error, which names the line, are reported.
func ParseProperties(origin string, data []byte) (Settings, error) {
	if len(data) > propertiesBytesMax {
		return nil, fmt.Errorf("%s: %d bytes, at most %d are read", origin, len(data), propertiesBytesMax)
	}
	loader := properties.Loader{Encoding: properties.UTF8, DisableExpansion: true}
	if !utf8.Valid(data) {
		loader.Encoding = properties.ISO_8859_1
	}
	var settings Settings
	for _, line := range logicalLines(bytes.TrimPrefix(data, []byte("\ufeff"))) {
		name, text, err := parseLine(&loader, line.text)
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", origin, line.number, err)
		}
		settings = append(settings, Setting{Name: name, Value: text, Origin: origin, Line: line.number})
	}
	return settings, nil
}

// parseLine reads one line by itself, so that its number is known.
func parseLine(loader *properties.Loader, line []byte) (name, text string, err error) {
	if line[0] == '=' || line[0] == ':' {
		return "", "", fmt.Errorf("no key before the %q", line[0])
	}
	p, err := loader.LoadBytes(line)
	if err != nil {
		return "", "", fmt.Errorf("not a line of the form key=value: %w", err)
	}
	keys := p.Keys()
	if len(keys) != 1 {
		return "", "", fmt.Errorf("not a line of the form key=value")
	}
	text, _ = p.Get(keys[0])
	return keys[0], text, nil
}

type logicalLine struct {
	number int
	text   []byte
}

// logicalLines joins the lines that end in a backslash with the next ones, and leaves out empty lines and comments.
func logicalLines(data []byte) []logicalLine {
	var lines []logicalLine
	joining := false
	for i, natural := range bytes.Split(unixLines(data), []byte("\n")) {
		natural = bytes.TrimLeft(natural, " \t\f")
		if !joining {
			if len(natural) == 0 || natural[0] == '#' || natural[0] == '!' {
				continue
			}
			lines = append(lines, logicalLine{number: i + 1})
		}
		last := &lines[len(lines)-1]
		if joining = oddBackslashes(natural); joining {
			natural = natural[:len(natural)-1]
		}
		last.text = append(last.text, natural...)
	}
	return withText(lines)
}

func unixLines(data []byte) []byte {
	data = bytes.ReplaceAll(data, []byte("\r\n"), []byte("\n"))
	return bytes.ReplaceAll(data, []byte("\r"), []byte("\n"))
}

func oddBackslashes(line []byte) bool {
	return (len(line)-len(bytes.TrimRight(line, `\`)))%2 == 1
}

func withText(lines []logicalLine) []logicalLine {
	kept := lines[:0]
	for _, l := range lines {
		if strings.TrimLeft(string(l.text), " \t\f") != "" {
			kept = append(kept, l)
		}
	}
	return kept
}

package config

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Parse reads a file of settings: YAML if the name ends in .yaml or .yml, else properties. The name is also the origin
// under which the settings and the error, which names the line, are reported.
func Parse(name string, data []byte) (Settings, error) {
	switch strings.ToLower(filepath.Ext(name)) {
	case ".yaml", ".yml":
		return ParseYAML(name, data)
	}
	return ParseProperties(name, data)
}

// yamlDepthMax bounds how deep mappings stand in each other.
const yamlDepthMax = 20

// ParseYAML reads a mapping of keys to values. A mapping in it is the rest of the key, so that log: {retention: {ms: 5}}
// is log.retention.ms; a list is its elements with commas between them. Anchors, aliases and a second document are refused.
func ParseYAML(origin string, data []byte) (Settings, error) {
	if len(data) > propertiesBytesMax {
		return nil, fmt.Errorf("%s: %d bytes, at most %d are read", origin, len(data), propertiesBytesMax)
	}
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	var doc, second yaml.Node
	switch err := decoder.Decode(&doc); {
	case errors.Is(err, io.EOF):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("%s: %w", origin, err)
	}
	if err := decoder.Decode(&second); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s: settings are one YAML document, and after it comes more (%w)", origin, cmp.Or(err, errSecondDocument))
	}
	return appendYAML(nil, origin, "", doc.Content[0], 0)
}

var errSecondDocument = errors.New("a second one begins with ---")

func appendYAML(settings Settings, origin, name string, node *yaml.Node, depth int) (Settings, error) {
	wrong := func(why string) error { return fmt.Errorf("%s:%d: %s", origin, node.Line, why) }
	switch {
	case node.Anchor != "" || node.Kind == yaml.AliasNode:
		return nil, wrong("anchors and aliases are not read")
	case depth > yamlDepthMax:
		return nil, wrong(fmt.Sprintf("more than %d mappings in each other", yamlDepthMax))
	case node.Kind == yaml.MappingNode:
		for i := 0; i+1 < len(node.Content); i += 2 {
			key := node.Content[i]
			if key.Kind != yaml.ScalarNode || key.Value == "" || key.Anchor != "" {
				return nil, fmt.Errorf("%s:%d: a key must be a word", origin, key.Line)
			}
			inner := key.Value
			if name != "" {
				inner = name + "." + key.Value
			}
			var err error
			if settings, err = appendYAML(settings, origin, inner, node.Content[i+1], depth+1); err != nil {
				return nil, err
			}
		}
		return settings, nil
	case name == "":
		return nil, wrong("the file is not a mapping of keys to values")
	}
	text, err := yamlText(node)
	if err != nil {
		return nil, wrong(err.Error())
	}
	return append(settings, Setting{Name: name, Value: text, Origin: origin, Line: node.Line}), nil
}

// yamlText is the value of a scalar or of a list of scalars.
func yamlText(node *yaml.Node) (string, error) {
	if node.Kind == yaml.ScalarNode {
		if node.Tag == "!!null" {
			return "", nil
		}
		return node.Value, nil
	}
	var elements []string
	for _, e := range node.Content {
		if e.Kind != yaml.ScalarNode || e.Anchor != "" {
			return "", fmt.Errorf("a list may hold words only")
		}
		elements = append(elements, e.Value)
	}
	return strings.Join(elements, ","), nil
}

package config

import (
	"strings"

	"go.yaml.in/yaml/v3"
)

// PropertyLine writes a setting as a line of a properties file, which ParseProperties reads back.
func PropertyLine(name, text string) string {
	value := escaper.Replace(text)
	if strings.HasPrefix(value, " ") {
		value = `\` + value
	}
	return keyEscaper.Replace(escaper.Replace(name)) + "=" + value
}

var (
	escaper    = strings.NewReplacer(`\`, `\\`, "\n", `\n`, "\r", `\r`, "\t", `\t`, "\f", `\f`)
	keyEscaper = strings.NewReplacer(" ", `\ `, "=", `\=`, ":", `\:`, "#", `\#`, "!", `\!`)
)

// YAMLLine writes a setting as a line of a YAML file, which ParseYAML reads back.
func YAMLLine(name, text string) (string, error) {
	node := yaml.Node{Kind: yaml.MappingNode, Content: []*yaml.Node{yamlString(name), yamlString(text)}}
	line, err := yaml.Marshal(&node)
	return strings.TrimSuffix(string(line), "\n"), err
}

// yamlString leaves numbers and booleans without quotes: as text they are read the same.
func yamlString(text string) *yaml.Node {
	var plain yaml.Node
	if err := yaml.Unmarshal([]byte(text), &plain); err == nil && len(plain.Content) == 1 {
		if n := plain.Content[0]; n.Kind == yaml.ScalarNode && n.Value == text && n.Style == 0 && n.Tag != "!!null" && n.Anchor == "" && n.LineComment == "" && n.Tag != "!!merge" {
			return &yaml.Node{Kind: yaml.ScalarNode, Value: text, Tag: n.Tag}
		}
	}
	return &yaml.Node{Kind: yaml.ScalarNode, Value: text, Tag: "!!str", Style: yaml.DoubleQuotedStyle}
}

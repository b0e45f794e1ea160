package config

import "strings"

// suggestNameMax bounds the length of a name for which another is looked for.
const suggestNameMax = 100

// Suggest returns the broker's key that somebody may have meant by a name that is none, or "".
func Suggest(name string) string {
	if len(name) > suggestNameMax {
		return ""
	}
	name = strings.ToLower(name)
	if d, ok := topicIndex[name]; ok && len(d.Server) > 0 {
		return d.Server[0].Name
	}
	best, least := "", max(1, len(name)/5)+1
	for _, d := range BrokerKeys() {
		if d.Hidden || len(d.Name)-len(name) >= least || len(name)-len(d.Name) >= least {
			continue
		}
		if n := distance(name, d.Name); n < least {
			best, least = d.Name, n
		}
	}
	return best
}

// distance is the number of letters to insert, drop, replace or swap with their neighbour between two names
// (Damerau-Levenshtein with each place changed once).
func distance(a, b string) int {
	table := make([][]int, len(a)+1)
	for i := range table {
		table[i] = make([]int, len(b)+1)
		table[i][0] = i
	}
	for j := range table[0] {
		table[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			replaced := table[i-1][j-1]
			if a[i-1] != b[j-1] {
				replaced++
			}
			table[i][j] = min(table[i-1][j]+1, table[i][j-1]+1, replaced)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				table[i][j] = min(table[i][j], table[i-2][j-2]+1)
			}
		}
	}
	return table[len(a)][len(b)]
}

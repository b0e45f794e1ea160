package config

import (
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const thisPackage = "github.com/logbahn/logbahn/internal/config"

// TestHonouredKeysAreRead: a key that is called honoured or mapped, and whose value nobody outside of this package
// reads, is a lie. Keys reach the fields of Broker and Topic in composite literals; the fields are looked for in the
// code of every other package.
func TestHonouredKeysAreRead(t *testing.T) {
	fset := token.NewFileSet()
	own := parseDir(t, fset, ".")
	info := newInfo()
	// No other package is looked into, here and below: what comes from them has no type, which is no matter.
	quiet := types.Config{Importer: only{}, Error: func(error) {}}
	pkg, _ := quiet.Check(thisPackage, fset, own, info)
	fieldOf := fieldsOfKeys(fset, own, info)
	read := fieldsRead(t, fset, pkg)
	if len(fieldOf) < 60 || len(read) < 40 {
		t.Fatalf("only %d keys and %d fields are found: the test does not see what it should", len(fieldOf), len(read))
	}
	for _, d := range append(BrokerKeys(), TopicKeys()...) {
		if d.Class != Honoured && d.Class != Mapped {
			continue
		}
		name := d.Name
		if topic, ok := setsTopic(name); ok {
			name = topic
		}
		fields, ok := fieldOf[name]
		switch {
		case !ok && !slices.Contains(readHere, name):
			t.Errorf("%s is %s, and nothing takes its value", d.Name, d.Class)
		case ok && !slices.ContainsFunc(fields, func(f *types.Var) bool { return read[f] }):
			t.Errorf("%s is %s, and nobody reads the field %v", d.Name, d.Class, fields[0].Name())
		}
	}
}

// readHere are keys that this package itself turns into what others read: listeners, node id, voters.
var readHere = []string{
	"advertised.host.name", "advertised.listeners", "advertised.port", "broker.id", "controller.listener.names",
	"cleanup.policy", "controller.quorum.voters", "host.name", "inter.broker.listener.name", "listener.security.protocol.map", "listeners",
	"log.dir", "max.connections.per.ip.overrides", "node.id", "port",
}

// setsTopic returns the topic's key that a broker's key is the default of.
func setsTopic(name string) (string, bool) {
	for i := range topicKeys {
		if slices.ContainsFunc(topicKeys[i].Server, func(s Synonym) bool { return s.Name == name }) {
			return topicKeys[i].Name, true
		}
	}
	return "", false
}

func newInfo() *types.Info {
	return &types.Info{Uses: map[*ast.Ident]types.Object{}, Defs: map[*ast.Ident]types.Object{}, Selections: map[*ast.SelectorExpr]*types.Selection{}}
}

func parseDir(t *testing.T, fset *token.FileSet, dir string) []*ast.File {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	var files []*ast.File
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(fset, name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	return files
}

// fieldsOfKeys returns which fields take the values of which keys. The tables of the keys have fields of their own.
func fieldsOfKeys(fset *token.FileSet, files []*ast.File, info *types.Info) map[string][]*types.Var {
	fieldOf := map[string][]*types.Var{}
	for _, f := range files {
		if strings.HasPrefix(filepath.Base(fset.File(f.Pos()).Name()), "keys_") {
			continue
		}
		ast.Inspect(f, func(n ast.Node) bool {
			pair, ok := n.(*ast.KeyValueExpr)
			if !ok {
				return true
			}
			name, ok := pair.Key.(*ast.Ident)
			if !ok {
				return true
			}
			field, ok := info.Uses[name].(*types.Var)
			if _, nested := pair.Value.(*ast.CompositeLit); !ok || !field.IsField() || nested {
				return true
			}
			ast.Inspect(pair.Value, func(n ast.Node) bool {
				if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
					key, _ := strconv.Unquote(lit.Value)
					fieldOf[key] = append(fieldOf[key], field)
				}
				return true
			})
			return true
		})
	}
	return fieldOf
}

// fieldsRead returns the fields of this package's structs that other packages name.
func fieldsRead(t *testing.T, fset *token.FileSet, pkg *types.Package) map[*types.Var]bool {
	t.Helper()
	read := map[*types.Var]bool{}
	root := filepath.Join("..", "..")
	dirs := map[string]bool{root: true}
	for _, half := range []string{"internal", "cmd"} {
		err := filepath.WalkDir(filepath.Join(root, half), func(name string, d fs.DirEntry, err error) error {
			if err == nil && d.IsDir() && d.Name() != "testdata" && !strings.HasSuffix(name, "/config") {
				dirs[name] = true
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, dir := range slices.Sorted(maps.Keys(dirs)) {
		files := slices.DeleteFunc(parseDir(t, fset, dir), func(f *ast.File) bool { return f.Name.Name == "main" && dir == root })
		info := newInfo()
		quiet := types.Config{Importer: only{pkg}, Error: func(error) {}}
		_, _ = quiet.Check(dir, fset, files, info)
		for _, s := range info.Selections {
			if v, ok := s.Obj().(*types.Var); ok && v.Pkg() == pkg {
				read[v] = true
			}
		}
	}
	return read
}

// only imports one package, and an empty one for every other.
type only struct{ pkg *types.Package }

func (o only) Import(path string) (*types.Package, error) {
	if path == thisPackage && o.pkg != nil {
		return o.pkg, nil
	}
	empty := types.NewPackage(path, path[strings.LastIndexByte(path, '/')+1:])
	empty.MarkComplete()
	return empty, nil
}

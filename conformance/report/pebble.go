package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
)

// countDifferences reads the list of what Pebble does differently from its source:
// a map from a reason to the cases it is the reason for.
func countDifferences(tree fs.FS) (pebble, error) {
	text, err := fs.ReadFile(tree, pebbleDifferencesFile)
	if err != nil {
		return pebble{}, fmt.Errorf("counting what Pebble does differently: %w", err)
	}
	file, err := parser.ParseFile(token.NewFileSet(), pebbleDifferencesFile, text, parser.SkipObjectResolution)
	if err != nil {
		return pebble{}, err
	}
	var found pebble
	ast.Inspect(file, func(n ast.Node) bool {
		entry, ok := n.(*ast.KeyValueExpr)
		if !ok {
			return true
		}
		if list, ok := entry.Value.(*ast.CompositeLit); ok && len(list.Elts) > 0 {
			found.Reasons++
			found.Cases += len(list.Elts)
		}
		return true
	})
	if found.Cases == 0 {
		return pebble{}, fmt.Errorf("%s holds no map from reasons to lists of cases any more", pebbleDifferencesFile)
	}
	return found, nil
}

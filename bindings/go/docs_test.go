//go:build cgo

package reqbus

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"strings"
	"testing"
)

// Every export says what it is: types, functions, methods, constants, variables and fields.
func TestEvery_export_is_documented(t *testing.T) {
	files := token.NewFileSet()
	missing := func(what ast.Node, name string) { t.Errorf("%s: %s has no comment", files.Position(what.Pos()), name) }
	seen := 0
	for _, folder := range []string{".", "dropin"} {
		packages, err := parser.ParseDir(files, folder, func(file fs.FileInfo) bool {
			return !strings.HasSuffix(file.Name(), "_test.go")
		}, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range packages {
			ast.Inspect(p, func(node ast.Node) bool {
				switch node := node.(type) {
				case *ast.FuncDecl:
					// String and the methods of errors say it by their names.
					isUsual := node.Name.Name == "String" || node.Name.Name == "Error"
					if seen++; node.Name.IsExported() && node.Doc == nil && !isUsual && isOfExport(node) {
						missing(node, node.Name.Name)
					}
					return false
				case *ast.GenDecl:
					for _, spec := range node.Specs {
						checkSpec(node, spec, missing)
					}
				}
				return true
			})
		}
	}
	if seen < 200 {
		t.Fatal(seen)
	}
}

// isOfExport: a function, or a method of a type that can be seen.
func isOfExport(f *ast.FuncDecl) bool {
	if f.Recv == nil {
		return true
	}
	of := f.Recv.List[0].Type
	if pointer, ok := of.(*ast.StarExpr); ok {
		of = pointer.X
	}
	name, ok := of.(*ast.Ident)
	return ok && name.IsExported()
}

func checkSpec(decl *ast.GenDecl, spec ast.Spec, missing func(ast.Node, string)) {
	switch spec := spec.(type) {
	case *ast.TypeSpec:
		if !spec.Name.IsExported() {
			return
		}
		if decl.Doc == nil && spec.Doc == nil {
			missing(spec, spec.Name.Name)
		}
		if fields, ok := spec.Type.(*ast.StructType); ok {
			checkFields(fields, decl, missing)
		}
	case *ast.ValueSpec:
		// Of a group, the comment of the group will do.
		if name := spec.Names[0]; name.IsExported() && decl.Doc == nil && spec.Doc == nil {
			missing(spec, name.Name)
		}
	}
}

// checkFields: a field that nothing is said of belongs to the one above it.
func checkFields(fields *ast.StructType, decl *ast.GenDecl, missing func(ast.Node, string)) {
	isSaid := decl.Doc != nil && len(fields.Fields.List) <= 2
	for _, field := range fields.Fields.List {
		isSaid = isSaid || field.Doc != nil || field.Comment != nil
		if len(field.Names) > 0 && field.Names[0].IsExported() && !isSaid {
			missing(field, field.Names[0].Name)
		}
	}
}

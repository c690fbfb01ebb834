// SPDX-License-Identifier: Apache-2.0

package deadline_test

import (
	"context"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"calico-cni/internal/deadline"
)

// signalError is an error like that of package os/signal.
type signalError string

func (e signalError) Error() string        { return string(e) }
func (e signalError) Is(target error) bool { return target == context.Canceled }

// past is a limit that has passed when the context is created.
const past = -time.Second

func TestCauseNamesOperation(t *testing.T) {
	outer, cancel := deadline.Within(t.Context(), past, "the release")
	defer cancel()
	inner, cancel := deadline.Within(outer, time.Hour, "the request")
	defer cancel()
	bare, cancel := context.WithTimeout(t.Context(), past)
	defer cancel()
	stopped, cancel := context.WithCancel(t.Context())
	cancel()
	signalled, cancelCause := context.WithCancelCause(t.Context())
	cancelCause(signalError("terminated signal received"))
	for _, c := range []struct {
		name, want string
		ctx        context.Context
		kind       error
	}{
		{"limit passed", "the release took longer than -1s", outer, context.DeadlineExceeded},
		{"limit of the parent passed", "the release took longer than -1s", inner, context.DeadlineExceeded},
		{"limit without an operation", "the time limit passed", bare, context.DeadlineExceeded},
		{"canceled", "the operation was stopped", stopped, context.Canceled},
		{"canceled with a cause", "terminated signal received", signalled, context.Canceled},
	} {
		if got := deadline.Cause(c.ctx); got == nil || got.Error() != c.want || !errors.Is(got, c.kind) {
			t.Errorf("%s: %v, want %q of kind %v", c.name, got, c.want, c.kind)
		}
	}
}

func TestCauseIsNilBeforeContextEnds(t *testing.T) {
	ctx, cancel := deadline.Within(t.Context(), time.Hour, "the release")
	defer cancel()
	if err := deadline.Cause(ctx); err != nil {
		t.Error(err)
	}
}

// TestAllPackagesUseDeadline reads the source of the module: every time limit names its operation, and no error is that
// of package context.
func TestAllPackagesUseDeadline(t *testing.T) {
	root, files := filepath.Join("..", ".."), 0
	for _, dir := range []string{"cmd", "conflist", "internal", "pkg"} {
		err := filepath.WalkDir(filepath.Join(root, dir), func(path string, entry fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case entry.IsDir() && path == filepath.Join(root, "internal", "deadline"):
				return fs.SkipDir
			case !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go"):
				return nil
			}
			source, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			files++
			for _, fault := range faults(source) {
				t.Errorf("%s: %s", path, fault)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if files < 100 {
		t.Errorf("only %d files were read", files)
	}
}

func TestFaultsFindsContextCalls(t *testing.T) {
	for text, want := range map[string]int{
		`ctx, cancel := context.WithTimeout(ctx, 1); defer cancel()`:     1,
		`ctx, cancel := context.WithDeadline(ctx, when); defer cancel()`: 1,
		`return context.Cause(ctx)`:                                      1,
		`return ctx.Err()`:                                               1,
		`if err := ctx.Err(); err != nil { return err }`:                 1,
		`if ctx.Err() != nil { return deadline.Cause(ctx) }`:             0,
		`for n > 0 && ctx.Err() == nil { n-- }`:                          0,
	} {
		code := "package x\nfunc f() { " + text + " }"
		source, err := parser.ParseFile(token.NewFileSet(), "x.go", code, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		if got := faults(source); len(got) != want {
			t.Errorf("%s: %v, want %d", text, got, want)
		}
	}
}

// replaced are the functions of package context that package deadline replaces.
var replaced = []string{"WithTimeout", "WithTimeoutCause", "WithDeadline", "Cause"}

// faults returns the calls in a file that package deadline replaces. The Err of a context may only be compared with
// nil.
func faults(source *ast.File) (found []string) {
	compared := map[ast.Expr]bool{}
	ast.Inspect(source, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.BinaryExpr:
			compared[n.X], compared[n.Y] = true, true
		case *ast.CallExpr:
			callee, ok := n.Fun.(*ast.SelectorExpr)
			of, isName := ast.Unparen(receiver(callee)).(*ast.Ident)
			switch {
			case !ok || !isName:
			case of.Name == "context" && slices.Contains(replaced, callee.Sel.Name):
				found = append(found, "context."+callee.Sel.Name+": use internal/deadline")
			case of.Name == "ctx" && callee.Sel.Name == "Err" && !compared[n]:
				found = append(found, "ctx.Err() as an error: use deadline.Cause")
			}
		}
		return true
	})
	return found
}

func receiver(s *ast.SelectorExpr) ast.Expr {
	if s == nil {
		return nil
	}
	return s.X
}

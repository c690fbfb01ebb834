// SPDX-License-Identifier: Apache-2.0

// Command manifests renders the chart in deploy/chart to the manifests in deploy.
//
//	manifests DEPLOY OUT    reads the directory DEPLOY and writes the manifests below OUT
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"calico-cni/test/chart"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: manifests DEPLOY OUT")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(deploy, out string) error {
	manifests, err := chart.Manifests(deploy)
	if err != nil {
		return err
	}
	for path, text := range manifests {
		path = filepath.Join(out, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return fmt.Errorf("write manifest: %w", err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			return fmt.Errorf("write manifest: %w", err)
		}
	}
	return nil
}

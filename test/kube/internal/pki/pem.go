// SPDX-License-Identifier: Apache-2.0

package pki

import (
	"encoding/pem"
	"fmt"
	"os"
)

// The PEM types of the files, from RFC 7468 section 5 and RFC 5915 section 4.
const (
	certificateBlock = "CERTIFICATE"
	keyBlock         = "EC PRIVATE KEY"
)

// readPEM returns the content of the only block of a file. The error for a missing file satisfies os.IsNotExist.
func readPEM(file, blockType string) ([]byte, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(data)
	if block == nil || block.Type != blockType {
		return nil, fmt.Errorf("%s contains no %s: remove it and start again", file, blockType)
	}
	return block.Bytes, nil
}

// writePEM writes a file with one block atomically.
func writePEM(file, blockType string, der []byte, mode os.FileMode) error {
	data := pem.EncodeToMemory(&pem.Block{Type: blockType, Bytes: der})
	temporary := file + ".new"
	if err := os.WriteFile(temporary, data, mode); err != nil {
		return fmt.Errorf("write %s: %w", file, err)
	}
	if err := os.Rename(temporary, file); err != nil {
		return fmt.Errorf("write %s: %w", file, err)
	}
	return nil
}

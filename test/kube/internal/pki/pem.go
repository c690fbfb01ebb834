// SPDX-License-Identifier: Apache-2.0

package pki

import (
	"encoding/pem"
	"fmt"
	"os"
)

// The PEM types of the files, as RFC 7468 section 5 and RFC 5915 section 4 name them.
const (
	certificateBlock = "CERTIFICATE"
	keyBlock         = "EC PRIVATE KEY"
)

// readPEM returns the content of the only block of file. The error of an absent file satisfies os.IsNotExist.
func readPEM(file, blockType string) ([]byte, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(data)
	if block == nil || block.Type != blockType {
		return nil, fmt.Errorf("%s holds no %s: remove it to start afresh", file, blockType)
	}
	return block.Bytes, nil
}

// writePEM puts a file of one block in place: whole, or not at all.
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

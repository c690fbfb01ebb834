// SPDX-License-Identifier: Apache-2.0

package selector_test

import (
	"fmt"

	"calico-cni/pkg/selector"
)

func ExampleParse() {
	s, err := selector.Parse("rack in {'1', '2'} && !has(gpu)")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(s.Matches(map[string]string{"rack": "1"}))
	fmt.Println(s.Matches(map[string]string{"rack": "1", "gpu": "a100"}))
	fmt.Println(s.Matches(nil))
	// Output:
	// true
	// false
	// false
}

// The error of a selector that cannot be parsed names the position and what is expected there.
func ExampleParse_error() {
	_, err := selector.Parse("rack == ")
	fmt.Println(err)
	// Output:
	// invalid selector: position 9: expected a quoted string, found the end
}

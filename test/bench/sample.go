// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"fmt"
	"math"
	"slices"
)

// sample has the measurements of one quantity, in order.
type sample []float64

// quantile returns the smallest value that is not below a share p of the sample, 0 for an empty sample.
func (s sample) quantile(p float64) float64 {
	if len(s) == 0 {
		return 0
	}
	at := int(math.Ceil(p*float64(len(s)))) - 1
	return slices.Sorted(slices.Values(s))[max(at, 0)]
}

func (s sample) median() float64 { return s.quantile(0.5) }

func (s sample) least() float64 { return s.quantile(0) }

func (s sample) most() float64 { return s.quantile(1) }

// over divides one sample by another pairwise, so that disturbances of the machine affect both values of a pair.
func (s sample) over(other sample) sample {
	var out sample
	for i := range min(len(s), len(other)) {
		out = append(out, s[i]/other[i])
	}
	return out
}

// String shows the median, and the minimum and maximum in parentheses.
func (s sample) String() string {
	if len(s) == 0 {
		return "-"
	}
	return fmt.Sprintf("%s (%s to %s)", short(s.median()), short(s.least()), short(s.most()))
}

// short formats a number with its significant digits: two decimals below 10, otherwise none.
func short(v float64) string {
	switch {
	case v < 1:
		return fmt.Sprintf("%.2f", v)
	case v < 100:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.0f", v)
}

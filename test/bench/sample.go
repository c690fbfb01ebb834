package bench

import (
	"fmt"
	"math"
	"slices"
)

// sample is what was measured of one thing, in the order in which it was.
type sample []float64

// quantile returns the smallest value that is not below a share p of the sample, 0 of none.
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

// over divides one sample by another, pair by pair: what disturbs the machine disturbs both of a pair.
func (s sample) over(other sample) sample {
	var out sample
	for i := range min(len(s), len(other)) {
		out = append(out, s[i]/other[i])
	}
	return out
}

// String shows the median, and the least and the most in parentheses.
func (s sample) String() string {
	if len(s) == 0 {
		return "-"
	}
	return fmt.Sprintf("%s (%s to %s)", short(s.median()), short(s.least()), short(s.most()))
}

// short shows a number with as many digits as mean anything: two below 10, else none behind the point.
func short(v float64) string {
	switch {
	case v < 1:
		return fmt.Sprintf("%.2f", v)
	case v < 100:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.0f", v)
}

// SPDX-License-Identifier: Apache-2.0

package bench

import "testing"

func TestSampleStatistics(t *testing.T) {
	for _, c := range []struct {
		in              sample
		median, p90, of float64
		text            string
	}{
		{nil, 0, 0, 0, "-"},
		{sample{7}, 7, 7, 7, "7.0 (7.0 to 7.0)"},
		{sample{3, 1, 2}, 2, 3, 3, "2.0 (1.0 to 3.0)"},
		{sample{4, 1, 3, 2}, 2, 4, 4, "2.0 (1.0 to 4.0)"},
		{sample{10, 9, 8, 7, 6, 5, 4, 3, 2, 0.25}, 5, 9, 10, "5.0 (0.25 to 10.0)"},
	} {
		if c.in.median() != c.median || c.in.quantile(0.9) != c.p90 || c.in.most() != c.of || c.in.String() != c.text {
			t.Errorf("%v: median %v, 90%% %v, most %v, text %s; want %v, %v, %v, %s",
				[]float64(c.in), c.in.median(), c.in.quantile(0.9), c.in.most(), c.in, c.median, c.p90, c.of, c.text)
		}
	}
}

func TestRatiosArePairwise(t *testing.T) {
	if got := (sample{2, 30}).over(sample{1, 10, 5}).String(); got != "2.0 (2.0 to 3.0)" {
		t.Errorf("got %s", got)
	}
}

// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"
)

func TestChartIsXMLWithDotForEachValue(t *testing.T) {
	drawing := chart([]panel{
		{"ADD <ms>", []row{{"a & b", sample{1, 2, 3}}, {"c", sample{40}}}},
		{"none", []row{{"d", nil}}},
	})
	dots, text := 0, ""
	for d := xml.NewDecoder(strings.NewReader(drawing)); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		switch token := token.(type) {
		case xml.StartElement:
			if token.Name.Local == "circle" {
				dots++
			}
		case xml.CharData:
			text += string(token)
		}
	}
	if dots != 4 || !strings.Contains(text, "ADD <ms>") || !strings.Contains(text, "a & b") ||
		strings.Contains(drawing, "NaN") {
		t.Errorf("%d dots, want 4:\n%s", dots, drawing)
	}
}

func TestAxisHasFiveToTwelveTicks(t *testing.T) {
	for top := 0.3; top < 20000; top *= 1.3 {
		if n := top / tick(top); n < 4 || n > 12 {
			t.Errorf("%g takes %g ticks of %g", top, n, tick(top))
		}
	}
}

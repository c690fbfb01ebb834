// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"fmt"
	"html"
	"math"
	"strings"
)

// panel is a set of distributions on one axis, in milliseconds.
type panel struct {
	title string
	rows  []row
}

// row is one distribution.
type row struct {
	label  string
	values sample
}

// Dimensions of the drawing, in pixels.
const (
	chartWidth = 860
	labelWidth = 190
	margin     = 20
	rowHeight  = 34
	titleSpace = 40
	axisSpace  = 44
)

var colours = []string{"#1f6fb2", "#c2571a", "#5b7f2b", "#7a4fa3"}

// chart draws panels, one below the other, as SVG: each value as a dot, the median as a line, the 90th percentile as a
// thin line.
func chart(panels []panel) string {
	var out strings.Builder
	height := margin
	for _, p := range panels {
		height += titleSpace + len(p.rows)*rowHeight + axisSpace
	}
	fmt.Fprintf(&out, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" `+
		`font-size="13" fill="#222">`+"\n", chartWidth, height)
	fmt.Fprintf(&out, `<rect width="%d" height="%d" fill="#fff"/>`+"\n", chartWidth, height)
	y := margin
	for _, p := range panels {
		y = p.draw(&out, y)
	}
	out.WriteString("</svg>\n")
	return out.String()
}

// draw draws the panel from y downwards and returns the position of its end.
func (p panel) draw(out *strings.Builder, y int) int {
	top := 0.0
	for _, r := range p.rows {
		top = max(top, r.values.most())
	}
	step := tick(top)
	top = step * math.Ceil(max(top, step)/step)
	x := func(v float64) float64 { return labelWidth + v/top*(chartWidth-labelWidth-2*margin) }

	fmt.Fprintf(out, `<text x="%d" y="%d" font-weight="bold">%s</text>`+"\n", margin, y+16, html.EscapeString(p.title))
	y += titleSpace
	end := y + len(p.rows)*rowHeight
	for v := 0.0; v <= top+step/2; v += step {
		fmt.Fprintf(out, `<line x1="%.1f" x2="%.1f" y1="%d" y2="%d" stroke="#ddd"/>`, x(v), x(v), y-8, end)
		fmt.Fprintf(out, `<text x="%.1f" y="%d" text-anchor="middle" fill="#555">%g</text>`+"\n", x(v), end+18, v)
	}
	for i, r := range p.rows {
		r.draw(out, x, y+i*rowHeight+rowHeight/2, colours[i%len(colours)])
	}
	return end + axisSpace
}

func (r row) draw(out *strings.Builder, x func(float64) float64, y int, colour string) {
	fmt.Fprintf(out, `<text x="%d" y="%d">%s</text>`+"\n", margin, y+4, html.EscapeString(r.label))
	for i, v := range r.values {
		// The dots are distributed over three lines, so that they do not hide each other.
		fmt.Fprintf(out, `<circle cx="%.1f" cy="%d" r="2.6" fill="%s" fill-opacity="0.45"/>`, x(v), y+(i%3-1)*4, colour)
	}
	for _, mark := range []struct{ at, width float64 }{{r.values.median(), 3}, {r.values.quantile(0.9), 1}} {
		fmt.Fprintf(out, `<line x1="%.1f" x2="%.1f" y1="%d" y2="%d" stroke="#222" stroke-width="%g"/>`, x(mark.at),
			x(mark.at), y-11, y+11, mark.width)
	}
	out.WriteString("\n")
}

// tick returns the distance of an axis' ticks: 1, 2 or 5 times a power of ten, with five to twelve ticks.
func tick(top float64) float64 {
	if top <= 0 {
		return 1
	}
	unit := math.Pow(10, math.Floor(math.Log10(top/5)))
	for _, n := range []float64{1, 2, 5} {
		if top/(n*unit) <= 12 {
			return n * unit
		}
	}
	return 10 * unit
}

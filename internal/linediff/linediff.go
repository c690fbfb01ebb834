// SPDX-License-Identifier: Apache-2.0

// Package linediff compares two texts in the unified format of diff(1). Its cost is proportional to the product of
// their lengths, which is acceptable for configuration files.
package linediff

import (
	"fmt"
	"strings"
)

// contextLines is the number of equal lines shown on each side of a change.
const contextLines = 3

// op is one line of an edit script: ' ' is a line in both texts, '-' one in the first, '+' one in the second.
type op struct {
	sign byte
	line string
}

// Unified returns the difference of two texts with these names, or an empty string if they are equal. A last line
// without a newline is marked as by diff(1).
//
// Source: POSIX.1-2024, diff, "Diff -u Output Format".
func Unified(oldName, newName, before, after string) string {
	if before == after {
		return ""
	}
	ops := compare(lines(before), lines(after))
	var out strings.Builder
	fmt.Fprintf(&out, "--- %s\n+++ %s\n", oldName, newName)
	for end := 0; ; {
		var start int
		if start, end = hunk(ops, end); start == end {
			return out.String()
		}
		show(&out, ops, start, end)
	}
}

// lines splits a text and keeps the newlines, so that a missing newline at the end counts as a difference.
func lines(text string) []string {
	all := strings.SplitAfter(text, "\n")
	if all[len(all)-1] == "" {
		all = all[:len(all)-1]
	}
	return all
}

// compare returns a shortest edit script between two texts, based on their longest common subsequence.
func compare(a, b []string) []op {
	// common[i][j] is the length of the longest common subsequence of a[i:] and b[j:].
	common := make([][]int, len(a)+1)
	for i := range common {
		common[i] = make([]int, len(b)+1)
	}
	for i := len(a) - 1; i >= 0; i-- {
		for j := len(b) - 1; j >= 0; j-- {
			if a[i] == b[j] {
				common[i][j] = common[i+1][j+1] + 1
			} else {
				common[i][j] = max(common[i+1][j], common[i][j+1])
			}
		}
	}
	var ops []op
	i, j := 0, 0
	for i < len(a) || j < len(b) {
		switch {
		case i < len(a) && j < len(b) && a[i] == b[j]:
			ops = append(ops, op{' ', a[i]})
			i, j = i+1, j+1
		case j == len(b) || i < len(a) && common[i+1][j] >= common[i][j+1]:
			ops = append(ops, op{'-', a[i]})
			i++
		default:
			ops = append(ops, op{'+', b[j]})
			j++
		}
	}
	return ops
}

// hunk returns the bounds of the next hunk from an index on, or equal bounds if there is none. Changes separated by at
// most 2*contextLines equal lines form one hunk.
func hunk(ops []op, from int) (start, end int) {
	first := from
	for first < len(ops) && ops[first].sign == ' ' {
		first++
	}
	if first == len(ops) {
		return first, first
	}
	last := first
	for n := first; n < len(ops) && n-last <= 2*contextLines+1; n++ {
		if ops[n].sign != ' ' {
			last = n
		}
	}
	return max(from, first-contextLines), min(len(ops), last+1+contextLines)
}

func show(out *strings.Builder, ops []op, start, end int) {
	oldStart, newStart := count(ops[:start], '-'), count(ops[:start], '+')
	fmt.Fprintf(out, "@@ -%s +%s @@\n", span(oldStart, count(ops[start:end], '-')),
		span(newStart, count(ops[start:end], '+')))
	for _, o := range ops[start:end] {
		out.WriteByte(o.sign)
		out.WriteString(o.line)
		if !strings.HasSuffix(o.line, "\n") {
			out.WriteString("\n\\ No newline at end of file\n")
		}
	}
}

// count returns the number of lines of one text in the operations.
func count(ops []op, sign byte) int {
	n := 0
	for _, o := range ops {
		if o.sign == ' ' || o.sign == sign {
			n++
		}
	}
	return n
}

// span returns the range of the lines after the first n. An empty range names the line before it.
func span(n, length int) string {
	switch length {
	case 0:
		return fmt.Sprintf("%d,0", n)
	case 1:
		return fmt.Sprint(n + 1)
	}
	return fmt.Sprintf("%d,%d", n+1, length)
}

// SPDX-License-Identifier: Apache-2.0

// Package words checks messages for users: they contain a remedy, no text of Go's packages, and no repetition. It has
// few dependencies, so that its fuzz test builds in seconds.
package words

import (
	"regexp"
	"strings"
)

// internals match texts of Go's packages that do not help a user, and names of Go identifiers.
var internals = []*regexp.Regexp{
	regexp.MustCompile(`netip\.|net\.Parse|strconv\.|ParsePrefix|ParseAddr|invalid Prefix|invalid IP\b|parsing time|` +
		`ParseMAC|time: (invalid|unknown|missing)`),
	regexp.MustCompile(`json: |unmarshal|Go struct|Go value|unexpected end of JSON|invalid character '`),
	regexp.MustCompile(`yaml: |error converting|error unmarshaling`),
	regexp.MustCompile(`x509: |tls: |crypto/|asn1:|pem:|illegal base64`),
	regexp.MustCompile(`%!|<nil>|0x[0-9a-f]{6,}|\*?[a-z]+\.[A-Z]\w+\{|map\[|goroutine |\bnil\b|interface \{\}|\x00`),
	regexp.MustCompile(`error parsing configuration|invalid '?[a-z]+'? type|failed to parse plugin config`),
	regexp.MustCompile(`context (canceled|deadline exceeded)|context deadline|operation was canceled|i/o timeout|` +
		`unexpected EOF|: EOF\b`),
	regexp.MustCompile(`http2: |net/http: |http: (server|request)|malformed HTTP|stream error|Client\.Timeout|rate: Wait`),
	regexp.MustCompile(`\b(dial|read|write) (tcp|udp|unix)|proxyconnect|no such host|server misbehaving|use of closed`),
	regexp.MustCompile(`fork/exec|exec: |exit status \d+|signal: |executable file not found`),
}

// remedies matches the words with which messages describe a remedy.
var remedies = regexp.MustCompile(`\b(want|set|see|add|remove|delete|correct|create|apply|choose|write|save|restart|` +
	`restarts|renew|renews|run|free|enlarge|lower|raise|wait|waits|try|retry|retries|check|mount|replace|attach|shorten|` +
	`unlock|unset|repair|use|boot|let|grant|ask|move|start|update|change|issue|allow|make|shrink|grants|drop|release)\b`)

// Internal returns a text of Go's packages in a message, or "" if there is none.
func Internal(msg string) string {
	for _, internal := range internals {
		if found := internal.FindString(msg); found != "" {
			return found
		}
	}
	return ""
}

// HasRemedy reports whether a message contains a remedy.
func HasRemedy(msg string) bool { return remedies.MatchString(msg) }

// Doubled returns a repeated clause of a message, with at least three words and more than 16 bytes.
func Doubled(msg string) string {
	seen := map[string]bool{}
	for _, clause := range strings.FieldsFunc(msg, func(r rune) bool { return r == ';' || r == ':' }) {
		clause = strings.TrimSpace(clause)
		if len(clause) > 16 && strings.Count(clause, " ") >= 2 && seen[clause] {
			return clause
		}
		seen[clause] = true
	}
	return ""
}

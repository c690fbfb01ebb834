package messages_test

import (
	"regexp"
	"strings"
	"testing"
)

// internals are texts of Go's that tell a user nothing, and Go's names of things.
var internals = []*regexp.Regexp{
	regexp.MustCompile(`netip\.|net\.Parse|strconv\.|ParsePrefix|ParseAddr|invalid Prefix|invalid IP\b`),
	regexp.MustCompile(`json: |unmarshal|Go struct|Go value|unexpected end of JSON|invalid character '`),
	regexp.MustCompile(`yaml: |error converting|error unmarshaling`),
	regexp.MustCompile(`x509: |tls: |crypto/|asn1:|pem:|illegal base64`),
	regexp.MustCompile(`%!|<nil>|0x[0-9a-f]{6,}|\*?[a-z]+\.[A-Z]\w+\{|map\[|goroutine |\bnil\b`),
	regexp.MustCompile(`context (canceled|deadline exceeded)|context deadline|operation was canceled|i/o timeout|unexpected EOF|: EOF\b`),
	regexp.MustCompile(`http2: |net/http: |http: (server|request)|malformed HTTP|stream error|Client\.Timeout|rate: Wait`),
	regexp.MustCompile(`\b(dial|read|write) (tcp|udp|unix)|proxyconnect|no such host|server misbehaving|use of closed`),
	regexp.MustCompile(`fork/exec|exec: |exit status \d+|signal: |executable file not found`),
}

// remedies are how the messages say what to do.
var remedies = regexp.MustCompile(`\b(want|set|see|add|remove|delete|correct|create|apply|choose|write|save|restart|restarts|renew|renews|run|free|enlarge|` +
	`lower|raise|wait|waits|try|retry|retries|check|mount|replace|attach|shorten|unlock|unset|repair|use|boot|let|grant|ask|move|start|update|change|issue|allow|make|shrink|grants|drop|release)\b`)

// checkStyle checks what holds for every message.
func checkStyle(t *testing.T, msg string) {
	t.Helper()
	for _, internal := range internals {
		if found := internal.FindString(msg); found != "" {
			t.Errorf("Go's own text %q in: %s", found, msg)
		}
	}
	if !remedies.MatchString(msg) {
		t.Errorf("no remedy in: %s", msg)
	}
	if strings.Contains(msg, secret) {
		t.Errorf("a secret in: %s", msg)
	}
	if strings.ContainsAny(msg, "\n\r\t") {
		t.Errorf("more than one line: %q", msg)
	}
	if twice := doubled(msg); twice != "" {
		t.Errorf("%q is said twice in: %s", twice, msg)
	}
}

// doubled returns a clause that a message has twice, of more than two words and 16 bytes.
func doubled(msg string) string {
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

func TestTheChecksOfStyleFindWhatTheyLookFor(t *testing.T) {
	for _, msg := range []string{
		`netip.ParsePrefix("x"): no '/'`, "invalid Prefix", `strconv.Atoi: parsing "x": invalid syntax`, "json: cannot unmarshal string",
		"unexpected end of JSON input", "yaml: line 3: found character", "x509: certificate signed by unknown authority", "%!s(<nil>)",
		"context deadline exceeded", "rate: Wait(n=1) would exceed context deadline", "dial tcp 127.0.0.1:1: connect: connection refused",
		"lookup api.example: no such host", "x (Client.Timeout exceeded while awaiting headers)", `exec: "x": executable file not found in $PATH`,
		"get pod: exit status 1; see", "operation was canceled", "proxyconnect: refused", "http: server closed idle connection",
		"Get \"https://a\": EOF", "http2: client connection lost", "fork/exec /bin/x: no such file", "&{a map[b:c]}",
	} {
		found := false
		for _, internal := range internals {
			found = found || internal.MatchString(msg)
		}
		if !found {
			t.Errorf("%q passes", msg)
		}
	}
	if doubled("get pod a/b: it was deleted today; get pod a/b: it was deleted today") == "" || doubled("get pod a/b: not found; get pod c/d: not found") != "" {
		t.Error("doubled text is not told from other text")
	}
	if remedies.MatchString("open /x: no such file or directory") {
		t.Error("a message without remedy has one")
	}
}

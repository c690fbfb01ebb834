// SPDX-License-Identifier: Apache-2.0

package kubeclient_test

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"calico-cni/pkg/kube"
)

// asker makes the smallest request that a kubeconfig allows. loading is the error of the kubeconfig; asking is the
// error of the request.
type asker func(ctx context.Context, path string) (loading, asking error)

func askWithClientGo(ctx context.Context, path string) (loading, asking error) {
	client, err := clientGo(path)
	if err != nil {
		return err, nil
	}
	return nil, client.Get().AbsPath("/version").Do(ctx).Error()
}

// clientGo loads a kubeconfig like Calico's plugin.
func clientGo(path string) (*rest.RESTClient, error) {
	rules := &clientcmd.ClientConfigLoadingRules{ExplicitPath: path}
	config, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, nil).ClientConfig()
	if err != nil {
		return nil, err
	}
	config.UserAgent = userAgent
	config.NegotiatedSerializer = scheme.Codecs.WithoutConversion()
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, err
	}
	return rest.UnversionedRESTClientForConfigAndClient(config, client)
}

func askWithKube(ctx context.Context, path string) (loading, asking error) {
	client, err := kube.Load(path, userAgent)
	if err != nil {
		return err, nil
	}
	defer client.Close()
	return nil, client.Ping(ctx)
}

// TestClientsAcceptSameKubeconfigs loads each sample with client-go and package kube, makes a request, and compares
// what the server and the credential plugin receive. Every difference must have a row in docs/compatibility.md, and
// every row a difference.
func TestClientsAcceptSameKubeconfigs(t *testing.T) {
	corpus := slices.Concat(textSamples, contextSamples, serverSamples, userSamples, execSamples)
	if len(corpus) < 150 {
		t.Errorf("the corpus has %d samples", len(corpus))
	}
	b := newBench(t)
	rows := documentedDifferences(t)
	for row, test := range differencesInTime {
		if !rows[row] {
			t.Errorf("%s: docs/compatibility.md has no row %q", test, row)
		}
		delete(rows, row)
	}
	used := map[string]bool{}
	names := map[string]bool{}
	for _, s := range corpus {
		if names[s.name] {
			t.Errorf("two samples are named %q", s.name)
		}
		names[s.name] = true
		used[s.row] = true
		t.Run(s.name, func(t *testing.T) { compare(t, b, s, rows) })
	}
	for _, row := range slices.Sorted(maps.Keys(rows)) {
		if !used[row] {
			t.Errorf("docs/compatibility.md has the row %q, which has no sample", row)
		}
	}
}

func compare(t *testing.T, b *bench, s sample, rows map[string]bool) {
	path := b.write(t, s.text)
	peer := b.outcome(t, askWithClientGo, path)
	ours := b.outcome(t, askWithKube, path)
	if ours.kind() != s.want {
		t.Errorf("pkg/kube: %s, want %s", ours, s.want)
	}
	same := peer.kind() == ours.kind() && peer.received == ours.received
	switch {
	case same && s.row != "":
		t.Errorf("no difference, but docs/compatibility.md has the row %q\nboth:      %s", s.row, ours)
	case !same && s.row == "":
		t.Errorf("an undocumented difference\nclient-go: %s\npkg/kube:  %s", peer, ours)
	case s.row != "" && !rows[s.row]:
		t.Errorf("docs/compatibility.md has no row %q", s.row)
	}
}

// result is the result of a client for a kubeconfig.
type result struct {
	loading, asking error
	// received is the input of the servers, the proxy and the credential plugin.
	received string
}

func (r result) kind() outcome {
	switch {
	case r.loading != nil:
		return refused
	case r.asking != nil:
		return fails
	}
	return asks
}

func (r result) String() string {
	text := string(r.kind())
	for _, err := range []error{r.loading, r.asking} {
		if err != nil {
			message := err.Error()
			text += ": " + message[:min(len(message), 300)]
		}
	}
	return text + "\n" + r.received
}

// outcome runs a client with a kubeconfig.
func (b *bench) outcome(t *testing.T, ask asker, path string) result {
	t.Helper()
	b.reset(t, filepath.Dir(path))
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	loading, asking := ask(ctx, path)
	return result{loading, asking, b.received(t, filepath.Dir(path))}
}

// documentedDifferences returns the first cells of the table "Differences from client-go" in docs/compatibility.md.
func documentedDifferences(t *testing.T) map[string]bool {
	t.Helper()
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "compatibility.md"))
	do(t, err)
	_, section, found := strings.Cut(string(page), "\n### Differences from client-go\n")
	if !found {
		t.Fatal("docs/compatibility.md has no section on the differences from client-go")
	}
	section, _, _ = strings.Cut(section, "\n## ")
	rows := map[string]bool{}
	for line := range strings.Lines(section) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), " | ")
		if !strings.HasPrefix(line, "| ") || strings.HasPrefix(line, "| ---") || len(cells) != 4 {
			continue
		}
		for _, cell := range cells {
			if strings.TrimSpace(cell) == "" {
				t.Errorf("a row of differences has an empty cell: %s", line)
			}
		}
		rows[strings.TrimSpace(cells[0])] = true
	}
	delete(rows, "what")
	return rows
}

// literal returns a kubeconfig whose token is a block scalar of some kind.
func literal(kind string) string {
	return swap(block, "token: a.b.c\n", fmt.Sprintf("token: %s\n        a.b.c\n", kind))
}

func swap(text, old, replacement string) string {
	if !strings.Contains(text, old) {
		panic("a sample has no " + old)
	}
	return strings.Replace(text, old, replacement, 1)
}

func cut(text, part string) string { return swap(text, part, "") }

func crlf(text string) string { return strings.ReplaceAll(text, "\n", "\r\n") }

func long(n int) string { return strings.Repeat("x", n) }

// utf16 is a prefix: a sample that begins with it is encoded in UTF-16 with a byte order mark.
const utf16 = "\xff\xfe"

func encoded(text string) string {
	if !strings.HasPrefix(text, utf16) {
		return text
	}
	var out strings.Builder
	out.WriteString(utf16)
	for _, b := range []byte(text[len(utf16):]) {
		out.Write([]byte{b, 0})
	}
	return out.String()
}

// SPDX-License-Identifier: Apache-2.0

package dispatch_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/containernetworking/cni/pkg/skel"
	"github.com/containernetworking/cni/pkg/types"
	current "github.com/containernetworking/cni/pkg/types/100"
	"github.com/google/go-cmp/cmp"

	"calico-cni/internal/dispatch"
)

// invocation is one run of a plugin, with its inputs and outputs.
type invocation struct {
	env    map[string]string
	stdin  io.Reader
	plugin dispatch.Plugin

	exit           int
	stdout, stderr bytes.Buffer
	// called lists the verbs that ran; args are the arguments of the last one.
	called []string
	args   *skel.CmdArgs
}

// invoke prepares a valid invocation of a plugin that has all verbs. Each verb succeeds.
func invoke(command, config string) *invocation {
	i := &invocation{stdin: strings.NewReader(config), env: map[string]string{
		"CNI_COMMAND": command, "CNI_CONTAINERID": "c0ffee", "CNI_NETNS": "/no/such/netns", "CNI_IFNAME": "eth0",
		"CNI_PATH": "/opt/cni/bin",
	}}
	verb := func(name string) func(context.Context, *skel.CmdArgs) error {
		return func(_ context.Context, args *skel.CmdArgs) error {
			i.called, i.args = append(i.called, name), args
			return nil
		}
	}
	i.plugin = dispatch.Plugin{
		About: "test plugin",
		Add: func(ctx context.Context, args *skel.CmdArgs) (types.Result, error) {
			return &current.Result{CNIVersion: "1.1.0"}, verb("ADD")(ctx, args)
		},
		Del: verb("DEL"), Check: verb("CHECK"), GC: verb("GC"), Status: verb("STATUS"),
		Code: func(err error) *types.Error { return types.NewError(100, err.Error(), "") },
	}
	return i
}

func (i *invocation) set(key, value string) *invocation {
	i.env[key] = value
	return i
}

func (i *invocation) unset(names string) *invocation {
	for name := range strings.FieldsSeq(names) {
		delete(i.env, name)
	}
	return i
}

func (i *invocation) run() *invocation {
	getenv := func(key string) string { return i.env[key] }
	i.exit = dispatch.Run(context.Background(), dispatch.Process{
		Getenv: getenv, Stdin: i.stdin, Stdout: &i.stdout,
		Stderr: &i.stderr,
	}, i.plugin)
	return i
}

// outcome runs the invocation and formats the verb that ran, or the error's version, code and message.
func (i *invocation) outcome(t *testing.T) string {
	t.Helper()
	if i.run(); i.exit == 0 {
		return fmt.Sprintf("ran %v", i.called)
	}
	if i.called != nil {
		t.Errorf("%v ran despite the error", i.called)
	}
	return i.failure(t)
}

// failure formats the printed error and checks that nothing else was printed.
func (i *invocation) failure(t *testing.T) string {
	t.Helper()
	var e struct {
		CNIVersion, Msg, Details string
		Code                     uint
	}
	decoder := json.NewDecoder(strings.NewReader(i.stdout.String()))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&e); err != nil || strings.Count(i.stdout.String(), "\n") != 1 || decoder.More() {
		t.Fatalf("standard output: want one error on one line, %v, got %q", err, i.stdout.String())
	}
	if i.exit != 1 {
		t.Errorf("exit code is %d after an error", i.exit)
	}
	if e.Details != "" {
		e.Msg += " (" + e.Details + ")"
	}
	return fmt.Sprintf("%s: %d: %s", e.CNIVersion, e.Code, e.Msg)
}

// check compares an outcome with the wanted one.
func check(t *testing.T, got, want string) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("outcome (-want +got):\n%s", diff)
	}
}

const (
	v010 = `{"cniVersion":"0.1.0","name":"net"}`
	v040 = `{"cniVersion":"0.4.0","name":"net"}`
	v110 = `{"cniVersion":"1.1.0","name":"net"}`
	all  = "0.1.0, 0.2.0, 0.3.0, 0.3.1, 0.4.0, 1.0.0, 1.1.0"
)

func TestC1C4ForeignKeysAreIgnored(t *testing.T) {
	check(t, invoke("DEL", `{"cniVersion":"1.1.0","name":"net","disableCheck":true,"disableGC":true,
		"cniVersions":["1.1.0"],
		"loadOnlyInlinedPlugins":true,"plugins":[],"capabilities":{"ips":true},
			"future":{"a":[1]}}`).outcome(t), "ran [DEL]")
}

func TestC2C5C6ConfigurationIsChecked(t *testing.T) {
	const badName = "want a letter or digit, then letters, digits, '_', '.' or '-'"
	unsupported := func(v string) string {
		return "1.1.0: 1: cniVersion " + v + " is not supported; set one of " + all
	}
	for _, c := range []struct{ name, config, want string }{
		{"well formed", v110, "ran [DEL]"},
		{"name with all its characters", `{"cniVersion":"1.1.0","name":"0k8s_pod.net-work"}`, "ran [DEL]"},
		{"absent version is 0.1.0", `{"name":"-"}`, `0.1.0: 7: network name "-" is invalid: ` + badName},
		{"null version is 0.1.0", `{"cniVersion":null,"name":"-"}`, `0.1.0: 7: network name "-" is invalid: ` +
			badName},
		{"empty version is 0.1.0", `{"cniVersion":"","name":"-"}`, `0.1.0: 7: network name "-" is invalid: ` + badName},
		{"version of the future", `{"cniVersion":"1.2.0","name":"net"}`, unsupported(`"1.2.0"`)},
		{"version that never existed", `{"cniVersion":"0.5.0","name":"net"}`, unsupported(`"0.5.0"`)},
		{"not a version", `{"cniVersion":"latest","name":"net"}`, unsupported(`"latest"`)},
		{"version before name", `{"cniVersion":"9.0.0"}`, unsupported(`"9.0.0"`)},
		{"nothing", ``, "1.1.0: 6: decode network configuration: it is empty; want one JSON object"},
		{
			"byte order mark", "\xef\xbb\xbf" + v110,
			"1.1.0: 6: decode network configuration: it begins with a byte order mark (BOM); save it as UTF-8 " +
				"without BOM",
		},
		{
			"half an object", `{"cniVersion":"1.1.0"`,
			"1.1.0: 6: decode network configuration: it ends before the JSON is complete; check whether it was cut " +
				"off, or lacks a closing quote, bracket or brace",
		},
		{"second object", v110 + v110, "1.1.0: 6: decode network configuration: more text follows the JSON at line " +
			"1, column 36; remove it"},
		{"not an object", `["net"]`, "1.1.0: 6: decode network configuration: want one JSON object, not array"},
		{"name of wrong type", `{"name":5}`, "1.1.0: 6: decode network configuration: name: want a string, not number"},
		{
			"version of wrong type", `{"cniVersion":1.1}`,
			"1.1.0: 6: decode network configuration: cniVersion: want a string, not number",
		},
		{"no name", `{"cniVersion":"1.0.0"}`, `1.0.0: 7: network configuration has no name; set "name"`},
		{"empty name", `{"cniVersion":"1.0.0","name":""}`, `1.0.0: 7: network configuration has no name; set "name"`},
		{"null", `null`, `0.1.0: 7: network configuration has no name; set "name"`},
		{"name with a slash", `{"cniVersion":"1.0.0","name":"a/b"}`, `1.0.0: 7: network name "a/b" is invalid: ` +
			badName},
		{"name with a line feed", `{"cniVersion":"1.0.0","name":"a\n"}`, `1.0.0: 7: network name "a\n" is invalid: ` +
			badName},
	} {
		t.Run(c.name, func(t *testing.T) { check(t, invoke("DEL", c.config).outcome(t), c.want) })
	}
}

func TestC5EverySupportedVersionIsAccepted(t *testing.T) {
	for _, v := range dispatch.Versions() {
		check(t, invoke("DEL", `{"cniVersion":"`+v+`","name":"net"}`).outcome(t), "ran [DEL]")
	}
}

func TestC6VerbsOfLaterVersionsAreRejected(t *testing.T) {
	for _, c := range []struct{ command, config, want string }{
		{"ADD", v010, "ran [ADD]"},
		{"DEL", v010, "ran [DEL]"},
		{
			"CHECK", `{"cniVersion":"0.3.1","name":"net"}`,
			"0.3.1: 1: cniVersion 0.3.1 has no CHECK, which was added in 0.4.0",
		},
		{"CHECK", v040, "ran [CHECK]"},
		{"GC", `{"cniVersion":"1.0.0","name":"net"}`, "1.0.0: 1: cniVersion 1.0.0 has no GC, which was added in 1.1.0"},
		{"GC", v110, "ran [GC]"},
		{"STATUS", `{"name":"net"}`, "0.1.0: 1: cniVersion 0.1.0 has no STATUS, which was added in 1.1.0"},
		{"STATUS", v110, "ran [STATUS]"},
	} {
		t.Run(c.command, func(t *testing.T) {
			i := invoke(c.command, c.config)
			if c.command == "ADD" {
				i.plugin.Add = ipv4Only(i)
			}
			check(t, i.outcome(t), c.want)
		})
	}
}

func TestC7C8MissingVariablesAreNamed(t *testing.T) {
	missing := func(verb, names string) string {
		return "1.1.0: 4: " + verb + " without " + names + "; the runtime must set it"
	}
	for _, c := range []struct{ command, unset, want string }{
		{"ADD", "CNI_CONTAINERID", missing("ADD", "CNI_CONTAINERID")},
		{"ADD", "CNI_NETNS", missing("ADD", "CNI_NETNS")},
		{"ADD", "CNI_IFNAME", missing("ADD", "CNI_IFNAME")},
		{"ADD", "CNI_CONTAINERID CNI_NETNS CNI_IFNAME", missing("ADD", "CNI_CONTAINERID, CNI_NETNS, CNI_IFNAME")},
		{"ADD", "CNI_PATH", "ran [ADD]"},
		{"DEL", "CNI_CONTAINERID", missing("DEL", "CNI_CONTAINERID")},
		{"DEL", "CNI_IFNAME", missing("DEL", "CNI_IFNAME")},
		{"DEL", "CNI_NETNS CNI_PATH", "ran [DEL]"},
		{"CHECK", "CNI_CONTAINERID", missing("CHECK", "CNI_CONTAINERID")},
		{"CHECK", "CNI_NETNS", missing("CHECK", "CNI_NETNS")},
		{"CHECK", "CNI_IFNAME", missing("CHECK", "CNI_IFNAME")},
		{"CHECK", "CNI_PATH", "ran [CHECK]"},
		{"GC", "CNI_PATH", missing("GC", "CNI_PATH")},
		{"GC", "CNI_CONTAINERID CNI_NETNS CNI_IFNAME", "ran [GC]"},
		{"STATUS", "CNI_CONTAINERID CNI_NETNS CNI_IFNAME CNI_PATH", "ran [STATUS]"},
		{"VERSION", "CNI_CONTAINERID CNI_NETNS CNI_IFNAME CNI_PATH", "ran []"},
		{"", "CNI_COMMAND", "1.1.0: 4: required environment variable CNI_COMMAND is missing"},
	} {
		t.Run(c.command+" without "+c.unset, func(t *testing.T) {
			check(t, invoke(c.command, v110).unset(c.unset).outcome(t), c.want)
			empty := invoke(c.command, v110)
			for name := range strings.FieldsSeq(c.unset) {
				empty.set(name, "")
			}
			check(t, empty.outcome(t), c.want)
		})
	}
}

func TestC7MalformedVariablesAreNamed(t *testing.T) {
	for _, c := range []struct{ name, value, want string }{
		{"CNI_CONTAINERID", "A-b_c.9", "ran [DEL]"},
		{"CNI_CONTAINERID", strings.Repeat("f", 64), "ran [DEL]"},
		{
			"CNI_CONTAINERID", "../../etc",
			`1.1.0: 4: CNI_CONTAINERID "../../etc" is invalid: want a letter or digit, then letters, digits, '_', ` +
				`'.' or '-'`,
		},
		{"CNI_CONTAINERID", "_a", `1.1.0: 4: CNI_CONTAINERID "_a" is invalid: want a letter or digit, then letters, ` +
			`digits, '_', '.' or '-'`},
		{"CNI_CONTAINERID", "a\n", `1.1.0: 4: CNI_CONTAINERID "a\n" is invalid: want a letter or digit, then ` +
			`letters, digits, '_', '.' or '-'`},
		{"CNI_IFNAME", "a23456789012345", "ran [DEL]"},
		{
			"CNI_IFNAME", "a234567890123456",
			`1.1.0: 4: CNI_IFNAME "a234567890123456" is invalid: want 1 to 15 bytes, not . or .., without slash, ` +
				`colon or whitespace`,
		},
		{"CNI_IFNAME", ".", `1.1.0: 4: CNI_IFNAME "." is invalid: want 1 to 15 bytes, not . or .., without slash, ` +
			`colon or whitespace`},
		{"CNI_IFNAME", "..", `1.1.0: 4: CNI_IFNAME ".." is invalid: want 1 to 15 bytes, not . or .., without slash, ` +
			`colon or whitespace`},
		{"CNI_IFNAME", "a/b", `1.1.0: 4: CNI_IFNAME "a/b" is invalid: want 1 to 15 bytes, not . or .., without ` +
			`slash, colon or whitespace`},
		{"CNI_IFNAME", "a:b", `1.1.0: 4: CNI_IFNAME "a:b" is invalid: want 1 to 15 bytes, not . or .., without ` +
			`slash, colon or whitespace`},
		{"CNI_IFNAME", "a b", `1.1.0: 4: CNI_IFNAME "a b" is invalid: want 1 to 15 bytes, not . or .., without ` +
			`slash, colon or whitespace`},
		{"CNI_COMMAND", "add", `1.1.0: 4: CNI_COMMAND "add" is unknown; want ADD, DEL, CHECK, GC, STATUS or VERSION`},
	} {
		t.Run(c.name+"="+c.value, func(t *testing.T) {
			check(t, invoke("DEL", v110).set(c.name, c.value).outcome(t), c.want)
		})
	}
}

func TestVerbReceivesArguments(t *testing.T) {
	i := invoke("DEL", v110).set("CNI_ARGS", "K=V").set("CNI_NETNS_OVERRIDE", "1")
	check(t, i.outcome(t), "ran [DEL]")
	want := &skel.CmdArgs{
		ContainerID: "c0ffee", Netns: "/no/such/netns", IfName: "eth0", Args: "K=V", Path: "/opt/cni/bin",
		NetnsOverride: "1", StdinData: []byte(v110),
	}
	if diff := cmp.Diff(want, i.args); diff != "" {
		t.Error(diff)
	}
}

func TestC10K8NoOutputWithoutResult(t *testing.T) {
	for _, command := range []string{"DEL", "CHECK", "GC", "STATUS"} {
		i := invoke(command, v110)
		check(t, i.outcome(t), "ran ["+command+"]")
		if i.stdout.Len()+i.stderr.Len() > 0 {
			t.Errorf("%s: standard output %q, standard error %q", command, i.stdout.String(), i.stderr.String())
		}
	}
}

func TestUnsupportedVerbIsRejected(t *testing.T) {
	for _, command := range []string{"ADD", "DEL", "CHECK", "GC", "STATUS"} {
		i := invoke(command, v110)
		i.plugin = dispatch.Plugin{}
		check(t, i.outcome(t), "1.1.0: 4: CNI_COMMAND "+command+" is not supported by this plugin")
	}
}

func TestRunWithoutCommandPrintsAbout(t *testing.T) {
	i := invoke("", "").run()
	if want := "test plugin\nCNI protocol versions supported: " + all + "\n"; i.stderr.String() != want {
		t.Errorf("standard error is %q, want %q", i.stderr.String(), want)
	}
}

func TestC9C11ErrorsOfVerbsKeepCodeAndContext(t *testing.T) {
	delegate := types.NewError(types.ErrTryAgainLater, "no address", "range is full")
	for _, c := range []struct {
		name string
		err  error
		want string
	}{
		{"without a code", errors.New("get pod: gone"), "0.4.0: 100: get pod: gone"},
		{"with a code", delegate, "0.4.0: 11: no address (range is full)"},
		{
			"with a code, wrapped", fmt.Errorf("delegate host-local: %w", delegate),
			"0.4.0: 11: delegate host-local: no address; range is full",
		},
		{
			"with a code, joined", errors.Join(errors.New("undo"), delegate),
			"0.4.0: 11: undo; no address; range is full",
		},
		{"multiple lines", errors.Join(errors.New("a"), errors.New("b")), "0.4.0: 100: a; b"},
	} {
		for _, command := range []string{"ADD", "DEL"} {
			t.Run(c.name+", "+command, func(t *testing.T) {
				i := invoke(command, v040)
				i.plugin.Add = func(context.Context, *skel.CmdArgs) (types.Result, error) { return nil, c.err }
				i.plugin.Del = func(context.Context, *skel.CmdArgs) error { return c.err }
				check(t, i.outcome(t), c.want)
			})
		}
	}
}

func TestPanicIsReportedWithStack(t *testing.T) {
	i := invoke("DEL", v040)
	i.plugin.Del = func(_ context.Context, args *skel.CmdArgs) error { panic("out\nof luck") }
	check(t, i.outcome(t), "0.4.0: 999: internal error: out; of luck; please report it")
	if s := i.stderr.String(); !strings.Contains(s, "out\nof luck") || !strings.Contains(s, "dispatch_test.go") {
		t.Errorf("standard error is %q, want the panic and its stack", s)
	}
}

func TestUnreadableInputIsIOError(t *testing.T) {
	i := invoke("DEL", "")
	i.stdin = io.MultiReader(strings.NewReader(`{"name":`), broken{})
	check(t, i.outcome(t), "1.1.0: 5: read network configuration from standard input: broken")
}

func TestUnprintableErrorGoesToStandardError(t *testing.T) {
	i := invoke("CHECK", v010)
	getenv := func(key string) string { return i.env[key] }
	exit := dispatch.Run(t.Context(), dispatch.Process{
		Getenv: getenv, Stdin: i.stdin, Stdout: broken{},
		Stderr: &i.stderr,
	}, i.plugin)
	const want = "write error to standard output: broken; the error was: cniVersion 0.1.0 has no CHECK, which was " +
		"added in 0.4.0\n"
	if exit != 1 || i.stderr.String() != want {
		t.Errorf("exit code %d, standard error %q, want 1 and %q", exit, i.stderr.String(), want)
	}
}

// broken is a file that can be neither read nor written.
type broken struct{}

func (broken) Read([]byte) (int, error)  { return 0, errors.New("broken") }
func (broken) Write([]byte) (int, error) { return 0, errors.New("broken") }

package install

import (
	"bytes"
	"cmp"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"calico-cni/internal/buildinfo"
)

// State is how a file on the host compares with what should be there.
type State string

// States of files.
const (
	StateEqual   State = "equal"
	StateDiffers State = "differs"
	StateMissing State = "missing"
	// StateNewer is a binary that an installer of a newer version wrote.
	StateNewer State = "newer"
	// StateExtended is a network configuration to which others have added what is theirs.
	StateExtended State = "extended"
)

// Status is what is installed on a node.
type Status struct {
	// Version of this installer, and of the one that wrote last; the latter is empty when nothing was installed.
	Version          string          `json:"version"`
	InstalledVersion string          `json:"installedVersion"`
	Binaries         []BinaryStatus  `json:"binaries"`
	Kubeconfig       KubeconfigState `json:"kubeconfig"`
	Network          NetworkStatus   `json:"networkConfiguration"`
	// Problems has what is not as it should be, a sentence each.
	Problems []string `json:"problems"`
}

// BinaryStatus is one binary in one directory. The sums are SHA-256 in hex; Installed says that we wrote it.
type BinaryStatus struct {
	Path      string `json:"path"`
	State     State  `json:"state"`
	SHA256    string `json:"sha256,omitempty"`
	Want      string `json:"want"`
	Installed bool   `json:"installed"`
}

// KubeconfigState is the plugins' kubeconfig. The token is not shown; Expires is nil when it does not say it.
type KubeconfigState struct {
	Path    string     `json:"path"`
	State   State      `json:"state"`
	Expires *time.Time `json:"tokenExpires,omitempty"`
}

// NetworkStatus is the network configuration. Active is the file that runtimes take; Aside, those moved aside.
type NetworkStatus struct {
	Path    string   `json:"path"`
	State   State    `json:"state"`
	Active  string   `json:"active"`
	Plugins []string `json:"plugins,omitempty"`
	Aside   []string `json:"aside,omitempty"`
}

// status prints what is installed. An error wraps ErrDiffers when something is not as it should be.
func (i *installer) status() error {
	s, err := i.survey()
	if err != nil {
		return fmt.Errorf("look at what is installed: %w%s", err, cure(err))
	}
	if i.cfg.Output == "json" {
		e := json.NewEncoder(i.deps.Out)
		e.SetIndent("", "  ")
		err = e.Encode(s)
	} else {
		err = s.print(i.deps.Out)
	}
	if err != nil {
		return fmt.Errorf("print status: %w", err)
	}
	if len(s.Problems) > 0 {
		return fmt.Errorf("%w: %s", ErrDiffers, strings.Join(s.Problems, "; "))
	}
	return nil
}

func (i *installer) survey() (*Status, error) {
	if err := i.read(); err != nil {
		return nil, err
	}
	s := &Status{Version: buildinfo.Version, InstalledVersion: i.record.Version, Problems: []string{}, Binaries: []BinaryStatus{}}
	if err := i.surveyBinaries(s); err != nil {
		return nil, err
	}
	i.surveyKubeconfig(s)
	return s, i.surveyNetwork(s)
}

func (i *installer) surveyBinaries(s *Status) error {
	wanted, err := i.wanted()
	if err != nil {
		return err
	}
	complete := false
	var problems []string
	for _, dir := range i.cfg.binDirs() {
		if err := directory(dir); errors.Is(err, fs.ErrNotExist) {
			continue
		} else if err != nil {
			return err
		}
		lacking, err := i.lacking(dir, wanted)
		if err != nil {
			return err
		}
		complete = complete || len(lacking) == 0
		for _, b := range wanted {
			found := i.surveyBinary(filepath.Join(dir, b.name), b)
			s.Binaries = append(s.Binaries, found)
			if slices.Contains(lacking, b.name) {
				what := cmp.Or(cond(found.State == StateEqual, "mode differs"), string(found.State))
				problems = append(problems, fmt.Sprintf("%s: %s%s", found.Path, what, newerThan(i.newer(found.Path))))
			}
		}
	}
	if !complete && len(problems) == 0 {
		problems = append(problems, "no binary directory is mounted")
	}
	s.Problems = append(s.Problems, problems...)
	return nil
}

// cond returns text when it holds, else nothing.
func cond(holds bool, text string) string {
	if holds {
		return text
	}
	return ""
}

func (i *installer) surveyBinary(path string, b binary) BinaryStatus {
	found := BinaryStatus{Path: path, State: StateDiffers, Want: hex.EncodeToString(b.sum[:])}
	got, err := sum(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		found.State = StateMissing
		return found
	case err != nil:
		return found
	case got == b.sum:
		found.State = StateEqual
	case i.newer(path) != "":
		found.State = StateNewer
	}
	found.SHA256, found.Installed = hex.EncodeToString(got[:]), i.record.owns(i.name(path), got)
	return found
}

// surveyKubeconfig takes the token from the file, so that what is rendered with it can be compared.
func (i *installer) surveyKubeconfig(s *Status) {
	s.Kubeconfig = KubeconfigState{Path: i.cfg.kubeconfigPath(), State: StateMissing}
	data, err := os.ReadFile(s.Kubeconfig.Path)
	if err != nil {
		s.Problems = append(s.Problems, fmt.Sprintf("%s: missing, or closed to this user", s.Kubeconfig.Path))
		return
	}
	i.values.Token = tokenOf(data)
	s.Kubeconfig.State = i.compareKubeconfig(data)
	ours := bytes.HasPrefix(data, []byte(kubeconfigHead))
	if s.Kubeconfig.State != StateEqual && (ours || !closed(s.Kubeconfig.Path)) {
		s.Problems = append(s.Problems, fmt.Sprintf("%s: %s: %s", s.Kubeconfig.Path, s.Kubeconfig.State, describe(s.Kubeconfig.Path)))
	}
	if i.values.Token == "" {
		s.Problems = append(s.Problems, fmt.Sprintf("%s: has no token", s.Kubeconfig.Path))
	}
	_, expires, ok := validity(i.values.Token)
	if !ok {
		return
	}
	s.Kubeconfig.Expires = &expires
	if !i.deps.Now().Before(expires) {
		s.Problems = append(s.Problems, fmt.Sprintf("%s: token expired at %s", s.Kubeconfig.Path, expires.UTC().Format(time.RFC3339)))
	}
}

// compareKubeconfig compares with what would be written with the same token. Where that cannot be said, outside of a pod, what
// we once wrote is as it should be.
func (i *installer) compareKubeconfig(data []byte) State {
	same := bytes.HasPrefix(data, []byte(kubeconfigHead))
	if ca, err := i.cfg.certificateAuthority(); err == nil && i.cfg.ServiceHost != "" {
		want, err := i.cfg.renderKubeconfig(ca, i.values.Token)
		same = err == nil && bytes.Equal(data, want)
	}
	if same && sameMode(i.cfg.kubeconfigPath(), fileMode) {
		return StateEqual
	}
	return StateDiffers
}

func (i *installer) surveyNetwork(s *Status) (err error) {
	s.Network = NetworkStatus{Path: i.cfg.confPath(), State: StateMissing}
	if s.Network.Active, err = i.cfg.activeConfig(); err != nil {
		return err
	}
	if s.Network.Aside, err = i.aside(); err != nil {
		return err
	}
	_, s.Network.Plugins = callees(s.Network.Path)
	data, err := os.ReadFile(s.Network.Path)
	if err == nil {
		if s.Network.State, err = i.compareNetwork(data); err != nil {
			return err
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if s.Network.State == StateMissing || s.Network.State == StateDiffers {
		s.Problems = append(s.Problems, fmt.Sprintf("%s: %s", s.Network.Path, s.Network.State))
	}
	if s.Network.Active != "" && s.Network.Active != i.cfg.confName() {
		s.Problems = append(s.Problems, fmt.Sprintf("%s: runtimes take %s before it: %s",
			s.Network.Path, s.Network.Active, describe(filepath.Join(i.cfg.netDir(), s.Network.Active))))
	}
	return nil
}

func (i *installer) compareNetwork(data []byte) (State, error) {
	n, err := i.network()
	switch {
	case err != nil:
		return "", err
	case bytes.Equal(data, n.data) && sameMode(n.path, n.mode):
		return StateEqual, nil
	case i.extended(n, data):
		return StateExtended, nil
	}
	return StateDiffers, nil
}

func (s *Status) print(out io.Writer) error {
	var text strings.Builder
	fmt.Fprintf(&text, "version %s, installed by %s\n", s.Version, cmp.Or(s.InstalledVersion, "nobody"))
	for _, b := range s.Binaries {
		fmt.Fprintf(&text, "%-8s %s %.12s\n", b.State, b.Path, b.SHA256)
	}
	expires := ""
	if s.Kubeconfig.Expires != nil {
		expires = ", token expires " + s.Kubeconfig.Expires.UTC().Format(time.RFC3339)
	}
	fmt.Fprintf(&text, "%-8s %s%s\n", s.Kubeconfig.State, s.Kubeconfig.Path, expires)
	fmt.Fprintf(&text, "%-8s %s, runtimes take %s\n", s.Network.State, s.Network.Path, cmp.Or(s.Network.Active, "none"))
	for _, name := range s.Network.Aside {
		fmt.Fprintf(&text, "aside    %s\n", name)
	}
	for _, problem := range s.Problems {
		fmt.Fprintf(&text, "problem  %s\n", problem)
	}
	_, err := io.WriteString(out, text.String())
	return err
}

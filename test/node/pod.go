// SPDX-License-Identifier: Apache-2.0

package node

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"calico-cni/test/sandbox"
)

// Pod is the network side of a pod: an object in the API and the namespace of a sandbox.
type Pod struct {
	Name, UID, ContainerID string
	// NetNS is the path of its network namespace.
	NetNS string
}

// CreatePod creates a pod in the namespace "default". options may modify the object first.
func (n *Node) CreatePod(ctx context.Context, name string, options ...func(*corev1.Pod)) (*Pod, error) {
	object, err := n.Server.Admin().CreatePod(ctx, Name, "default", name, options...)
	if err != nil {
		return nil, err
	}
	path, err := sandbox.NewNetNS(name)
	if err != nil {
		return nil, err
	}
	return &Pod{Name: name, UID: string(object.UID), ContainerID: "sandbox-" + name, NetNS: path}, nil
}

// RemovePod removes the pod's object and namespace.
func (n *Node) RemovePod(ctx context.Context, p *Pod) error {
	return errors.Join(n.Server.Admin().DeletePod(ctx, "default", p.Name), sandbox.RemoveNetNS(p.NetNS))
}

// Annotations returns the annotations of the pod's object.
func (n *Node) Annotations(ctx context.Context, p *Pod) (map[string]string, error) {
	object, err := n.Server.Client().CoreV1().Pods("default").Get(ctx, p.Name, metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	return object.Annotations, nil
}

// Call is one invocation of a plugin, as by a runtime.
type Call struct {
	// Plugin is "calico" or "calico-ipam".
	Plugin, Command string
	Pod             *Pod
	IfName          string
	// Config is the plugin's network configuration.
	Config map[string]any
	// Env is added to the environment and takes precedence. The value "-" removes a variable.
	Env map[string]string
	// Stdin replaces the configuration if it is not nil.
	Stdin []byte
}

// Answer is the result of a call.
type Answer struct {
	Exit           int
	Stdout, Stderr string
	// Error is the CNI error on standard output, if any.
	Error struct {
		CNIVersion string `json:"cniVersion"`
		Code       uint   `json:"code"`
		Msg        string `json:"msg"`
	}
}

// Config returns the plugin's configuration from the installed list, in the newest version of the specification.
// changes set its keys, and nested keys as "ipam.key".
func (n *Node) Config(changes map[string]any) (map[string]any, error) {
	data, err := os.ReadFile(filepath.Join(n.NetDir(), "10-calico.conflist"))
	if err != nil {
		return nil, err
	}
	var list struct {
		Plugins []map[string]any `json:"plugins"`
	}
	if err := json.Unmarshal(data, &list); err != nil {
		return nil, err
	}
	config := list.Plugins[0]
	config["name"], config["cniVersion"] = Network, "1.1.0"
	for key, value := range changes {
		// A key may itself contain a dot.
		name, inner, _ := strings.Cut(key, ".")
		section, nested := config[name].(map[string]any)
		switch {
		case nested && inner != "":
			section[inner] = value
		case value == nil:
			delete(config, key)
		default:
			config[key] = value
		}
	}
	return config, nil
}

// Run makes the call.
func (n *Node) Run(ctx context.Context, c Call) (Answer, error) {
	env := map[string]string{
		"CNI_COMMAND": c.Command, "CNI_IFNAME": "eth0", "CNI_PATH": n.BinDir(), "PATH": os.Getenv("PATH"),
	}
	if c.IfName != "" {
		env["CNI_IFNAME"] = c.IfName
	}
	if c.Pod != nil {
		env["CNI_CONTAINERID"], env["CNI_NETNS"] = c.Pod.ContainerID, c.Pod.NetNS
		env["CNI_ARGS"] = c.Pod.Args()
	}
	for name, value := range c.Env {
		env[name] = value
		if value == "-" {
			delete(env, name)
		}
	}
	if c.Stdin == nil {
		var err error
		if c.Stdin, err = json.Marshal(c.Config); err != nil {
			return Answer{}, err
		}
	}
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, filepath.Join(n.BinDir(), c.Plugin))
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(c.Stdin), &stdout, &stderr
	for name, value := range env {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	err := cmd.Run()
	a := Answer{Exit: cmd.ProcessState.ExitCode(), Stdout: stdout.String(), Stderr: stderr.String()}
	var ended *exec.ExitError
	if err != nil && !errors.As(err, &ended) {
		return a, err
	}
	if a.Exit != 0 {
		if err := json.Unmarshal(stdout.Bytes(), &a.Error); err != nil {
			return a, fmt.Errorf("decode error on standard output %q: %w", stdout.String(), err)
		}
	}
	return a, nil
}

// Args returns CNI_ARGS as containerd sends it.
func (p *Pod) Args() string {
	return "IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=" + p.Name + ";K8S_POD_INFRA_CONTAINER_ID=" +
		p.ContainerID + ";K8S_POD_UID=" + p.UID
}

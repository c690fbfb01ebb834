// SPDX-License-Identifier: Apache-2.0

package lifetime_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"calico-cni/internal/lifetime"
)

const envPrepare = "LIFETIME_TEST_PREPARE"

// TestMain runs as a process that waits for its context if the variable is set.
func TestMain(m *testing.M) {
	switch os.Getenv(envPrepare) {
	case "":
		os.Exit(m.Run())
	case "yes":
		ctx, onSignal := lifetime.Context()
		onSignal()
		onSignal()
		await(ctx)
	case "no":
		ctx, _ := lifetime.Context()
		await(ctx)
	}
}

func await(ctx context.Context) {
	_, _ = os.Stdout.WriteString("ready\n")
	<-ctx.Done()
	os.Exit(7)
}

func TestSignalCancelsContextAfterOnSignal(t *testing.T) {
	for _, c := range []struct {
		prepare string
		signal  syscall.Signal
		want    string
	}{
		{"yes", syscall.SIGTERM, "exit status 7"},
		{"yes", syscall.SIGINT, "exit status 7"},
		{"no", syscall.SIGTERM, "signal: terminated"},
		{"no", syscall.SIGINT, "signal: interrupt"},
	} {
		exe, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(exe)
		cmd.Env = append(os.Environ(), envPrepare+"="+c.prepare)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(cmd.Start(), read(out)); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Process.Signal(c.signal); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Wait(); err == nil || err.Error() != c.want {
			t.Errorf("prepared %s, %v: %v, want %s", c.prepare, c.signal, err, c.want)
		}
	}
}

func read(r interface{ Read(p []byte) (int, error) }) error {
	_, err := r.Read(make([]byte, len("ready\n")))
	return err
}

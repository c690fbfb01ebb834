// SPDX-License-Identifier: Apache-2.0

package nodestate

import (
	"bytes"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

var cidr = netip.MustParsePrefix("10.0.0.0/26")

// blockFiles returns an empty directory of block files, whose clock the test sets.
func newBlockFiles(t testing.TB) (files BlockFiles, clock *time.Duration) {
	clock = new(time.Duration)
	*clock = 2 * time.Hour
	return BlockFiles{
		Dir: filepath.Join(
			t.TempDir(),
			"run",
			"blocks",
		), Cluster: "https://a:6443", Boot: func() time.Duration { return *clock },
	}, clock
}

func expectBlock(t *testing.T, when string, files BlockFiles, want string) {
	t.Helper()
	if got, ok := files.Read(cidr); string(got) != want && ok || ok != (want != "") {
		t.Errorf("%s: read %q, %t; want %q", when, got, ok, want)
	}
}

// TestBlockFileExpires gives the files other modification times: the age is that of the clock since boot.
func TestBlockFileExpires(t *testing.T) {
	for _, c := range []struct {
		age  time.Duration
		want string
	}{
		{0, "block"}, {maxBlockAge - 1, "block"}, {maxBlockAge, ""}, {time.Hour, ""}, {-1, ""}, {-time.Hour, ""},
	} {
		files, clock := newBlockFiles(t)
		files.SetWithRoom("a", []netip.Prefix{cidr})
		files.Write(cidr, []byte("block"))
		future := time.Now().Add(time.Hour)
		if err := os.Chtimes(files.path(cidr), future, future); err != nil {
			t.Fatal(err)
		}
		*clock += c.age
		expectBlock(t, c.age.String(), files, c.want)
		if got := files.WithRoom("a"); len(got) != 1 {
			t.Errorf("after %v: with room %v", c.age, got)
		}
	}
}

func TestBlockFilesOfClustersAndNodesAreSeparate(t *testing.T) {
	a, _ := newBlockFiles(t)
	b := a
	b.Cluster = "https://b:6443"
	a.SetWithRoom("n", []netip.Prefix{cidr})
	a.Write(cidr, []byte("block"))
	expectBlock(t, "another cluster", b, "")
	expectBlock(t, "the same cluster", a, "block")
	for _, got := range [][]netip.Prefix{b.WithRoom("n"), a.WithRoom("other")} {
		if got != nil {
			t.Errorf("with room in another cluster or node: %v", got)
		}
	}
	if got := a.WithRoom("n"); len(got) != 1 {
		t.Errorf("with room: %v", got)
	}
}

func TestBlockFilesOfOtherVersionsAreIgnored(t *testing.T) {
	files, clock := newBlockFiles(t)
	files.Write(cidr, []byte("block"))
	files.SetWithRoom("a", []netip.Prefix{cidr})
	for name, data := range map[string]string{
		"version 2":  fmt.Sprintf("2 %d\nblock", *clock),
		"no version": fmt.Sprintf("%d\nblock", *clock),
		"no header":  "block",
		"empty":      "",
	} {
		if err := os.WriteFile(files.path(cidr), []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
		expectBlock(t, name, files, "")
	}
	index := "# calico-cni blocks with room, version 2\n10.0.0.0/26\n"
	if err := os.WriteFile(files.index("a"), []byte(index), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := files.WithRoom("a"); got != nil {
		t.Errorf("with room, by an index of version 2: %v", got)
	}
}

func TestChangedIndexRemovesOldBlockFiles(t *testing.T) {
	files, clock := newBlockFiles(t)
	files.Write(cidr, []byte("old"))
	*clock += 2 * keepBlocks
	young := netip.MustParsePrefix("10.0.0.64/26")
	files.Write(young, []byte("young"))
	for _, name := range []string{"0_10.0.0.128_26.block", ".x.block.1.atomicfile"} {
		if err := os.WriteFile(
			filepath.Join(files.Dir, name), []byte("of a killed writer or another version"), 0o600,
		); err != nil {
			t.Fatal(err)
		}
	}
	files.SetWithRoom("a", []netip.Prefix{young})
	var left []string
	for _, path := range paths(files.Dir) {
		left = append(left, filepath.Base(path))
	}
	if len(left) != 2 || !files.Has(young) || len(files.WithRoom("a")) != 1 {
		t.Errorf("left: %v", left)
	}
}

// TestConcurrentWritersLeaveCompleteBlock lets writers replace a block with others of the same length, as an ADD and a
// DEL do, while readers read it.
func TestConcurrentWritersLeaveCompleteBlock(t *testing.T) {
	const size, rounds = 17_000, 300
	files, _ := newBlockFiles(t)
	var writers, readers sync.WaitGroup
	done := make(chan struct{})
	files.Write(cidr, bytes.Repeat([]byte("x"), size))
	for w := range 2 {
		writers.Go(func() {
			for i := range rounds {
				files.Write(cidr, bytes.Repeat([]byte{byte('a' + (2*i+w)%26)}, size))
			}
		})
	}
	readers.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
			}
			got, ok := files.Read(cidr)
			if !ok || len(got) != size || strings.Count(string(got), string(got[:1])) != size {
				t.Errorf("read %t, %d bytes of more than one block", ok, len(got))
				return
			}
		}
	})
	writers.Wait()
	close(done)
	readers.Wait()
}

func BenchmarkBlockFiles(b *testing.B) {
	for _, c := range []struct {
		name string
		size int
	}{{"1-address", 1_200}, {"60-addresses", 17_000}} {
		files, _ := newBlockFiles(b)
		encoded := bytes.Repeat([]byte("x"), c.size)
		b.Run("write/"+c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				files.Write(cidr, encoded)
			}
		})
		b.Run("read/"+c.name, func(b *testing.B) {
			b.ReportAllocs()
			files.Write(cidr, encoded)
			for b.Loop() {
				if _, ok := files.Read(cidr); !ok {
					b.Fatal("not cached")
				}
			}
		})
	}
}

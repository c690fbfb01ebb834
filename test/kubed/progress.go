// SPDX-License-Identifier: Apache-2.0

package kubed

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"
)

// Intervals of progress messages, on a terminal and in a file.
const (
	terminalInterval = 200 * time.Millisecond
	fileInterval     = 10 * time.Second
)

// progress prints the progress of a build in fixed intervals.
type progress struct {
	mu    sync.Mutex
	state state

	w        io.Writer
	terminal bool
	done     chan struct{}
	stopped  sync.WaitGroup
}

// newProgress starts to print to w until close is called.
func newProgress(w io.Writer) *progress {
	p := &progress{w: w, done: make(chan struct{}), state: state{start: time.Now()}}
	interval := fileInterval
	if file, ok := w.(*os.File); ok && term.IsTerminal(int(file.Fd())) {
		p.terminal, interval = true, terminalInterval
	}
	p.stopped.Go(func() { p.tick(interval) })
	return p
}

// close stops printing.
func (p *progress) close() {
	close(p.done)
	p.stopped.Wait()
	if p.terminal {
		fmt.Fprintln(p.w)
	}
}

// phase sets the current phase and prints it immediately.
func (p *progress) phase(name string) {
	p.mu.Lock()
	p.state.phase = name
	p.mu.Unlock()
	p.show()
}

// compile sets the packages to compile.
func (p *progress) compile(packages []string) {
	p.mu.Lock()
	p.state.expect(packages)
	p.mu.Unlock()
	p.show()
}

// line processes a line of the go command and reports whether it is progress.
func (p *progress) line(s string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.state.line(s)
}

func (p *progress) tick(interval time.Duration) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-p.done:
			return
		case <-ticker.C:
			p.show()
		}
	}
}

func (p *progress) show() {
	p.mu.Lock()
	text := p.state.text(time.Now())
	p.mu.Unlock()
	if p.terminal {
		// Carriage return and "erase in line", ECMA-48 section 8.3.41.
		fmt.Fprint(p.w, "\r\x1b[K"+text)
		return
	}
	fmt.Fprintln(p.w, text)
}

// state is the progress of a build, derived from the output of the go command.
type state struct {
	start      time.Time
	phase      string
	downloaded int
	pending    map[string]bool
	total      int
}

// expect sets the packages to compile.
func (s *state) expect(packages []string) {
	s.pending = make(map[string]bool, len(packages))
	for _, pkg := range packages {
		s.pending[pkg] = true
	}
	s.total, s.phase = len(s.pending), "compiling"
	s.linkWhenCompiled()
}

// line processes a line of the go command and reports whether it is progress: "go: downloading MODULE VERSION", or the
// path of a package, which `go build -v` prints when it starts to compile it.
func (s *state) line(text string) bool {
	if strings.HasPrefix(text, "go: downloading ") {
		s.downloaded++
		s.phase = "downloading modules"
		return true
	}
	if s.pending[text] {
		delete(s.pending, text)
		s.phase = "compiling"
		s.linkWhenCompiled()
		return true
	}
	return false
}

// linkWhenCompiled changes the phase after the last package.
func (s *state) linkWhenCompiled() {
	if len(s.pending) == 0 {
		s.phase = "linking"
	}
}

// text describes the state on one line.
func (s *state) text(now time.Time) string {
	elapsed := now.Sub(s.start).Round(time.Second)
	switch s.phase {
	case "downloading modules":
		return fmt.Sprintf("kubed: %s, %d so far, %v", s.phase, s.downloaded, elapsed)
	case "compiling":
		return fmt.Sprintf("kubed: %s, %d of %d packages, %v", s.phase, s.total-len(s.pending), s.total, elapsed)
	}
	return fmt.Sprintf("kubed: %s, %v", s.phase, elapsed)
}

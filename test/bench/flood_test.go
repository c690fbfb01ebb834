// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"sync"
	"time"
)

// flood is the concurrent attachment or detachment of many pods.
type flood struct {
	// took is the time from the start of the first call to the end of the last, in milliseconds.
	took float64
	// each has the times of the calls in the order of their end; done has the times of these ends since the start.
	each, done sample
	failures   []error
	// used is the CPU time during the flood.
	used clock
}

func (f flood) perSecond() float64 { return 1000 * float64(len(f.each)) / f.took }

// slowest returns the ratio of the slowest call to the median.
func (f flood) slowest() float64 { return f.each.most() / f.each.median() }

// floods attaches and detaches pods, atATime at a time, by verb and contender.
func (b *bench) floods(pods, atATime int) map[string]map[string][]flood {
	b.Helper()
	out := map[string]map[string][]flood{"ADD": {}, "DEL": {}}
	alternate(b.all, b.effort.repeats, func(_ int, c contender) {
		for _, verb := range verbs {
			out[verb][c.name] = append(out[verb][c.name], b.flood(c, verb, pods, atATime))
		}
	})
	return out
}

func (b *bench) flood(c contender, verb string, pods, atATime int) flood {
	b.Helper()
	var f flood
	var mu sync.Mutex
	var workers sync.WaitGroup
	todo := make(chan int, pods)
	for i := range pods {
		todo <- i
	}
	close(todo)
	before, started := b.clock(), time.Now()
	for range atATime {
		workers.Go(func() {
			for i := range todo {
				s, err := c.call(verb, b.pods[i], c.config)
				mu.Lock()
				if err != nil {
					f.failures = append(f.failures, err)
				} else {
					f.each, f.done = append(f.each, s.wall), append(f.done, ms(time.Since(started)))
				}
				mu.Unlock()
			}
		})
	}
	workers.Wait()
	f.took = ms(time.Since(started))
	f.used, _ = b.clock().since(before)
	for _, err := range f.failures {
		b.Errorf("%d pods, %d at a time: %v", pods, atATime, err)
	}
	return f
}

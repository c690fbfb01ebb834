// SPDX-License-Identifier: Apache-2.0

package memstore

// Request is one request to the store.
type Request struct {
	// Verb is get, list, create, update or delete; Kind is block, affinity or handle.
	Verb, Kind string
	// Key is the key of the row as text; empty for a list.
	Key string
}

// Outcome is the outcome of a request.
type Outcome int

const (
	// Pass lets the request take effect and returns its answer.
	Pass Outcome = iota
	// Refused fails the request before it takes effect, like status 429.
	Refused
	// AnswerLost lets the request take effect and returns an error, like a connection that breaks.
	AnswerLost
	// Repeated lets the request take effect twice and returns the second answer, like a transport that repeats a
	// request whose answer was lost.
	Repeated
)

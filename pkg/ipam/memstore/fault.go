package memstore

// Request is one request to the store.
type Request struct {
	// Verb is get, list, create, update or delete; Kind is block, affinity or handle.
	Verb, Kind string
	// Key is the key of the row as text; empty for a list.
	Key string
}

// Outcome is what happens to a request.
type Outcome int

const (
	// Pass lets the request take effect and returns its answer.
	Pass Outcome = iota
	// Refused fails the request before it takes effect, as 429 does.
	Refused
	// AnswerLost lets the request take effect and fails it, as a connection does that breaks.
	AnswerLost
	// Repeated lets the request take effect twice and returns the second answer, as a transport does that repeats a
	// request whose answer got lost.
	Repeated
)

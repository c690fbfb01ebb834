// SPDX-License-Identifier: Apache-2.0

package startup

import "time"

// Condition is a condition of a Node.
type Condition struct {
	Type               string `json:"type"`
	Status             string `json:"status"`
	Reason             string `json:"reason"`
	Message            string `json:"message"`
	LastHeartbeatTime  string `json:"lastHeartbeatTime,omitempty"`
	LastTransitionTime string `json:"lastTransitionTime,omitempty"`
}

// networkUnavailable is the type of the condition. The scheduler places no pod on a node while it is True.
const networkUnavailable = "NetworkUnavailable"

// State is what the agent says about the network of its node.
type State int

// The states.
const (
	// Starting means that the routes of the node are not in force yet. The condition stays as it is.
	Starting State = iota
	// Up means that the routes are in force.
	Up
	// Down means that the agent is being shut down.
	Down
)

// ConditionPatch returns a strategic merge patch of the status of a node for a state, or nil if the conditions of the
// node agree with it.
func ConditionPatch(state State, conditions []Condition, now time.Time) []byte {
	want := Condition{
		Type: networkUnavailable, Status: "False", Reason: "CalicoIsUp", Message: "the routes of the node are in force",
	}
	switch state {
	case Starting:
		return nil
	case Down:
		want.Status, want.Reason, want.Message = "True", "CalicoIsDown", "the node agent has been shut down"
	case Up:
	}
	want.LastHeartbeatTime = now.UTC().Format(time.RFC3339)
	want.LastTransitionTime = want.LastHeartbeatTime
	for _, c := range conditions {
		if c.Type != networkUnavailable || c.Status != want.Status {
			continue
		}
		if c.Reason == want.Reason {
			return nil
		}
		want.LastTransitionTime = c.LastTransitionTime
	}
	return encode(map[string]any{"status": map[string]any{"conditions": []Condition{want}}})
}

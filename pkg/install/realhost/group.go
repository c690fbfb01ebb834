// SPDX-License-Identifier: Apache-2.0

package realhost

import (
	"log/slog"
	"math/rand/v2"
	"time"

	"calico-cni/internal/nodestate"
	"calico-cni/pkg/install/apiclient"
	"calico-cni/pkg/install/apigroup"
	"calico-cni/pkg/install/config"
	"calico-cni/pkg/install/credentials"
)

// groupChoice returns the choice of the API group, for this run.
func groupChoice(cfg config.Config, userAgent string, log *slog.Logger) *apigroup.Choice {
	return &apigroup.Choice{
		Configured: cfg.APIGroup,
		Server:     apigroup.Discovery{Credentials: apiclient.Of(cfg), UserAgent: userAgent},
		Interval:   credentials.CheckInterval(rand.Float64()),
		Troubled:   nodestate.Conditions(cfg.Layout().ConditionsDir()).APIUnavailable,
		Now:        time.Now, Log: log,
	}
}

// SPDX-License-Identifier: Apache-2.0

package apigroup

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"calico-cni/internal/deadline"
	"calico-cni/pkg/install/apiclient"
	"calico-cni/pkg/install/config"
)

const (
	// migrationGroup is the group of the DatastoreMigration that Calico's controllers keep while they copy the objects.
	migrationGroup = "migration.projectcalico.org/v1"
	migrationPath  = "/apis/" + migrationGroup + "/datastoremigrations/v1-to-v3"
	// discoveryTimeout bounds the requests of a discovery.
	discoveryTimeout = 15 * time.Second
)

// Discovery asks the API server with the credentials of the installer.
type Discovery struct {
	Credentials apiclient.Credentials
	UserAgent   string
}

// Served lists the groups of the API server, which every service account may do. Only if both groups are served, it
// looks for a migration.
func (d Discovery) Served(ctx context.Context) (Served, error) {
	client, server, err := d.Credentials.Connect(d.UserAgent)
	if err != nil {
		return Served{}, err
	}
	ctx, cancel := deadline.Within(ctx, discoveryTimeout, "the discovery of API groups")
	defer cancel()
	groups, err := list(ctx, client)
	if err != nil {
		return Served{}, d.explain(ctx, err, server)
	}
	served := Served{V1: groups.serve(config.CRDGroup), V3: groups.serve(config.V3Group)}
	if served.V1 && served.V3 && groups.serve(migrationGroup) {
		phase, err := migrationPhase(ctx, client)
		if err != nil {
			return Served{}, d.explain(ctx, err, server)
		}
		served.Migrated = phase == "Converged" || phase == "Complete"
		served.Migrating = !served.Migrated && phase != "" && phase != "Failed"
	}
	return served, nil
}

func (d Discovery) explain(ctx context.Context, err error, server string) error {
	switch {
	case errors.Is(err, errNoGroups):
		return apiclient.AnotherServer(server)
	case apierrors.IsForbidden(err) && apiclient.FromAPIServer(err):
		return fmt.Errorf("%w: the API server at %s: %w; allow it to %s, as the ClusterRoles system:discovery and "+
			"calico-cni-install do", ErrForbidden, server, err, d.Credentials)
	case apiclient.IsRefusal(err):
		return fmt.Errorf("the API server at %s does not accept %s; %s", server, d.Credentials, d.Credentials.Remedy())
	}
	return apiclient.Unanswered(ctx, err, server)
}

// groupVersions are the group versions that an API server serves.
type groupVersions []string

func (g groupVersions) serve(groupVersion string) bool { return slices.Contains(g, groupVersion) }

// errNoGroups: the response is no list of API groups.
var errNoGroups = errors.New("no list of API groups")

func list(ctx context.Context, client rest.Interface) (groupVersions, error) {
	answer := client.Get().AbsPath("/apis").SetHeader("Accept", "application/json").Do(ctx)
	if err := answer.Error(); err != nil {
		return nil, err
	}
	data, err := answer.Raw()
	if err != nil {
		return nil, err
	}
	var groups metav1.APIGroupList
	if err := json.Unmarshal(data, &groups); err != nil || groups.Kind != "APIGroupList" {
		return nil, errNoGroups
	}
	var found groupVersions
	for _, group := range groups.Groups {
		for _, v := range group.Versions {
			found = append(found, v.GroupVersion)
		}
	}
	return found, nil
}

// migrationPhase returns the phase of the migration, empty if there is none.
func migrationPhase(ctx context.Context, client rest.Interface) (string, error) {
	answer := client.Get().AbsPath(migrationPath).SetHeader("Accept", "application/json").Do(ctx)
	switch err := answer.Error(); {
	case apierrors.IsNotFound(err):
		return "", nil
	case err != nil:
		return "", err
	}
	data, err := answer.Raw()
	if err != nil {
		return "", err
	}
	var migration struct {
		Status struct {
			Phase string `json:"phase"`
		} `json:"status"`
	}
	if err := json.Unmarshal(data, &migration); err != nil {
		return "", fmt.Errorf("decode DatastoreMigration: %w", err)
	}
	return migration.Status.Phase, nil
}

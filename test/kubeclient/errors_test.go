// SPDX-License-Identifier: Apache-2.0

package kubeclient_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"calico-cni/pkg/kubeapi"
)

func TestDeadServerIsUnavailable(t *testing.T) {
	s := cluster(t)
	l := listen(t)
	do(t, l.Close())
	_, err := kubeapi.Namespace(t.Context(), at(t, s, l.Addr().String()), "default")
	wantError(t, "connection refused", err, kubeapi.ErrUnavailable, "get namespace default", "connection refused",
		l.Addr().String())
}

// TestUnresponsiveServerIsUnavailable hangs if the context is ignored.
func TestUnresponsiveServerIsUnavailable(t *testing.T) {
	s := cluster(t)
	l := listen(t)
	client := at(t, s, l.Addr().String())
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := kubeapi.Namespace(ctx, client, "default")
	wantError(t, "no answer", err, kubeapi.ErrUnavailable, "get namespace default", "no answer",
		l.Addr().String())
	wantError(t, "no answer", err, context.DeadlineExceeded)
}

func TestServerOfOtherCAIsUnavailable(t *testing.T) {
	s := cluster(t)
	other := httptest.NewUnstartedServer(http.NotFoundHandler())
	other.Config.ErrorLog = quiet(t)
	other.StartTLS()
	t.Cleanup(other.Close)
	file := kubeconfig(t, s, func(c *clientcmdapi.Cluster, _ *clientcmdapi.AuthInfo) { c.Server = other.URL })
	_, err := kubeapi.Namespace(t.Context(), load(t, file), "default")
	wantError(t, "another CA", err, kubeapi.ErrUnavailable, file, "CA certificate", "replace its certificate-authority")
}

func TestLoginPageIsNotServed(t *testing.T) {
	s := cluster(t)
	portal := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, "<html>Please log in</html>")
	}))
	t.Cleanup(portal.Close)
	file := kubeconfig(t, s, func(c *clientcmdapi.Cluster, _ *clientcmdapi.AuthInfo) {
		*c = clientcmdapi.Cluster{Server: portal.URL}
	})
	_, err := kubeapi.Namespace(t.Context(), load(t, file), "default")
	wantError(t, "a captive portal", err, kubeapi.ErrNotServed, "get namespace default", "HTML page")
}

func TestUnauthorizedNamesKubeconfigAndRemedy(t *testing.T) {
	s := cluster(t)
	const token = "hunter2-7c0ffee5"
	file := kubeconfig(t, s, func(_ *clientcmdapi.Cluster, u *clientcmdapi.AuthInfo) {
		*u = clientcmdapi.AuthInfo{Token: token}
	})
	client := load(t, file)
	_, err := kubeapi.Pod(t.Context(), client, "default", "web")
	wantError(t, "bad token", err, kubeapi.ErrUnauthorized, "get pod default/web", "kubeconfig "+file,
		"write a new token there")
	if strings.Contains(err.Error(), token) {
		t.Errorf("%q contains the token", err)
	}
	_, err = reservations(client).Create(t.Context(), "x", reservation("x"))
	wantError(t, "bad token, write", err, kubeapi.ErrUnauthorized, file)
}

func TestForbiddenNamesRightAndClusterRole(t *testing.T) {
	ctx, s := t.Context(), cluster(t)
	do(t, s.Admin().CreateServiceAccount(ctx, "default", "powerless"))
	file := filepath.Join(t.TempDir(), "kubeconfig")
	do(t, s.Accounts().WriteKubeconfig(ctx, file, "default", "powerless"))
	client := load(t, file)
	_, err := kubeapi.Node(ctx, client, "n")
	wantError(t, "read", err, kubeapi.ErrForbidden, "get node n", `cannot get resource "nodes"`,
		"system:serviceaccount:default:powerless", "ClusterRole")
	err = kubeapi.AnnotatePod(ctx, client, "default", kubeapi.Meta{Name: "web"}, nil)
	wantError(t, "patch", err, kubeapi.ErrForbidden, `cannot patch resource "pods/status"`)
	if data, readErr := os.ReadFile(file); readErr != nil || strings.Contains(err.Error(), tokenIn(string(data))) {
		t.Errorf("%q contains the token: %v", err, readErr)
	}
}

// tokenIn returns the token of a kubeconfig.
func tokenIn(kubeconfig string) string {
	_, rest, _ := strings.Cut(kubeconfig, "token: ")
	token, _, _ := strings.Cut(rest, "\n")
	return token
}

func TestAbsentObjectsAreNotFound(t *testing.T) {
	ctx, s := t.Context(), cluster(t)
	client := admin(t, s)
	for what, get := range map[string]func() error{
		"get pod default/none":       func() error { _, err := kubeapi.Pod(ctx, client, "default", "none"); return err },
		"get pod nowhere/none":       func() error { _, err := kubeapi.Pod(ctx, client, "nowhere", "none"); return err },
		"get namespace none":         func() error { _, err := kubeapi.Namespace(ctx, client, "none"); return err },
		"get node none":              func() error { _, err := kubeapi.Node(ctx, client, "none"); return err },
		"get ipreservations none":    func() error { _, err := reservations(client).Get(ctx, "none"); return err },
		"delete ipreservations none": func() error { return reservations(client).Delete(ctx, "none", "", "") },
		"update ipreservations none": func() error {
			o := reservation("none")
			o.Metadata.ResourceVersion = "1"
			_, err := reservations(client).Update(ctx, "none", o)
			return err
		},
	} {
		wantError(t, what, get(), kubeapi.ErrNotFound, what)
	}
}

func TestListOfUnknownKindNamesMissingDefinition(t *testing.T) {
	unknown := kubeapi.NewResource[map[string]any](admin(t, cluster(t)), "crd.projectcalico.org/v1", "ippoolz")
	_, err := unknown.List(t.Context(), kubeapi.ListOptions{})
	wantError(t, "unknown kind", err, kubeapi.ErrNotServed, "list ippoolz",
		"apply the CustomResourceDefinition of ippoolz")
}

func TestConcurrentWritesAreConflicts(t *testing.T) {
	ctx, s := t.Context(), cluster(t)
	client := admin(t, s)
	table := reservations(client)
	stale := create(t, client, "conflict", "10.0.0.1")

	_, err := table.Create(ctx, "conflict", reservation("conflict"))
	wantError(t, "create again", err, kubeapi.ErrExists, "create ipreservations conflict")

	next := *stale
	next.Spec.ReservedCIDRs = []string{"10.0.0.2"}
	fresh, err := table.Update(ctx, "conflict", &next)
	do(t, err)
	_, err = table.Update(ctx, "conflict", stale)
	wantError(t, "stale update", err, kubeapi.ErrConflict, "update ipreservations conflict")
	wantError(t, "stale delete", table.Delete(ctx, "conflict", stale.Metadata.UID, stale.Metadata.ResourceVersion),
		kubeapi.ErrConflict, "delete ipreservations conflict")

	wantError(t, "delete of another", table.Delete(ctx, "conflict", otherUID, fresh.Metadata.ResourceVersion),
		kubeapi.ErrConflict)

	kept, err := table.Get(ctx, "conflict")
	do(t, err)
	if got := kept.Spec.ReservedCIDRs; len(got) != 1 || got[0] != "10.0.0.2" ||
		kept.Metadata.ResourceVersion != fresh.Metadata.ResourceVersion {
		t.Errorf("after the conflicts it is %v at %s, want 10.0.0.2 at %s", got, kept.Metadata.ResourceVersion,
			fresh.Metadata.ResourceVersion)
	}
	do(t, table.Delete(ctx, "conflict", fresh.Metadata.UID, fresh.Metadata.ResourceVersion))
	_, err = table.Get(ctx, "conflict")
	wantError(t, "get after delete", err, kubeapi.ErrNotFound)
}

func TestInvalidObjectErrorNamesField(t *testing.T) {
	ctx, s := t.Context(), cluster(t)
	client := admin(t, s)
	_, err := reservations(client).Create(ctx, "refused", reservation("refused", "no-address"))
	wantError(t, "422", err, kubeapi.ErrInvalid, "create ipreservations refused", "reservedCIDRs",
		"must be a CIDR or an address")
	stored := create(t, client, "refused-name", "10.0.0.1")
	stored.Metadata.Name = "another"
	_, err = reservations(client).Update(ctx, "refused-name", stored)
	wantError(t, "400", err, kubeapi.ErrInvalid, "update ipreservations refused-name")
}

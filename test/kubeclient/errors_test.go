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

	"calico-cni/pkg/kube"
)

func TestDeadServerIsUnavailable(t *testing.T) {
	s := cluster(t)
	l := listen(t)
	do(t, l.Close())
	_, err := at(t, s, l.Addr().String()).Namespace(t.Context(), "default")
	wantError(t, "connection refused", err, kube.ErrUnavailable, "get namespace default", "connection refused",
		l.Addr().String())
}

// TestUnresponsiveServerIsUnavailable hangs if the context is ignored.
func TestUnresponsiveServerIsUnavailable(t *testing.T) {
	s := cluster(t)
	l := listen(t)
	client := at(t, s, l.Addr().String())
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := client.Namespace(ctx, "default")
	wantError(t, "no answer", err, kube.ErrUnavailable, "get namespace default", "no answer",
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
	_, err := load(t, file).Namespace(t.Context(), "default")
	wantError(t, "another CA", err, kube.ErrUnavailable, file, "CA certificate", "replace its certificate-authority")
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
	_, err := load(t, file).Namespace(t.Context(), "default")
	wantError(t, "a captive portal", err, kube.ErrNotServed, "get namespace default", "HTML page")
}

func TestUnauthorizedNamesKubeconfigAndRemedy(t *testing.T) {
	s := cluster(t)
	const token = "hunter2-7c0ffee5"
	file := kubeconfig(t, s, func(_ *clientcmdapi.Cluster, u *clientcmdapi.AuthInfo) {
		*u = clientcmdapi.AuthInfo{Token: token}
	})
	client := load(t, file)
	_, err := client.Pod(t.Context(), "default", "web")
	wantError(t, "bad token", err, kube.ErrUnauthorized, "get pod default/web", "kubeconfig "+file,
		"write a new token there")
	if strings.Contains(err.Error(), token) {
		t.Errorf("%q contains the token", err)
	}
	_, err = reservations(client).Create(t.Context(), "x", reservation("x"))
	wantError(t, "bad token, write", err, kube.ErrUnauthorized, file)
}

func TestForbiddenNamesRightAndClusterRole(t *testing.T) {
	ctx, s := t.Context(), cluster(t)
	do(t, s.Admin().CreateServiceAccount(ctx, "default", "powerless"))
	file := filepath.Join(t.TempDir(), "kubeconfig")
	do(t, s.Accounts().WriteKubeconfig(ctx, file, "default", "powerless"))
	client := load(t, file)
	_, err := client.Node(ctx, "n")
	wantError(t, "read", err, kube.ErrForbidden, "get node n", `cannot get resource "nodes"`,
		"system:serviceaccount:default:powerless", "ClusterRole")
	err = client.AnnotatePod(ctx, "default", kube.Meta{Name: "web"}, nil)
	wantError(t, "patch", err, kube.ErrForbidden, `cannot patch resource "pods/status"`)
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
		"get pod default/none":       func() error { _, err := client.Pod(ctx, "default", "none"); return err },
		"get pod nowhere/none":       func() error { _, err := client.Pod(ctx, "nowhere", "none"); return err },
		"get namespace none":         func() error { _, err := client.Namespace(ctx, "none"); return err },
		"get node none":              func() error { _, err := client.Node(ctx, "none"); return err },
		"get ipreservations none":    func() error { _, err := reservations(client).Get(ctx, "none"); return err },
		"delete ipreservations none": func() error { return reservations(client).Delete(ctx, "none", "", "") },
		"update ipreservations none": func() error {
			o := reservation("none")
			o.Metadata.ResourceVersion = "1"
			_, err := reservations(client).Update(ctx, "none", o)
			return err
		},
	} {
		wantError(t, what, get(), kube.ErrNotFound, what)
	}
}

func TestListOfUnknownKindNamesMissingDefinition(t *testing.T) {
	unknown := kube.NewResource[map[string]any](admin(t, cluster(t)), "crd.projectcalico.org/v1", "ippoolz")
	_, err := unknown.List(t.Context(), kube.ListOptions{})
	wantError(t, "unknown kind", err, kube.ErrNotServed, "list ippoolz",
		"apply the CustomResourceDefinition of ippoolz")
}

func TestConcurrentWritesAreConflicts(t *testing.T) {
	ctx, s := t.Context(), cluster(t)
	client := admin(t, s)
	table := reservations(client)
	stale := create(t, client, "conflict", "10.0.0.1")

	_, err := table.Create(ctx, "conflict", reservation("conflict"))
	wantError(t, "create again", err, kube.ErrExists, "create ipreservations conflict")

	next := *stale
	next.Spec.ReservedCIDRs = []string{"10.0.0.2"}
	fresh, err := table.Update(ctx, "conflict", &next)
	do(t, err)
	_, err = table.Update(ctx, "conflict", stale)
	wantError(t, "stale update", err, kube.ErrConflict, "update ipreservations conflict")
	wantError(t, "stale delete", table.Delete(ctx, "conflict", stale.Metadata.UID, stale.Metadata.ResourceVersion),
		kube.ErrConflict, "delete ipreservations conflict")

	wantError(t, "delete of another", table.Delete(ctx, "conflict", otherUID, fresh.Metadata.ResourceVersion),
		kube.ErrConflict)

	kept, err := table.Get(ctx, "conflict")
	do(t, err)
	if got := kept.Spec.ReservedCIDRs; len(got) != 1 || got[0] != "10.0.0.2" ||
		kept.Metadata.ResourceVersion != fresh.Metadata.ResourceVersion {
		t.Errorf("after the conflicts it is %v at %s, want 10.0.0.2 at %s", got, kept.Metadata.ResourceVersion,
			fresh.Metadata.ResourceVersion)
	}
	do(t, table.Delete(ctx, "conflict", fresh.Metadata.UID, fresh.Metadata.ResourceVersion))
	_, err = table.Get(ctx, "conflict")
	wantError(t, "get after delete", err, kube.ErrNotFound)
}

func TestInvalidObjectErrorNamesField(t *testing.T) {
	ctx, s := t.Context(), cluster(t)
	client := admin(t, s)
	_, err := reservations(client).Create(ctx, "refused", reservation("refused", "no-address"))
	wantError(t, "422", err, kube.ErrInvalid, "create ipreservations refused", "reservedCIDRs",
		"must be a CIDR or an address")
	stored := create(t, client, "refused-name", "10.0.0.1")
	stored.Metadata.Name = "another"
	_, err = reservations(client).Update(ctx, "refused-name", stored)
	wantError(t, "400", err, kube.ErrInvalid, "update ipreservations refused-name")
}

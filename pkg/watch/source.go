// SPDX-License-Identifier: Apache-2.0

package watch

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	apiwatch "k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"
)

// Client lists and watches the objects of one kind.
type Client interface {
	List(ctx context.Context, o metav1.ListOptions) (runtime.Object, error)
	Watch(ctx context.Context, o metav1.ListOptions) (apiwatch.Interface, error)
}

// Source fills a table from the API server, for as long as it runs. It retries with the backoff of client-go.
type Source struct {
	// Kind names the objects in errors, such as "IPPool".
	Kind   string
	Client Client
	Store  cache.ReflectorStore
	// Optional says that the API server may not serve the kind. The table is then empty and complete.
	Optional bool
	// Failed is called when a request fails, and with nil when one succeeds after a failure.
	Failed func(error)
	Now    func() time.Time

	mu    sync.Mutex
	err   error
	since time.Time
}

// Fault returns since when the table may be stale, and why. It returns nil while the watch works.
func (s *Source) Fault() (since time.Time, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.since, s.err
}

// Run fills the table until the context ends.
func (s *Source) Run(ctx context.Context) {
	// The reflector logs each failed attempt. Failed gets the same errors, with their remedies.
	quiet := klog.New(logr.Discard().GetSink())
	lw := &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			list, err := s.Client.List(ctx, o)
			return list, s.note(err)
		},
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (apiwatch.Interface, error) {
			w, err := s.Client.Watch(ctx, o)
			return w, s.note(err)
		},
	}
	r := cache.NewReflectorWithOptions(lw, nil, s.Store, cache.ReflectorOptions{
		Name: s.Kind, TypeDescription: s.Kind, Logger: &quiet,
	})
	r.RunWithContext(klog.NewContext(ctx, quiet))
}

// note records the result of a request, and returns its error.
func (s *Source) note(err error) error {
	s.mu.Lock()
	was := s.err
	fault := s.explain(err)
	if err != nil && was == nil {
		s.since = s.Now()
	}
	s.err = fault
	s.mu.Unlock()
	if fault != nil || was != nil {
		s.Failed(fault)
	}
	return err
}

// explain adds the remedy to the error of a request. Errors that only restart the watch are no faults.
func (s *Source) explain(err error) error {
	switch {
	case err == nil, errors.Is(err, context.Canceled), apierrors.IsResourceExpired(err), apierrors.IsGone(err):
		return nil
	case apierrors.IsNotFound(err) && s.Optional:
		_ = s.Store.Replace(nil, "")
		return nil
	case apierrors.IsNotFound(err):
		return fmt.Errorf("watch %s: the API server does not serve this kind; apply its CustomResourceDefinition", s.Kind)
	case apierrors.IsForbidden(err), apierrors.IsUnauthorized(err):
		return fmt.Errorf("watch %s: %w; allow list and watch of it in the ClusterRole of calico-node", s.Kind, err)
	}
	var status apierrors.APIStatus
	if errors.As(err, &status) && status.Status().Code != http.StatusServiceUnavailable {
		return fmt.Errorf("watch %s: %w", s.Kind, err)
	}
	return fmt.Errorf("watch %s: %w; check whether the API server is reachable", s.Kind, err)
}

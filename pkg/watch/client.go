// SPDX-License-Identifier: Apache-2.0

package watch

import (
	"context"
	"fmt"
	"net/http"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	apiwatch "k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
)

// Connection is a connection to the API server that the clients of all kinds share.
type Connection struct {
	config *rest.Config
	http   *http.Client
}

// Connect returns a connection with a configuration. It sends no request.
func Connect(config *rest.Config) (*Connection, error) {
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, fmt.Errorf("create a client of %s: %w", config.Host, err)
	}
	return &Connection{config: config, http: client}, nil
}

// Kind names a kind of objects and its resource.
type Kind struct {
	Group, Version, Name, Plural string
	// Selector restricts the objects by their fields, as in `kubectl --field-selector`. Empty means all.
	Selector string
}

// Metadata returns a client of a kind that gets only the metadata of objects, as *metav1.PartialObjectMetadata.
func (c *Connection) Metadata(k Kind) (Client, error) {
	client, err := metadata.NewForConfigAndClient(metadata.ConfigFor(c.config), c.http)
	if err != nil {
		return nil, fmt.Errorf("create a client of %s: %w", k.Name, err)
	}
	resource := schema.GroupVersionResource{Group: k.Group, Version: k.Version, Resource: k.Plural}
	return metadataClient{client.Resource(resource), k}, nil
}

type metadataClient struct {
	client metadata.Getter
	kind   Kind
}

func (c metadataClient) List(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
	return c.client.List(ctx, c.kind.selected(o))
}

func (c metadataClient) Watch(ctx context.Context, o metav1.ListOptions) (apiwatch.Interface, error) {
	return c.client.Watch(ctx, c.kind.selected(o))
}

func (k Kind) selected(o metav1.ListOptions) metav1.ListOptions {
	o.FieldSelector = k.Selector
	return o
}

// Contents returns a client of a kind whose objects it decodes as *Object[S].
func Contents[S any](c *Connection, k Kind) (Client, error) {
	group := schema.GroupVersion{Group: k.Group, Version: k.Version}
	types := runtime.NewScheme()
	types.AddKnownTypeWithName(group.WithKind(k.Name), &Object[S]{})
	types.AddKnownTypeWithName(group.WithKind(k.Name+"List"), &objectList[S]{})
	metav1.AddToGroupVersion(types, group)
	config := rest.CopyConfig(c.config)
	config.GroupVersion, config.APIPath = &group, "/apis"
	if k.Group == "" {
		config.APIPath = "/api"
	}
	config.NegotiatedSerializer = serializer.NewCodecFactory(types).WithoutConversion()
	client, err := rest.RESTClientForConfigAndClient(config, c.http)
	if err != nil {
		return nil, fmt.Errorf("create a client of %s: %w", k.Name, err)
	}
	parameters := runtime.NewParameterCodec(types)
	return contentsClient[S]{client: client, parameters: parameters, kind: k}, nil
}

type contentsClient[S any] struct {
	client     *rest.RESTClient
	parameters runtime.ParameterCodec
	kind       Kind
}

func (c contentsClient[S]) request(o metav1.ListOptions) *rest.Request {
	o = c.kind.selected(o)
	return c.client.Get().Resource(c.kind.Plural).VersionedParams(&o, c.parameters)
}

func (c contentsClient[S]) List(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
	list := &objectList[S]{}
	return list, c.request(o).Do(ctx).Into(list)
}

func (c contentsClient[S]) Watch(ctx context.Context, o metav1.ListOptions) (apiwatch.Interface, error) {
	o.Watch = true
	return c.request(o).Watch(ctx)
}

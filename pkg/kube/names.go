package kube

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
)

// metadataOnlyList is metadataOnly for a list.
const metadataOnlyList = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"

// Exists reports whether there is an object of that name in the newest state.
func (r Resource[T]) Exists(ctx context.Context, name string) (bool, error) {
	err := r.client.do(ctx, request{
		what: r.what("get", name), method: http.MethodGet, path: r.path + "/" + name, accept: metadataOnly,
	}, nil)
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// NamesPage is one page of the names of all objects of a kind.
type NamesPage struct {
	Names []string
	// Continue asks for the next page; empty on the last one. Remaining is how many names follow, as far as the server
	// knows.
	Continue  string
	Remaining int
}

// Names returns a page of at most limit names, the first one or, with the Continue of another page, the one after it.
// The pages of one list show the state at one moment, which is not before the first request.
func (r Resource[T]) Names(ctx context.Context, limit int, next string) (NamesPage, error) {
	query := url.Values{"limit": {strconv.Itoa(limit)}}
	if next != "" {
		query.Set("continue", next)
	}
	var list struct {
		Metadata struct {
			Continue  string `json:"continue"`
			Remaining int    `json:"remainingItemCount"`
		} `json:"metadata"`
		Items []struct {
			Metadata struct {
				Name string `json:"name"`
			} `json:"metadata"`
		} `json:"items"`
	}
	err := r.client.do(ctx, request{
		what: "list " + r.plural, method: http.MethodGet, path: r.path, query: query, accept: metadataOnlyList,
	}, &list)
	if errors.Is(err, ErrNotFound) {
		return NamesPage{}, fmt.Errorf("%w; apply the CustomResourceDefinition of %s", err, r.plural)
	}
	page := NamesPage{Continue: list.Metadata.Continue, Remaining: list.Metadata.Remaining}
	for _, item := range list.Items {
		page.Names = append(page.Names, item.Metadata.Name)
	}
	return page, err
}

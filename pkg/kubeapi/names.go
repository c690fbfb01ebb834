// SPDX-License-Identifier: Apache-2.0

package kubeapi

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"
)

// Exists reports whether an object exists, according to the newest state.
func (r Resource[T]) Exists(ctx context.Context, name string) (bool, error) {
	_, err := r.transport.Do(ctx, Request{
		Action: r.action("get", name), Method: http.MethodGet, Path: r.path + "/" + name, Of: r.named(name),
		Accept: metadataOnly,
	})
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// NamesPage is one page of the names of all objects of a kind.
type NamesPage struct {
	Names []string
	// Continue requests the next page; it is empty on the last page. Remaining is the number of further names if the
	// server reports it.
	Continue  string
	Remaining int
}

// Names returns a page of at most limit names: the first page or, with the Continue of another page, the next one. All
// pages of one list show the state at the time of the first request or later.
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
	err := read(ctx, r.transport, Request{
		Action: "list " + r.plural, Method: http.MethodGet, Path: r.path, Of: r.named(""), Query: query,
		Accept: metadataOnlyList,
	}, &list)
	page := NamesPage{Continue: list.Metadata.Continue, Remaining: list.Metadata.Remaining}
	for _, item := range list.Items {
		page.Names = append(page.Names, item.Metadata.Name)
	}
	return page, err
}

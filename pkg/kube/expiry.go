// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"calico-cni/pkg/kubeapi"
)

// Expires returns when the credentials expire, or the zero time if they do not say so. It makes no request: a bearer
// token has the claim "exp" (RFC 7519, section 4.1.4), a client certificate its notAfter.
func (c *Client) Expires() time.Time {
	if token := c.sender.identity.bearer(); token != "" {
		return tokenExpiry(token)
	}
	if c.sender.identity.certificate != nil {
		return c.sender.identity.renewed().Leaf.NotAfter
	}
	return time.Time{}
}

// CheckExpiry returns an error that wraps kubeapi.ErrUnauthorized if the credentials have expired at now.
func (c *Client) CheckExpiry(now time.Time) error {
	expires := c.Expires()
	if expires.IsZero() || now.Before(expires) {
		return nil
	}
	_, remedy := c.explainer.refusal()
	return fmt.Errorf("%w: the credentials of %s expired at %s; %s",
		kubeapi.ErrUnauthorized, c.explainer.provenance.source, expires.UTC().Format(time.RFC3339), remedy)
}

func tokenExpiry(token string) time.Time {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return time.Time{}
	}
	claims, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return time.Time{}
	}
	var said struct {
		Expires int64 `json:"exp"`
	}
	if json.Unmarshal(claims, &said) != nil || said.Expires == 0 {
		return time.Time{}
	}
	return time.Unix(said.Expires, 0)
}

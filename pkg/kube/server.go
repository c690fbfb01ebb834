// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// parseServer parses a URL, or host and port, which imply http. Any host may be in brackets, because Calico's installer
// writes KUBERNETES_SERVICE_HOST in brackets even if it is not an IPv6 address.
func parseServer(server string) (*url.URL, error) {
	if server == "" {
		return nil, errServerEmpty
	}
	if !hasScheme(server) {
		if _, path, found := strings.Cut(server, "/"); found && path != "" {
			return nil, errServerScheme
		}
		server = "http://" + server
	}
	scheme, rest, _ := strings.Cut(server, "://")
	if s := strings.ToLower(scheme); s != "http" && s != "https" {
		return nil, errServerScheme
	}
	end := strings.IndexAny(rest, "/?#")
	if end < 0 {
		end = len(rest)
	}
	start := strings.LastIndexByte(rest[:end], '@') + 1 // after the user and password
	host, err := hostAndPort(rest[start:end])
	if err != nil {
		return nil, err
	}
	u, err := url.Parse(scheme + "://" + rest[:start] + host + rest[end:])
	if err != nil || u.Hostname() == "" {
		return nil, errServerHost
	}
	u.RawQuery, u.Fragment = "", ""
	return u, nil
}

// hasScheme reports whether a server is a URL rather than host and port.
func hasScheme(server string) bool { return strings.Contains(server, "://") }

// hostAndPort checks the host and port of a URL. It returns them in the form that net/url accepts, with brackets only
// around IPv6 addresses.
func hostAndPort(text string) (string, error) {
	host, port := text, ""
	if end := strings.LastIndexByte(text, ']'); end >= 0 {
		host, port = text[:end+1], text[end+1:]
	} else if colon := strings.LastIndexByte(text, ':'); colon >= 0 {
		host, port = text[:colon], text[colon:]
		if strings.Contains(host, ":") {
			return "", errServerIPv6
		}
	}
	if port != "" && port != ":" {
		if n, err := strconv.ParseUint(strings.TrimPrefix(port, ":"), 10, 16); err != nil || n == 0 || port[0] != ':' {
			return "", errServerPort
		}
	}
	host = unbracketed(host)
	if strings.Contains(host, ":") {
		addr, err := netip.ParseAddr(strings.Replace(host, "%25", "%", 1))
		if err != nil || strings.ContainsFunc(addr.Zone(), notInterface) {
			return "", errServerHost
		}
		host = "[" + strings.Replace(addr.String(), "%", "%25", 1) + "]"
	}
	return host + port, nil
}

// notInterface reports whether a character is unusual in an interface name.
func notInterface(r rune) bool {
	switch {
	case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9':
		return false
	}
	return !strings.ContainsRune("._-", r)
}

// unbracketed removes the brackets around a host.
func unbracketed(host string) string {
	for strings.HasPrefix(host, "[") && strings.HasSuffix(host, "]") {
		host = host[1 : len(host)-1]
	}
	return host
}

// certificateName returns the name that the server's certificate must be valid for. Empty means the host of the URL. A
// certificate is valid for an address without its zone.
func certificateName(c cluster, server *url.URL) string {
	if addr, err := netip.ParseAddr(server.Hostname()); c.ServerName == "" && err == nil && addr.Zone() != "" {
		return addr.WithZone("").String()
	}
	return c.ServerName
}

// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"fmt"
	"path/filepath"
)

// InstalledName is the name of the kubeconfig that the install container writes and renews. Calico uses the same name.
const InstalledName = "calico-kubeconfig"

// origin says which program writes, and therefore renews, the credentials of a client.
type origin int

const (
	// supplied: a user or another program.
	supplied origin = iota
	// installed: the install container, or Calico's node agent.
	installed
	// mounted: the kubelet.
	mounted
)

// provenance says where the address and the credentials of a client are from. source is for messages.
type provenance struct {
	source string
	origin origin
}

// originOf returns which program writes a kubeconfig that the CNI configuration names.
func originOf(path string) origin {
	if filepath.Base(path) == InstalledName {
		return installed
	}
	return supplied
}

// Remedies for credentials and CA certificates that a program renews.
const (
	renewInstalled = "the watching install container renews it within a minute; check that it runs on this node, " +
		"or restart the init container"
	renewMounted = "the kubelet renews it; delete the pod if it does not, so that a new pod replaces it"
)

// by returns the remedy that applies to the origin of the credentials; user is the remedy for supplied ones.
func (o origin) by(user string) string {
	switch o {
	case installed:
		return renewInstalled
	case mounted:
		return renewMounted
	}
	return user
}

// refusal returns why the server may reject the credentials of a client, and the remedy. It considers the credentials
// that a request uses, in the order of authorize.
func (e *explainer) refusal() (reason, remedy string) {
	const token = "its token has expired, or its service account was recreated"
	id, from := e.identity, e.provenance.origin
	u := id.user
	switch {
	case e.server.User != nil, u.Token+u.TokenFile == "" && u.Username+u.Password != "":
		return "its user name or password is wrong, or the API server accepts none (since Kubernetes 1.19)",
			"set a token or a client certificate instead"
	case u.TokenFile != "":
		return token, from.by(fmt.Sprintf("see why the token in tokenFile %s is not renewed", u.TokenFile))
	case u.Token != "":
		return token, from.by("write a new token there")
	case id.plugin != nil:
		return "its credential plugin (exec) prints credentials that have expired, or those of another cluster",
			fmt.Sprintf("run %s on this node with the arguments and the environment there, and log in again if it "+
				"requests that", id.plugin.name())
	case u.CertificateFile != "":
		return refusedCertificate, fmt.Sprintf("renew the client certificate %s and its key", u.CertificateFile)
	case id.certificate != nil:
		return refusedCertificate, "write a new client certificate and its key there"
	}
	return "the requests have no credentials",
		"set a token or a client certificate, and https:// in front of the server"
}

const refusedCertificate = "its client certificate has expired, or is not signed by the client CA of the server"

// newAuthority returns the remedy for a CA certificate that is not that of the server.
func (e *explainer) newAuthority() string {
	if e.caFile != "" {
		return e.provenance.origin.by(fmt.Sprintf("replace the CA certificate %s by that of the cluster", e.caFile))
	}
	return e.provenance.origin.by("replace its certificate-authority by that of the cluster")
}

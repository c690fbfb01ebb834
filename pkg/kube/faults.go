// SPDX-License-Identifier: Apache-2.0

package kube

// kubeconfigError says why credentials cannot be used, and what is expected. It quotes no value, because any value may
// be a secret in the wrong field. Its values are constants, which cost nothing at start-up.
type kubeconfigError string

func (e kubeconfigError) Error() string { return string(e) }

// Errors of the file as a whole.
const (
	errSyntax = kubeconfigError("it is not YAML or JSON")
	errTab    = kubeconfigError("it is not YAML: it is indented by tabs; use spaces")
	errNoText = kubeconfigError("it is empty")
	errTooBig = kubeconfigError("it is larger than 4 MiB")
	errKind   = kubeconfigError(`it is not a kubeconfig: want kind "Config" and apiVersion "v1"`)
	errFields = kubeconfigError("it is not a kubeconfig: a field has the wrong type")
	errBase64 = kubeconfigError("the data of a certificate or of a key is not base64: " +
		"check certificate-authority-data, client-certificate-data and client-key-data")
	errNames = kubeconfigError("two entries of the same list have the same name: rename or remove one")
	errEmpty = kubeconfigError("it has no clusters, users and contexts")
)

// Errors of the current context.
const (
	errNoContext = kubeconfigError("it has no current-context: set it to the name of one of the contexts")
	errContext   = kubeconfigError("its current-context is not the name of one of its contexts")
	errCluster   = kubeconfigError("the cluster of its current context is not the name of one of its clusters")
	errNoUser    = kubeconfigError("its current context has no user: set it to the name of one of the users")
	errUser      = kubeconfigError("the user of its current context is not the name of one of its users")
)

// Errors of the cluster.
const (
	errServer       = kubeconfigError("the server is not the URL of an API server, such as https://10.96.0.1:443")
	errServerEmpty  = kubeconfigError("it is empty")
	errServerScheme = kubeconfigError("its scheme is neither https nor http")
	errServerHost   = kubeconfigError("it has no valid host")
	errServerPort   = kubeconfigError("its port is not a number from 1 to 65535")
	errServerIPv6   = kubeconfigError("write its IPv6 address in brackets, as in https://[fd00::1]:443")
	errNoScheme     = kubeconfigError("it has no scheme, which means http, but credentials and TLS settings need " +
		"https: " +
		"write https:// in front of it")
	errProxy        = kubeconfigError("the proxy-url is not a URL of scheme http, https or socks5")
	errCertificates = kubeconfigError("the certificate-authority has no certificate in PEM")
	errCATwice      = kubeconfigError("certificate-authority and certificate-authority-data are both set: remove one")
	errInsecureCA   = kubeconfigError("certificate-authority and insecure-skip-tls-verify are both set: remove one")
)

// Errors of the user.
const (
	errNoCredentials = kubeconfigError("the user has no credentials, and the API server refuses anonymous requests: " +
		"set token, tokenFile, client-certificate with client-key, username with password, or exec")
	errCredentials = kubeconfigError("the user has a password and a token: remove one")
	errBlankToken  = kubeconfigError("the token is only white space: want a bearer token")
	errNotToken    = kubeconfigError("it has a line break, a control character or a character that is not ASCII: " +
		"write the bearer token in one line")
	errControl       = kubeconfigError("it has a line break or a control character: write it in one line")
	errImpersonation = kubeconfigError("as-uid, as-groups or as-user-extra is set without as: set the " +
		"user to act as")
	errNoUsername       = kubeconfigError("password is set without username: set both")
	errCertificateTwice = kubeconfigError("client-certificate and client-certificate-data are both set: remove one")
	errKeyTwice         = kubeconfigError("client-key and client-key-data are both set: remove one")
	errNoKey            = kubeconfigError("client-certificate is set without client-key: set both")
	errNoCertificate    = kubeconfigError("client-key is set without client-certificate: set both")
	errCertificatePEM   = kubeconfigError("the client-certificate has no certificate in PEM")
	errKeyPEM           = kubeconfigError("the client-key has no unencrypted private key in PEM")
	errPair             = kubeconfigError("the client-certificate and the client-key do not belong together, " +
		"or one of them is damaged")
	errAuthProvider = kubeconfigError("the user has an auth-provider, which Kubernetes no longer supports: " +
		"set a token, a client certificate or a credential plugin (exec)")
)

// Errors of the credential plugin.
const (
	errPluginVersion = kubeconfigError("the apiVersion of the credential plugin (exec) is not " +
		"client.authentication.k8s.io/v1 or client.authentication.k8s.io/v1beta1")
	errPluginCommand = kubeconfigError("the credential plugin (exec) has no command")
	errPluginEnv     = kubeconfigError("a variable in env of the credential plugin (exec) has no name")
	errPluginMode    = kubeconfigError("the interactiveMode of the credential plugin (exec) is missing or unknown: " +
		"want Never or IfAvailable")
	errInteractive = kubeconfigError("the credential plugin (exec) needs a terminal (interactiveMode Always), " +
		"and there is none: use one that does not, with interactiveMode Never or IfAvailable")
)

// Errors of a file that a kubeconfig names.
const errBlankFile = kubeconfigError("the file is empty")

// SPDX-License-Identifier: Apache-2.0

package kubeclient_test

// outcome is the result of loading a kubeconfig in package kube.
type outcome string

const (
	refused outcome = "refused when loaded"
	fails   outcome = "loaded, but no request reaches the server"
	asks    outcome = "loaded, and a request reaches the server"
)

// sample is a kubeconfig. Words in capitals after a dollar sign stand for values of a bench. row is the first cell of
// the row in docs/compatibility.md that documents how client-go differs; it is empty if both agree.
type sample struct {
	name, text string
	want       outcome
	row        string
}

// Rows of the table "Differences from client-go" in docs/compatibility.md.
const (
	rowBrackets = "a host in brackets that is not an IPv6 address, or an IPv6 address with a zone or in two " +
		"pairs of brackets"
	rowPort         = "a port of 0, or above 65535"
	rowScheme       = "a scheme other than https and http"
	rowDamagedPair  = "an empty or damaged file for `client-certificate` or `client-key`"
	rowNoScheme     = "a server without scheme beside credentials or TLS settings"
	rowAnonymous    = "a user without credentials, an empty token, no user in the context"
	rowIncomplete   = "`client-key` without `client-certificate`, `password` without `username`"
	rowEmptyCA      = "an empty file for `certificate-authority`"
	rowToken        = "a token, or a name to impersonate, that no header can hold"
	rowBlankFile    = "a `tokenFile` of white space, or with a damaged token"
	rowCase         = "a field in another case, such as `Server`"
	rowSize         = "a file above 4 MiB"
	rowInteractive  = "`interactiveMode: Always`"
	rowPluginBlank  = "white space around the token of a credential plugin"
	rowURLPassword  = "a user and a password in the `server` beside `exec`"
	rowRetry        = "401 for the credential of a credential plugin"
	rowExpiration   = "`expirationTimestamp` of a credential plugin"
	rowTokenCache   = "a renewed `tokenFile`"
	rowPluginStderr = "standard error of a credential plugin"
	rowRedirect     = "a redirect to another host"
)

// kc returns a kubeconfig with the given fields of its cluster and user.
func kc(cluster, user string) string { return kcx(cluster, "cluster: k, user: u", user) }

// kcx is like kc, with the given fields of its context.
func kcx(cluster, context, user string) string {
	return "apiVersion: v1\nkind: Config\ncurrent-context: c\ncontexts: [{name: c, context: {" + context + "}}]\n" +
		"clusters: [{name: k, cluster: {" + cluster + "}}]\nusers: [{name: u, user: {" + user + "}}]\n"
}

// named returns a cluster whose server has a name. The proxy connects each name to the server of the bench.
func named(server string) string {
	return "server: '" + server + "', certificate-authority-data: $CA, proxy-url: 'http://$PROXY'"
}

const (
	verified = "server: '$SERVER', certificate-authority-data: $CA"
	block    = `apiVersion: v1
kind: Config
preferences: {}
current-context: "c"
contexts:
  - name: c
    context:
      cluster: 'k'
      user: u
      namespace: default
clusters:
  - name: k
    cluster:
      server: $SERVER
      certificate-authority-data: $CA
users:
  - name: u
    user:
      token: a.b.c
`
	execV1   = "exec: {apiVersion: client.authentication.k8s.io/v1, interactiveMode: Never, command: "
	execBeta = "exec: {apiVersion: client.authentication.k8s.io/v1beta1, command: "
)

var textSamples = []sample{
	{"plain", kc(verified, "token: x"), asks, ""},
	{"block style", block, asks, ""},
	{"CRLF", crlf(block), asks, ""},
	{"BOM", "\ufeff" + block, asks, ""},
	{"UTF-16", utf16 + block, asks, ""},
	{"comments and document start", "# written by hand\n---\n" + block + "# end\n...\n", asks, ""},
	{"two documents", block + "---\n" + kc("server: 'https://127.0.0.1:1'", "token: other"), asks, ""},
	{"second document broken", block + "---\n[", asks, ""},
	{
		"JSON", `{"apiVersion": "v1", "kind": "Config", "current-context": "c", "contexts": [{"name": "c", ` +
			`"context": {"cluster": "k", "user": "u"}}],` +
			`"clusters": [{"name": "k", "cluster": {"server": "$SERVER", "certificate-authority-data": "$CA"}}], ` +
			`"users": [{"name": "u", "user": {"token": "x"}}]}`, asks, "",
	},
	{
		"JSON with BOM", "\ufeff" + `{"current-context": "c", "contexts": [{"name": "c", "context": {"cluster": ` +
			`"k", "user": "u"}}],` +
			`"clusters": [{"name": "k", "cluster": {"server": "$SERVER", "certificate-authority-data": "$CA"}}], ` +
			`"users": [{"name": "u", "user": {"token": "x"}}]}`, asks, "",
	},
	{"JSON cut off", `{"apiVersion": "v1", "kind": "Config", "clusters": [`, refused, ""},
	{"anchor and alias", "x: &token 'a.b'\n" + kc(verified, "token: *token"), asks, ""},
	{
		"merge key", "x: &cluster {server: '$SERVER'}\n" + kc("<<: *cluster, certificate-authority-data: $CA",
			"token: x"),
		asks, "",
	},
	{"unknown alias", kc(verified, "token: *nowhere"), refused, ""},
	{"quoting", kc(`server: "\x68ttps:$REST", 'certificate-authority-data': "$CA"`, `"token": "a.\u0062"`), asks, ""},
	{"literal token", literal("|"), refused, rowToken},
	{"literal token, stripped", literal("|-"), asks, ""},
	{"folded token, stripped", literal(">-"), asks, ""},
	{"tab in indentation", "apiVersion: v1\nkind: Config\nclusters:\n\t- name: k\n", refused, ""},
	{"tab between", kc("server:\t'$SERVER', certificate-authority-data:\t$CA", "token:\tx"), asks, ""},
	{"duplicate key", kc("server: 'https://127.0.0.1:1', server: '$SERVER', certificate-authority-data: $CA",
		"token: x"), asks, ""},
	{"unknown fields", "new: [1]\n" + kc(verified+", new: {a: 1}", "token: x, new: 1"), asks, ""},
	{"extensions", kc(verified+", extensions: [{name: a, extension: {b: 1}}]",
		"token: x, extensions: [{name: b, extension: {c: 1}}]"), asks, ""},
	{"preferences", "preferences: {colors: true}\n" + kc(verified, "token: x"), asks, ""},
	{"without kind and version", cut(block, "apiVersion: v1\nkind: Config\n"), asks, ""},
	{"another kind", swap(block, "kind: Config", "kind: Pod"), refused, ""},
	{"another version", swap(block, "apiVersion: v1", "apiVersion: v2"), refused, ""},
	{"a group in the version", swap(block, "apiVersion: v1", "apiVersion: a/v1"), refused, ""},
	{"empty", "", refused, ""},
	{"white space", " \n\n", refused, ""},
	{"comment only", "# nothing\n", refused, ""},
	{"null", "null\n", refused, ""},
	{"a text", "nothing of the kind\n", refused, ""},
	{"a list", "- a\n", refused, ""},
	{"binary", "\x7fELF\x02\x01\x01\x00\x00\x03\xff", refused, ""},
	{"token is a number", kc(verified, "token: 5"), refused, ""},
	{"token is null", kc(verified, "token: null, username: u, password: p"), asks, ""},
	{
		"clusters is a map", swap(block, "clusters:\n  - name: k\n    cluster:", "clusters:\n  k:\n    cluster:"),
		refused,
		"",
	},
	{"field in another case", kc("Server: '$SERVER', certificate-authority-data: $CA", "token: x"), asks, rowCase},
	{"large", block + "# " + long(3<<20), asks, ""},
	{"huge", block + "# " + long(5<<20), refused, rowSize},
}

var contextSamples = []sample{
	{"no current-context", swap(block, `current-context: "c"`, "current-context: ''"), refused, ""},
	{"current-context is unknown", swap(block, `current-context: "c"`, "current-context: d"), refused, ""},
	{"no contexts", swap(kc(verified, "token: x"), "contexts: [{name: c, context: {cluster: k, user: u}}]",
		"contexts: []"), refused, ""},
	{"context without cluster", kcx(verified, "user: u", "token: x"), refused, ""},
	{"context with an unknown cluster", kcx(verified, "cluster: l, user: u", "token: x"), refused, ""},
	{"context without user", kcx(verified, "cluster: k", "token: x"), refused, rowAnonymous},
	{"context with an unknown user", kcx(verified, "cluster: k, user: v", "token: x"), refused, rowAnonymous},
	{
		"context with an invalid namespace", kcx(verified, "cluster: k, user: u, namespace: 'No Namespace'",
			"token: x"),
		asks, "",
	},
	{"two clusters of a name", swap(kc(verified, "token: x"), "clusters: [",
		"clusters: [{name: k, cluster: {server: 'https://a'}}, "), refused, ""},
	{
		"two users of a name", swap(kc(verified, "token: x"), "users: [", "users: [{name: u, user: {token: y}}, "),
		refused, "",
	},
	{"two contexts of a name", swap(kc(verified, "token: x"), "contexts: [",
		"contexts: [{name: c, context: {cluster: k, user: u}}, "), refused, ""},
	{"two unused users of a name", swap(kc(verified, "token: x"), "users: [",
		"users: [{name: v, user: {}}, {name: v, user: {}}, "), refused, ""},
	{
		"an unused cluster without server",
		swap(kc(verified, "token: x"), "clusters: [", "clusters: [{name: l, cluster: {}}, "), asks, "",
	},
	{
		"an unused context with an unknown user",
		swap(kc(verified, "token: x"), "contexts: [", "contexts: [{name: d, context: {user: x}}, "), asks, "",
	},
	{
		"an unused user with two credentials",
		swap(kc(verified, "token: x"), "users: [", "users: [{name: v, user: {token: t, username: name}}, "), asks, "",
	},
	{"an unused CA that is not base64", swap(kc(verified, "token: x"), "clusters: [",
		"clusters: [{name: l, cluster: {certificate-authority-data: '!'}}, "), refused, ""},
}

var serverSamples = []sample{
	{"no server", kc("certificate-authority-data: $CA", "token: x"), refused, ""},
	{"empty cluster", kc("", "token: x"), refused, ""},
	{"empty server", kc("server: ''", "token: x"), refused, ""},
	{
		"server with path", kc("server: '$SERVER/k8s/clusters/c-1', certificate-authority-data: $CA", "token: x"), asks,
		"",
	},
	{"server with slash", kc("server: '$SERVER/', certificate-authority-data: $CA", "token: x"), asks, ""},
	{"server with path and slash", kc("server: '$SERVER/a/', certificate-authority-data: $CA", "token: x"), asks, ""},
	{"server with query", kc("server: '$SERVER/a?b=c#d', certificate-authority-data: $CA", "token: x"), asks, ""},
	{
		"server with an escaped path", kc("server: '$SERVER/a%20b', certificate-authority-data: $CA", "token: x"), asks,
		"",
	},
	{"scheme in upper case", kc("server: 'HTTPS:$REST', certificate-authority-data: $CA", "token: x"), asks, ""},
	{"scheme ftp", kc("server: 'ftp://127.0.0.1:1'", "token: x"), refused, rowScheme},
	{
		"IPv4 in brackets", kc("server: 'https://[127.0.0.1]:$PORT', certificate-authority-data: $CA", "token: x"),
		asks,
		rowBrackets,
	},
	{"name in brackets", kc(named("https://[example.com]:6443"), "token: x"), asks, rowBrackets},
	{"IPv6 in two pairs of brackets", kc("server: 'https://[[::1]]:1'", "token: x"), fails, rowBrackets},
	{"IPv6 with zone", kc("server: 'https://[fe80::1%lo]:1'", "token: x"), fails, rowBrackets},
	{"IPv6 with escaped zone", kc("server: 'https://[fe80::1%25lo]:1'", "token: x"), fails, ""},
	{"IPv6 without brackets", kc("server: 'https://::1:1'", "token: x"), refused, ""},
	{"name with dot", kc(named("https://example.com.:6443"), "token: x"), asks, ""},
	{"name in upper case", kc(named("https://EXAMPLE.com:6443"), "token: x"), asks, ""},
	{"name", kc(named("https://example.com:6443"), "token: x"), asks, ""},
	{"name without port", kc(named("https://example.com"), "token: x"), asks, ""},
	{"name with an empty port", kc(named("https://example.com:"), "token: x"), asks, ""},
	{"name that the certificate lacks", kc(named("https://example.net"), "token: x"), fails, ""},
	{"port is a word", kc("server: 'https://127.0.0.1:https'", "token: x"), refused, ""},
	{"port above 65535", kc("server: 'https://127.0.0.1:65536'", "token: x"), refused, rowPort},
	{"white space in the server", kc("server: '$SERVER '", "token: x"), refused, ""},
	{"line break in the server", kc(`server: "$SERVER\n"`, "token: x"), refused, ""},
	{"http", kc("server: '$HTTP'", "token: x"), asks, ""},
	{"http, no credentials", kc("server: '$HTTP'", ""), asks, ""},
	{"http, password", kc("server: '$HTTP'", "username: u, password: p"), asks, ""},
	{"http, impersonation", kc("server: '$HTTP'", "token: x, as: jane"), asks, ""},
	{"http, exec", kc("server: '$HTTP'", execV1+"/nowhere}"), asks, ""},
	{"http, auth-provider", kc("server: '$HTTP'", "auth-provider: {name: oidc}"), asks, ""},
	{"host and port", kc("server: '$PLAIN'", ""), asks, ""},
	{"host and port, token", kc("server: '$PLAIN'", "token: x"), refused, rowNoScheme},
	{"host and port, CA", kc("server: '$PLAIN', certificate-authority-data: $CA", ""), refused, rowNoScheme},
	{"host and port, not verified", kc("server: '$PLAIN', insecure-skip-tls-verify: true", ""), refused, rowNoScheme},
	{"host and path", kc("server: '$PLAIN/path'", "token: x"), refused, ""},
	{"password in the server", kc("server: 'https://u:p@$ADDRESS', certificate-authority-data: $CA", ""), asks, ""},
	{"password in the server, exec", kc("server: 'https://u:p@$ADDRESS', certificate-authority-data: $CA",
		execV1+"./plugin, args: [v1, t]}"), asks, rowURLPassword},
	{"password in the server, password", kc("server: 'https://u:p@$ADDRESS', certificate-authority-data: $CA",
		"username: v, password: q"), asks, ""},
	{
		"password in the server, token", kc("server: 'https://u:p@$ADDRESS', certificate-authority-data: $CA",
			"token: x"),
		asks, "",
	},
	{"not verified", kc("server: '$SERVER', insecure-skip-tls-verify: true", "token: x"), asks, ""},
	{"no CA", kc("server: '$SERVER'", "token: x"), fails, ""},
	{"another CA", kc("server: '$SERVER', certificate-authority-data: $CERT", "token: x"), fails, ""},
	{"CA in a file", kc("server: '$SERVER', certificate-authority: ca.crt", "token: x"), asks, ""},
	{
		"CA in a file of a directory", kc("server: '$SERVER', certificate-authority: ./pki/../ca.crt", "token: x"),
		asks,
		"",
	},
	{"CA in an absolute path", kc("server: '$SERVER', certificate-authority: '$DIR/ca.crt'", "token: x"), asks, ""},
	{"CA file missing", kc("server: '$SERVER', certificate-authority: nowhere", "token: x"), refused, ""},
	{"CA file empty", kc("server: '$SERVER', certificate-authority: empty", "token: x"), refused, rowEmptyCA},
	{"CA file is a directory", kc("server: '$SERVER', certificate-authority: pki", "token: x"), refused, ""},
	{"CA twice", kc(verified+", certificate-authority: ca.crt", "token: x"), refused, ""},
	{"CA and not verified", kc(verified+", insecure-skip-tls-verify: true", "token: x"), refused, ""},
	{"CA is not PEM", kc("server: '$SERVER', certificate-authority-data: YQ==", "token: x"), refused, ""},
	{"CA is not base64", kc("server: '$SERVER', certificate-authority-data: '%'", "token: x"), refused, ""},
	{"CA in lines of base64", kc("server: '$SERVER', certificate-authority-data: \"$LINES\"", "token: x"), asks, ""},
	{"tls-server-name", kc(verified+", tls-server-name: example.com", "token: x"), asks, ""},
	{"tls-server-name with dot", kc(verified+", tls-server-name: EXAMPLE.com.", "token: x"), asks, ""},
	{"tls-server-name of another", kc(verified+", tls-server-name: example.net", "token: x"), fails, ""},
	{"proxy-url", kc(verified+", proxy-url: 'http://$PROXY'", "token: x"), asks, ""},
	{"proxy-url with password", kc(verified+", proxy-url: 'http://u:p@$PROXY'", "token: x"), asks, ""},
	{"proxy-url socks5", kc(verified+", proxy-url: 'socks5://127.0.0.1:1'", "token: x"), fails, ""},
	{"proxy-url https", kc(verified+", proxy-url: 'https://127.0.0.1:1'", "token: x"), fails, ""},
	{"proxy-url socks5h", kc(verified+", proxy-url: 'socks5h://127.0.0.1:1'", "token: x"), refused, ""},
	{"proxy-url ftp", kc(verified+", proxy-url: 'ftp://127.0.0.1:1'", "token: x"), refused, ""},
	{"proxy-url without scheme", kc(verified+", proxy-url: '$PROXY'", "token: x"), refused, ""},
	{"proxy-url empty", kc(verified+", proxy-url: ''", "token: x"), asks, ""},
	{"disable-compression", kc(verified+", disable-compression: true", "token: x"), asks, ""},
}

var userSamples = []sample{
	{"no credentials", kc(verified, ""), refused, rowAnonymous},
	{"token empty", kc(verified, "token: ''"), refused, rowAnonymous},
	{"token blank", kc(verified, "token: '  '"), refused, rowToken},
	{"token with space", kc(verified, "token: 'a b'"), asks, ""},
	{"token with line break", kc(verified, `token: "a\nb"`), refused, rowToken},
	{"token with control character", kc(verified, `token: "a\x07b"`), refused, rowToken},
	{"token with BOM", kc(verified, `token: "\ufeffa"`), refused, rowToken},
	{"tokenFile", kc(verified, "tokenFile: token"), asks, ""},
	{"tokenFile with line break", kc(verified, "tokenFile: token-line"), asks, ""},
	{"tokenFile, absolute", kc(verified, "tokenFile: '$DIR/token'"), asks, ""},
	{"tokenFile missing", kc(verified, "tokenFile: nowhere"), refused, ""},
	{"tokenFile empty", kc(verified, "tokenFile: empty"), refused, ""},
	{"tokenFile blank", kc(verified, "tokenFile: blank"), refused, rowBlankFile},
	{"tokenFile with two lines", kc(verified, "tokenFile: token-lines"), refused, rowBlankFile},
	{"tokenFile is a directory", kc(verified, "tokenFile: pki"), refused, ""},
	{"token and tokenFile", kc(verified, "token: x, tokenFile: token"), asks, ""},
	{"token and tokenFile missing", kc(verified, "token: x, tokenFile: nowhere"), asks, ""},
	{"token and tokenFile empty", kc(verified, "token: x, tokenFile: empty"), asks, ""},
	{"token and tokenFile blank", kc(verified, "token: x, tokenFile: blank"), asks, ""},
	{"password", kc(verified, "username: u, password: p"), asks, ""},
	{"password with colon", kc(verified, "username: u, password: 'p:q ü'"), asks, ""},
	{"username only", kc(verified, "username: u"), asks, ""},
	{"password only", kc(verified, "password: p"), refused, rowIncomplete},
	{"password and token, no username", kc(verified, "password: p, token: x"), refused, ""},
	{"token and password", kc(verified, "token: x, username: u, password: p"), refused, ""},
	{"tokenFile and password", kc(verified, "tokenFile: token, username: u, password: p"), refused, ""},
	{"certificate", kc(verified, "client-certificate-data: $CERT, client-key-data: $KEY"), asks, ""},
	{"certificate in files", kc(verified, "client-certificate: pki/tls.crt, client-key: pki/tls.key"), asks, ""},
	{"certificate, key in a file", kc(verified, "client-certificate-data: $CERT, client-key: pki/tls.key"), asks, ""},
	{"certificate in a file, key", kc(verified, "client-certificate: pki/tls.crt, client-key-data: $KEY"), asks, ""},
	{"certificate without key", kc(verified, "client-certificate-data: $CERT"), refused, ""},
	{"key without certificate", kc(verified, "client-key-data: $KEY"), refused, rowIncomplete},
	{"key without certificate, token", kc(verified, "client-key-data: $KEY, token: x"), refused, rowIncomplete},
	{
		"certificate and token", kc(verified, "client-certificate-data: $CERT, client-key-data: $KEY, token: x"), asks,
		"",
	},
	{"certificate and password", kc(verified,
		"client-certificate-data: $CERT, client-key-data: $KEY, username: u, password: p"), asks, ""},
	{
		"key of another certificate", kc(verified, "client-certificate-data: $CERT, client-key-data: $OTHERKEY"),
		refused,
		"",
	},
	{"certificate is not PEM", kc(verified, "client-certificate-data: YQ==, client-key-data: $KEY"), refused, ""},
	{"certificate is not base64", kc(verified, "client-certificate-data: '!', client-key-data: $KEY"), refused, ""},
	{"certificate file missing", kc(verified, "client-certificate: nowhere, client-key-data: $KEY"), refused, ""},
	{
		"certificate file empty", kc(verified, "client-certificate: empty, client-key: pki/tls.key"), refused,
		rowDamagedPair,
	},
	{"key file missing", kc(verified, "client-certificate-data: $CERT, client-key: nowhere"), refused, ""},
	{"certificate twice", kc(verified, "client-certificate-data: $CERT, client-certificate: pki/tls.crt, "+
		"client-key-data: $KEY"), refused, ""},
	{
		"key twice", kc(verified, "client-certificate-data: $CERT, client-key-data: $KEY, client-key: pki/tls.key"),
		refused, "",
	},
	{"auth-provider", kc(verified, "auth-provider: {name: oidc}"), refused, ""},
	{"auth-provider and token", kc(verified, "token: x, auth-provider: {name: oidc}"), refused, ""},
	{"auth-provider null", kc(verified, "token: x, auth-provider: null"), asks, ""},
	{"as", kc(verified, "token: x, as: jane"), asks, ""},
	{"as with everything", kc(verified, "token: x, as: jane, as-uid: '7', as-groups: [a, b, a], as-user-extra: "+
		"{scopes: [one, two], 'example.org/why not%': [three]}"), asks, ""},
	{"as not ASCII", kc(verified, "token: x, as: jürgen, as-groups: [größe], as-user-extra: {größe: [ü]}"), asks, ""},
	{
		"as with a certificate", kc(verified, "client-certificate-data: $CERT, client-key-data: $KEY, as: jane"), asks,
		"",
	},
	{"as-groups without as", kc(verified, "token: x, as-groups: [a]"), refused, ""},
	{"as-uid without as", kc(verified, "token: x, as-uid: a"), refused, ""},
	{"as-user-extra without as", kc(verified, "token: x, as-user-extra: {a: [b]}"), refused, ""},
	{"as-user-extra empty", kc(verified, "token: x, as-user-extra: {}"), asks, ""},
	{"as with line break", kc(verified, `token: x, as: "a\nb"`), refused, rowToken},
	{"as-user-extra with an empty value", kc(verified, "token: x, as: jane, as-user-extra: {a: ['']}"), asks, ""},
}

var execSamples = []sample{
	{"exec v1", kc(verified, execV1+"./plugin, args: [v1, plugin-token]}"), asks, ""},
	{"exec v1beta1", kc(verified, execBeta+"./plugin, args: [v1beta1, plugin-token]}"), asks, ""},
	{
		"exec v1alpha1", kc(verified, "exec: {apiVersion: client.authentication.k8s.io/v1alpha1, command: ./plugin}"),
		refused, "",
	},
	{"exec without version", kc(verified, "exec: {command: ./plugin, interactiveMode: Never}"), refused, ""},
	{"exec without command", kc(verified, execV1+"''}"), refused, ""},
	{"exec v1 without interactiveMode", kc(verified,
		"exec: {apiVersion: client.authentication.k8s.io/v1, command: ./plugin}"), refused, ""},
	{"exec v1 IfAvailable", kc(verified, swap(execV1, "Never", "IfAvailable")+"./plugin, args: [v1, t]}"), asks, ""},
	{
		"exec v1 Always", kc(verified, swap(execV1, "Never", "Always")+"./plugin, args: [v1, t]}"), refused,
		rowInteractive,
	},
	{
		"exec v1 Always and token", kc(verified,
			"token: x, "+swap(execV1, "Never", "Always")+"./plugin, args: [v1, t]}"),
		asks, "",
	},
	{
		"exec v1 unknown interactiveMode", kc(verified, swap(execV1, "Never", "Sometimes")+"./plugin, args: [v1, t]}"),
		refused, "",
	},
	{"exec v1beta1 Never", kc(verified, execBeta+"./plugin, interactiveMode: Never, args: [v1beta1, t]}"), asks, ""},
	{"exec in an absolute path", kc(verified, execV1+"'$DIR/plugin', args: [v1, t]}"), asks, ""},
	{"exec in a directory", kc(verified, execV1+"pki/../plugin, args: [v1, t]}"), asks, ""},
	{"exec from PATH", kc(verified, execV1+"plugin-in-path, args: [v1, t]}"), asks, ""},
	{"exec missing", kc(verified, execV1+"./nowhere, installHint: install it}"), fails, ""},
	{"exec not executable", kc(verified, execV1+"./token}"), fails, ""},
	{"exec that fails", kc(verified, execV1+"'false'}"), fails, ""},
	{
		"exec with env", kc(verified, execV1+"./plugin, env: [{name: TOKEN, value: from-env}], args: [v1, env]}"), asks,
		"",
	},
	{"exec with env that replaces", kc(verified,
		execV1+"./plugin, env: [{name: HOME, value: x}, {name: HOME, value: z}], args: [v1, home]}"), asks, ""},
	{"exec with env without name", kc(verified, execV1+"./plugin, env: [{value: x}]}"), refused, ""},
	{"exec with installHint", kc(verified, execV1+"./plugin, installHint: 'install it', args: [v1, t]}"), asks, ""},
	{"exec with provideClusterInfo", kc(verified+", tls-server-name: example.com",
		execV1+"./plugin, provideClusterInfo: true, args: [v1, t]}"), asks, ""},
	{"exec with a CA file in the cluster info", kc("server: '$SERVER', certificate-authority: ca.crt",
		execV1+"./plugin, provideClusterInfo: true, args: [v1, t]}"), asks, ""},
	{
		"exec with everything in the cluster info", kc("server: '$SERVER/a', insecure-skip-tls-verify: true, "+
			"proxy-url: 'http://$PROXY', disable-compression: true, "+
			"extensions: [{name: client.authentication.k8s.io/exec, extension: {audience: b}}, {name: other, "+
			"extension: {a: 1}}]",
			execV1+"./plugin, provideClusterInfo: true, args: [v1, t]}"), asks, "",
	},
	{
		"exec v1beta1 with the cluster info",
		kc(verified, execBeta+"./plugin, provideClusterInfo: true, args: [v1beta1, t]}"), asks, "",
	},
	{"exec and token", kc(verified, "token: x, "+execV1+"./nowhere}"), asks, ""},
	{"exec and tokenFile", kc(verified, "tokenFile: token, "+execV1+"./nowhere}"), asks, ""},
	{"exec and password", kc(verified, "username: u, password: p, "+execV1+"./nowhere}"), asks, ""},
	{"exec and certificate", kc(verified,
		"client-certificate-data: $CERT, client-key-data: $KEY, "+execV1+"./nowhere}"), asks, ""},
	{"exec and auth-provider", kc(verified, "auth-provider: {name: oidc}, "+execV1+"./plugin}"), refused, ""},
	{"exec and as", kc(verified, "as: jane, "+execV1+"./plugin, args: [v1, t]}"), asks, ""},
	{"exec that prints a certificate", kc(verified, execV1+"./plugin, args: [v1, certificate]}"), asks, ""},
	{"exec that prints a certificate and a token", kc(verified, execV1+"./plugin, args: [v1, both]}"), asks, ""},
	{"exec that prints half a pair", kc(verified, execV1+"./plugin, args: [v1, half]}"), fails, ""},
	{"exec that prints nothing", kc(verified, execV1+"'true'}"), fails, ""},
	{"exec that prints a text", kc(verified, execV1+"./plugin, args: [v1, text]}"), fails, ""},
	{"exec that prints another version", kc(verified, execV1+"./plugin, args: [v1beta1, t]}"), fails, ""},
	{"exec that prints no status", kc(verified, execV1+"./plugin, args: [v1, no-status]}"), fails, ""},
	{"exec that prints an empty token", kc(verified, execV1+"./plugin, args: [v1, '']}"), fails, ""},
	{"exec that prints a token with a line break", kc(verified, execV1+`./plugin, args: [v1, 'a\nb']}`), fails, ""},
	{
		"exec that prints white space around the token", kc(verified, execV1+`./plugin, args: [v1, 'a\n']}`), asks,
		rowPluginBlank,
	},
	{"exec that prints a number for a token", kc(verified, execV1+"./plugin, args: [v1, number]}"), fails, ""},
	{"exec that prints unknown fields", kc(verified, execV1+"./plugin, args: [v1, unknown]}"), asks, ""},
}

// SPDX-License-Identifier: Apache-2.0

package kube

import "errors"

// ErrKubeconfig: the credentials cannot be read or are invalid. The other errors of a request have the classes of
// package kubeapi.
var ErrKubeconfig = errors.New("unusable kubeconfig")

// SPDX-License-Identifier: Apache-2.0

package watch

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// Object is an object of the API with the contents that its reader needs: S has only those fields.
type Object[S any] struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`
	Spec              S `json:"spec"`
}

// DeepCopyObject implements runtime.Object. The copy shares its contents with the object, because nobody changes a
// decoded object.
func (o *Object[S]) DeepCopyObject() runtime.Object {
	out := *o
	return &out
}

// objectList is a list of objects.
type objectList[S any] struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata"`
	Items           []Object[S] `json:"items"`
}

// DeepCopyObject implements runtime.Object like that of Object.
func (l *objectList[S]) DeepCopyObject() runtime.Object {
	out := *l
	return &out
}

package memstore_test

import (
	"testing"
	"time"

	"calico-cni/pkg/ipam"
	"calico-cni/pkg/ipam/memstore"
	"calico-cni/pkg/ipam/storetest"
)

func TestMemoryStoreKeepsTheContractOfStores(t *testing.T) {
	storetest.Run(t, func(testing.TB) ipam.Store { return memstore.New(time.Now) })
}

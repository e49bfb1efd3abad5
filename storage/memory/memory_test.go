package memory_test

import (
	"testing"

	"acmebridge/conformance/storagetest"
	"acmebridge/storage"
	"acmebridge/storage/memory"
)

func TestStore(t *testing.T) {
	t.Parallel()
	storagetest.Run(t, func(*testing.T) storage.Store { return memory.New() })
}

package acme

import (
	"fmt"
	"slices"
	"testing"
)

// An account remembers a few of its earlier keys, for records that name it by
// one of them.
func TestChangeKey(t *testing.T) {
	t.Parallel()
	a := Account{Thumbprint: "t0"}
	before := a
	for i := range 10 {
		a.ChangeKey([]byte{byte(i)}, KeyHash{byte(i)}, fmt.Sprintf("t%d", i+1))
	}
	if a.Thumbprint != "t10" || a.KeyHash != (KeyHash{9}) || !slices.Equal(a.EarlierThumbprints, []string{"t2", "t3", "t4", "t5", "t6", "t7", "t8", "t9"}) {
		t.Errorf("after ten changes: %+v", a)
	}
	a.ChangeKey(nil, KeyHash{}, "t5") // back to an earlier one
	if !slices.Equal(a.EarlierThumbprints, []string{"t2", "t3", "t4", "t6", "t7", "t8", "t9", "t10"}) {
		t.Errorf("back to an earlier key: %v", a.EarlierThumbprints)
	}
	if before.EarlierThumbprints != nil {
		t.Error("the record that it began with has changed")
	}
}

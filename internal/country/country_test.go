package country

import (
	"strings"
	"testing"
)

func TestKnown(t *testing.T) {
	t.Parallel()
	for code, want := range map[string]bool{"GB": true, "AD": true, "ZW": true, "UK": false, "gb": false, "": false, " G": false, "B ": false, "D A": false, "EU": false, "GBR": false} {
		if Known(code) != want {
			t.Errorf("%q: %v", code, !want)
		}
	}
	const officially = 249
	if all := strings.Fields(codes); len(all) != officially {
		t.Errorf("%d codes, not %d", len(all), officially)
	}
}

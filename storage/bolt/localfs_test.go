//go:build linux

package bolt

import (
	"strings"
	"testing"
)

// TestNetworkFS: SS-7.
func TestNetworkFS(t *testing.T) {
	t.Parallel()
	for magic, want := range map[uint32]string{0x6969: "NFS", 0xFF534D42: "CIFS", 0x65735546: "FUSE", 0xEF53: "", 0x01021994: "", 0x58465342: "", 0x9123683E: ""} {
		err := refuseNetworkFS("/data", magic, false)
		if (err != nil) != (want != "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("magic %x: %v, want a refusal that names %q", magic, err, want)
		}
		if err := refuseNetworkFS("/data", magic, true); err != nil {
			t.Errorf("magic %x, allowed: %v", magic, err)
		}
	}
	if err := localFS(t.TempDir(), false); err != nil {
		t.Errorf("a local directory: %v", err)
	}
}

package bolt

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// networkFS names the file systems whose locks and syncs depend on another
// machine, or on a program of somebody's (SS-7). Two processes that both hold
// "the" lock destroy the file.
var networkFS = map[uint32]string{
	0x6969:     "NFS",
	0x517B:     "SMB",
	0xFF534D42: "CIFS",
	0xFE534D42: "SMB2",
	0x65735546: "FUSE",
	0x01021997: "9P",
	0x00C36400: "Ceph",
	0x5346414F: "AFS",
	0x6B414653: "kAFS",
	0x73757245: "Coda",
	0x0BD00BD0: "Lustre",
	0x47504653: "GPFS",
	0x19830326: "BeeGFS",
	0x7461636F: "OCFS2",
	0x01161970: "GFS2",
	0x564C:     "NCP",
}

// localFS refuses a directory that is on another machine.
func localFS(dir string, allow bool) error {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return fmt.Errorf("storage/bolt: the directory of the database, %s: %w", dir, err)
	}
	return refuseNetworkFS(dir, uint32(st.Type), allow)
}

func refuseNetworkFS(dir string, magic uint32, allow bool) error {
	if name, ok := networkFS[magic]; ok && !allow {
		return fmt.Errorf("storage/bolt: %s is on a network or user-space file system (%s), which may lose or mix up commits; put the data on a local disk, or allow it explicitly", dir, name)
	}
	return nil
}

package storage_test

import (
	"encoding/binary"
	"hash/crc32"
)

// sealed puts bytes into an envelope that is in order, whatever they are.
func sealed(payload []byte) []byte {
	b := append([]byte{1, 0, 0, 0, 0}, payload...)
	c := crc32.MakeTable(crc32.Castagnoli)
	binary.BigEndian.PutUint32(b[1:5], crc32.Update(crc32.Checksum(b[:1], c), c, payload))
	return b
}

package ib1

import (
	"errors"
	"fmt"
	"io"
	"math/big"
)

// ErrSerial reports that no unused serial number was found.
var ErrSerial = errors.New("ib1: no serial number that is not in use")

// NewSerial draws a serial number: 16 octets of which the first two bits are 01,
// so that it is positive, of one length and never used for anything but itself.
//
// used says whether any certificate of any tree has the number. It must know
// them all, the CA certificates too: signed records keep leaves and issuers of
// every tree in one map by their numbers (section 5.2).
func NewSerial(random io.Reader, used func(*big.Int) (bool, error)) (*big.Int, error) {
	const attempts = 4 // a second one is needed once in the life of the universe, or when random is not
	for range attempts {
		var b [16]byte
		if _, err := io.ReadFull(random, b[:]); err != nil {
			return nil, fmt.Errorf("ib1: read randomness for a serial number: %w", err)
		}
		b[0] = b[0]&0x3f | 0x40
		serial := new(big.Int).SetBytes(b[:])
		taken, err := used(serial)
		if err != nil {
			return nil, fmt.Errorf("ib1: look whether a serial number is in use: %w", err)
		}
		if !taken {
			return serial, nil
		}
	}
	return nil, fmt.Errorf("%w in %d draws: the source of randomness is broken", ErrSerial, attempts)
}

// ownSerial reports whether NewSerial could have drawn the number.
func ownSerial(serial *big.Int) bool {
	return serial != nil && serial.Sign() > 0 && serial.BitLen() == 127
}

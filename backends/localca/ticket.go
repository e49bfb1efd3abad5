package localca

import (
	"bytes"
	"compress/flate"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"acmebridge/acme"
	"acmebridge/backends"

	"github.com/fxamacker/cbor/v2"
)

// A ticket is "<issuer's number>.<base64url of MAC and content>". The content
// is the part of a request that shapes the certificate, as CBOR.
// The MAC makes it ours: Poll signs what the ticket says, and must not do that
// for whoever can write into the store.

// ticketContent is kept small by what it leaves out: the CSR, above all.
type ticketContent struct {
	Key       string        `cbor:"1,keyasint"`
	At        time.Time     `cbor:"2,keyasint"`
	PublicKey []byte        `cbor:"3,keyasint"`
	Contract  acme.Contract `cbor:"4,keyasint"`
}

const (
	maxTicket        = 2048 // the contract of backends.Ticket
	maxTicketContent = 64 << 10
	ticketMAC        = 16
)

// errTicket does not say what is wrong: nothing but our own tickets come here.
var errTicket = errors.New("this is not a ticket of this CA")

func (is *issuer) ticket(r backends.Request) (backends.Ticket, error) {
	content, err := cbor.Marshal(ticketContent{Key: r.Key, At: r.At, PublicKey: r.PublicKey, Contract: r.Contract})
	if err != nil {
		return "", err
	}
	packed, err := pack(content)
	if err != nil {
		return "", err
	}
	raw := append(is.ticketMAC(packed), packed...)
	t := strconv.Itoa(is.number) + "." + base64.RawURLEncoding.EncodeToString(raw)
	if len(t) > maxTicket {
		return "", backends.Refused("this CA takes fewer names in one order while it is set up to answer later", nil)
	}
	return backends.Ticket(t), nil
}

func (is *issuer) ticketMAC(packed []byte) []byte {
	mac := hmac.New(sha256.New, is.ticketSecret)
	mac.Write(packed)
	return mac.Sum(nil)[:ticketMAC]
}

// redeem returns the issuer and the request of a ticket.
func (s *state) redeem(t backends.Ticket) (*issuer, backends.Request, error) {
	number, encoded, _ := strings.Cut(string(t), ".")
	raw, err := base64.RawURLEncoding.DecodeString(encoded)
	if err != nil || len(raw) < ticketMAC || len(t) > maxTicket {
		return nil, backends.Request{}, errTicket
	}
	for _, is := range s.issuers {
		if strconv.Itoa(is.number) != number {
			continue
		}
		if !hmac.Equal(is.ticketMAC(raw[ticketMAC:]), raw[:ticketMAC]) {
			return nil, backends.Request{}, errTicket
		}
		var c ticketContent
		content, err := unpack(raw[ticketMAC:])
		if err == nil {
			err = cbor.Unmarshal(content, &c)
		}
		if err != nil {
			return nil, backends.Request{}, fmt.Errorf("read the ticket: %w", err)
		}
		return is, backends.Request{Key: c.Key, At: c.At, PublicKey: c.PublicKey, Contract: c.Contract}, nil
	}
	return nil, backends.Request{}, errTicket
}

// The first octet of packed content says how the rest is packed. Most content
// is small enough as it is; compressing it would cost ten certificates.
const (
	packedPlain   = 0
	packedDeflate = 1
	maxPlain      = 1024
)

func pack(content []byte) ([]byte, error) {
	if len(content) <= maxPlain {
		return append([]byte{packedPlain}, content...), nil
	}
	b := bytes.NewBuffer([]byte{packedDeflate})
	w, err := flate.NewWriter(b, flate.BestCompression)
	if err == nil {
		_, err = w.Write(content)
	}
	if err == nil {
		err = w.Close()
	}
	return b.Bytes(), err
}

func unpack(packed []byte) ([]byte, error) {
	if len(packed) == 0 || packed[0] > packedDeflate {
		return nil, errTicket
	}
	if packed[0] == packedPlain {
		return packed[1:], nil
	}
	return io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(packed[1:])), maxTicketContent))
}

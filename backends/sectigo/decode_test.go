package sectigo

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestDecodeTolerantly(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		in   string
		want Batch
		bad  bool
	}{
		"as documented":  {in: `{"batchId":24,"orderNumber":1024,"creationDate":"2020-12-10T16:35:32.805+0000","size":1,"status":"CREATED","active":false,"batchName":"n","generatorParametersValues":null,"userId":10,"downloadable":true}`, want: Batch{ID: 24, Order: 1024, Created: Time{time.Date(2020, 12, 10, 16, 35, 32, 805e6, time.UTC)}, Size: 1, Status: "CREATED", Name: "n", UserID: 10, Downloadable: true}},
		"strings":        {in: `{"batchId":"24","active":"true","size":" 2 ","userId":""}`, want: Batch{ID: 24, Active: true, Size: 2}},
		"floats":         {in: `{"batchId":24.0,"size":1e1}`, want: Batch{ID: 24, Size: 10}},
		"nulls":          {in: `{"batchId":24,"size":null,"status":null,"creationDate":null,"active":null}`, want: Batch{ID: 24}},
		"numbers":        {in: `{"batchId":24,"batchName":7,"status":true,"active":1}`, want: Batch{ID: 24, Name: "7", Status: "true", Active: true}},
		"other shapes":   {in: `{"batchId":24,"userId":"abc","size":{},"status":[],"active":"perhaps","creationDate":{}}`, want: Batch{ID: 24}},
		"unknown fields": {in: `{"batchId":24,"more":{"deep":[1]}}`, want: Batch{ID: 24}},
		"no batch":       {in: `{"size":1}`, want: Batch{Size: 1}, bad: true},
		"a bad batch":    {in: `{"batchId":"x","size":1}`, want: Batch{Size: 1}, bad: true},
		"half a batch":   {in: `{"batchId":1.5}`, bad: true},
		"a huge batch":   {in: `{"batchId":1e300}`, bad: true},
		"a list":         {in: `[]`, bad: true},
		"a word":         {in: `"batch"`, bad: true},
		"cut":            {in: `{"batchId":24`, bad: true},
		"nothing":        {in: ``, bad: true},
	} {
		var got Batch
		err := decode([]byte(test.in), &got)
		if (err != nil) != test.bad || !reflect.DeepEqual(got, test.want) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

func TestDecodeTimes(t *testing.T) {
	t.Parallel()
	want := time.Date(2020, 12, 10, 16, 35, 32, 0, time.UTC)
	for in, ok := range map[string]bool{
		`"2020-12-10T16:35:32.000+0000"`: true, `"2020-12-10T18:35:32+0200"`: true, `"2020-12-10T16:35:32Z"`: true,
		`"2020-12-10T16:35:32.000000000Z"`: true, `"2020-12-10T16:35:32"`: true, `1607618132000`: true, `"1607618132000"`: true,
		`"yesterday"`: false, `""`: false, `null`: false, `{}`: false, `-1`: false, `99999999999999999999`: false,
	} {
		var got Time
		if err := decode([]byte(in), &got); err != nil || got.IsZero() == ok || (ok && !got.Equal(want)) {
			t.Errorf("%s: %v, %v", in, got, err)
		}
	}
}

// FuzzDecode: whatever decodes is written and read again without a change, and
// whatever does not is no panic.
func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"batchId":24,"creationDate":"2020-12-10T16:35:32.805+0000","active":"true","generatorParametersValues":{"a":[1]}}`))
	f.Add([]byte(`{"organizationId":7,"authorities":[{"id":1,"profileId":"2"}],"organizationParameters":{"a":1}}`))
	f.Add([]byte(`{"totalCount":"3","items":[{"deviceId":7}]}`))
	f.Add([]byte(`[{"name":"x","value":{"y":1},"scopes":["CSR",7]}]`))
	f.Fuzz(func(t *testing.T, in []byte) {
		for _, v := range []any{&Batch{}, &Organization{}, &Found{}, &[]ProfileParam{}, &Processing{}, new(int64), &map[string]string{}} {
			if decode(in, v) != nil {
				continue
			}
			out, err := json.Marshal(v)
			if err != nil {
				t.Fatalf("%T: %v", v, err)
			}
			again := reflect.New(reflect.TypeOf(v).Elem()).Interface()
			if err := decode(out, again); err != nil {
				t.Fatalf("%T: what was written cannot be read: %v", v, err)
			}
			twice, err := json.Marshal(again)
			if err != nil || !bytes.Equal(out, twice) {
				t.Errorf("%T: %s became %s, %v", v, out, twice, err)
			}
		}
	})
}

func TestStatuses(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]Status{
		"CREATED": StatusCreated, "Pending Creation": StatusCreated, "PROCESSING": StatusProcessing, " Processing ": StatusProcessing, "Pending Issue": StatusProcessing,
		"READY_FOR_DOWNLOAD": StatusReady, "Ready for download": StatusReady, "Ready for Download": StatusReady, "ready-for-download": StatusReady,
		"COLLECTED": StatusCollected, "Batch Issued Partly": StatusPartial, "FAILED": StatusFailed, "Aborted": StatusFailed, "Broken": StatusBroken,
		"Not Acceptable. Status: BROKEN": StatusBroken, "NOT_ACCEPTABLE": StatusUnknown, "Not Acceptable. Status: REMOVED_AFTER_EXPIRATION": StatusExpired,
		"Not Acceptable. Status: something": StatusUnknown, "Processing Reject": StatusRejecting, "REJECTED": StatusRejected,
		"Zip removed after expiration": StatusExpired, "REVOKED": StatusRevoked, "Processing Revoke": StatusRevoking, "Revocation Error": StatusRevokeError,
		"": StatusUnknown, "completed": StatusUnknown, "!!!": StatusUnknown,
	} {
		if got := ParseStatus(in); got != want {
			t.Errorf("%q is %s, want %s", in, got, want)
		}
	}
	for _, s := range []Status{StatusUnknown, StatusProcessing, StatusCreated, StatusRejecting, StatusRevoking} {
		if s.Terminal() || s.Downloadable() {
			t.Errorf("%s is an end, or can be downloaded", s)
		}
	}
}

// FuzzStatus: our own spelling of a status is read as that status.
func FuzzStatus(f *testing.F) {
	f.Add("Not Acceptable. Status: BROKEN")
	f.Add("Ready for download")
	f.Fuzz(func(t *testing.T, in string) {
		s := ParseStatus(in)
		if s != StatusUnknown && ParseStatus(string(s)) != s {
			t.Errorf("%q is %s, and %s is %s", in, s, s, ParseStatus(string(s)))
		}
		if got := ParseStatus("not acceptable status " + in); s != StatusUnknown && !strings.HasPrefix(normalize(in), "NOT_ACCEPTABLE") && !strings.HasPrefix(normalize(in), "STATUS") && got != s {
			t.Errorf("%q is %s, and in a sentence %s", in, s, got)
		}
	})
}

// FuzzTokens: what a token says is read or refused, never trusted beyond
// bounds.
func FuzzTokens(f *testing.F) {
	f.Add("eyJhbGciOiJIUzUxMiJ9.eyJzdWIiOiIvYWNjb3VudC80Mi91c2VyLzEwIiwiaWF0IjoxLCJleHAiOjkwMX0.c2ln", "")
	f.Add("a.e30.c", "a.e30.c")
	f.Add("..", "x")
	f.Fuzz(func(t *testing.T, access, refresh string) {
		got, err := readTokens(access, refresh, tokens{})
		if err != nil {
			return
		}
		if got.ExpiresAt.IsZero() || got.IssuedAt.IsZero() || string(got.Access.Reveal()) != access || string(got.Refresh.Reveal()) != refresh {
			t.Errorf("read %+v", got)
		}
		if got.usable(got.ExpiresAt) || (refresh != "" && got.refreshable(got.RefreshBy)) {
			t.Error("a token works when it has ended")
		}
	})
}

func TestReasons(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]int{
		"": 0, "unspecified": 0, "0": 0, "keycompromise": 1, "keyCompromise": 1, "key-compromise": 1, "KEY_COMPROMISE": 1, "ca compromise": 2, "cACompromise": 2,
		"affiliation\tchanged": 3, "superseded": 4, "4": 4, "cessation of operation": 5, "certificate hold": 6, "remove from crl": 8, "privilegeWithdrawn": 9, "aa compromise": 10, "10": 10,
	} {
		if got, err := ParseReason(in); err != nil || int(got) != want {
			t.Errorf("%q is %d, %v", in, got, err)
		}
	}
	for _, in := range []string{"7", "value 7 is not used", "11", "-1", "compromise", "00"} {
		if got, err := ParseReason(in); err == nil || !strings.Contains(err.Error(), "keyCompromise") {
			t.Errorf("%q is %d, %v", in, got, err)
		}
	}
	for _, r := range reasons {
		for _, text := range []string{ReasonName(r.code), ReasonText(r.code)} {
			if got, err := ParseReason(text); err != nil || got != r.code {
				t.Errorf("%q is %d, %v", text, got, err)
			}
		}
	}
}

func TestSerials(t *testing.T) {
	t.Parallel()
	for _, in := range []string{"0ABC", "abc", "0xABC", "0a:bc", " ABC "} {
		n, err := ParseSerial(in)
		if err != nil || n.Int64() != 0xABC || FormatSerial(n) != "0ABC" || !SameSerial(in, n) {
			t.Errorf("%q: %v, %v", in, n, err)
		}
	}
	for _, in := range []string{"", "0", "00", "xyz", "-1", "+1", "1 2", strings.Repeat("a", 41), "0x"} {
		if n, err := ParseSerial(in); err == nil {
			t.Errorf("%q is %v", in, n)
		}
	}
}

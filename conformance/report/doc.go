// Report writes docs/conformance.md: what the standards ask of an ACME server, row
// by row, and what shows that this one does it.
//
//	go run ./conformance/report             write the document
//	go run ./conformance/report -run        run the black-box suite first
//	go run ./conformance/report -check      write nothing; fail when it is out of date
//	go run ./conformance/report -prune      remove the reasons that no longer hold
//
// -results FILE takes the output of an earlier run instead of running again:
//
//	go test -json -run TestConformance ./acme/server >out.json
//	go run ./conformance/report -check -results out.json
//
// # Where it looks
//
//	requirements.txt   what is asked, one row each
//	conformance/acmetest, results.txt    black-box cases, and how the last run ended
//	*_test.go, testdata/script           tests that cite a row
//	all other Go files                   code that cites a row
//	standards.txt      which standards have which sections, for links from elsewhere
//	reasons.txt        why a row has nothing to show
//
// A row is cited as R8555-6.2-5 in a comment, a string or a name of a sub-test, and
// a list may be short: R8555-7.4F-7, -8 or R8555-7.3.4-2 to -8. A citation in a test
// belongs to that test; one in a helper or a table belongs to the tests that use it,
// as long as they are few: a harness that everybody uses shows nothing in particular.
//
// # What it refuses
//
// A row with neither proof nor reason; a reason for a row that has proof; an id that
// is no row, cited anywhere; a case without a result, and a result without a case.
// So a feature that gets its tests needs its reason removed, in the same change.
//
// The document depends on nothing but these files: no times, no machines.
package main

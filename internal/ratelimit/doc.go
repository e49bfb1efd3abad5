// Package ratelimit says whether something may be done now, and otherwise when.
//
// A limit is a rate: so many at a time, and as many again in a period, evenly
// spread. For each key (an address, an account) it works like a bucket that
// holds Count tokens and gets one back every Per/Count. It is kept as one
// number, the time at which the bucket will be full again (GCRA): taking a
// token moves that time on, and a request passes as long as it does not get
// further away than a whole period. So within any window of length w no key
// gets more than Count + w*Count/Per, and the time at which a refused request
// would pass is known exactly (R8555-6.6-2).
//
// A Table keeps the buckets of any number of limits in memory of a fixed size
// (SL-41). A bucket that is full again says nothing, and its place is free for
// the next key; nothing else is ever pushed out, so whoever brings a million
// addresses cannot make the table forget what one of them did. While there is
// no free place, newcomers of a limit share one bucket that is a hundred times
// as large: they are slowed down together, and those that are known are not.
//
// Nothing here survives a restart. Limits that have to are counted from the
// records (open orders, live certificates, certificates of a set of names).
//
// Why not golang.org/x/time/rate: it is one bucket without keys, so a map of
// them with locks, eviction and bounds would be all of the work; a bucket there
// is 80 bytes and an allocation, here it is 16 bytes in place.
package ratelimit

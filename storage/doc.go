// Package storage is the contract between the engine and whatever keeps its
// records: three verbs over transactions of small tables.
//
// What an implementation owes:
//
//   - Transactions are serializable: the outcome is that of some order in which
//     they ran one at a time. View sees one consistent state.
//   - When Update returns nil, everything its function wrote survives a power
//     cut. When it returns the function's error, nothing of it was written and
//     no neighbour was harmed.
//   - Any other error of Update, one for which errors.Is(err, ErrUnknown) holds,
//     means that nobody knows: the write may be there after a restart or not.
//     The store refuses everything from then on with ErrClosed (SS-4) and the
//     process should end and let recovery decide.
//   - The function given to Update may run again, so it does no I/O, keeps no
//     state outside of its transaction, and assigns its results rather than
//     accumulating them.
//   - Records handed out belong to the caller; records handed in are copied or
//     encoded before the call returns. Nothing is shared.
//   - A record that cannot be trusted (checksum, unknown version) is
//     ErrDamaged: never served, never half decoded (SS-9).
//   - A Tx is used by one goroutine and ends with its function. The function
//     calls neither View nor Update: a store may run one of them at a time.
//   - Times come back in UTC, exact to the nanosecond. An empty slice may come
//     back as nil.
//
// Nothing here scans all records: every list goes by an index and by pages.
package storage

package bolt

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"go.etcd.io/bbolt"
	bbolterrors "go.etcd.io/bbolt/errors"

	"acmebridge/storage"
)

// Config says where the file is. Only Path is needed.
type Config struct {
	// Path is the file. Its directory exists; the file is made when it does not.
	Path string
	// MaxBatch bounds the updates of one commit; 256 when it is not positive.
	MaxBatch int
	// MaxSize bounds the file in bytes, so that it cannot take the disk from
	// everything else; 64 GiB when it is not positive.
	MaxSize int64
	// AllowNetworkFS opens a file on a network file system all the same. Locks
	// and syncs there may not mean what they say (SS-7).
	AllowNetworkFS bool
	// OnUnknown is called, once, when a commit failed and nobody knows whether
	// it happened. The process should end then (SS-4). It must not wait for
	// the store.
	OnUnknown func(error)

	// openFile and noSync are for tests of what a crash leaves behind, foldAt
	// for tests of what happens when the indexes are folded.
	openFile func(string, int, os.FileMode) (*os.File, error)
	noSync   bool
	foldAt   int
}

const (
	lockTimeout = time.Second
	growBy      = 4 << 20
	// mapped is how much address space the file gets from the start. Growing
	// past it waits for every View; address space costs nothing.
	mapped = 1 << 30
)

// The buckets, and how full their pages are made: to the brim where keys only
// ever come at the end, and with room where they come anywhere.
var (
	bucketRecords = []byte("records")
	bucketOrders  = []byte("orders")
	bucketIndexes = []byte("indexes")
	bucketLog     = []byte("log")
	bucketFile    = []byte("file")
)

const (
	appended  = 0.95
	growing   = 0.6
	scattered = 0.7
)

// Store is an open file. Make one with Open.
type Store struct {
	db        *bbolt.DB
	path      string
	maxBatch  int
	foldAt    int
	onUnknown func(error)
	instance  Instance

	queue   chan *request
	closing chan struct{} // closed by Close
	ended   chan struct{} // closed when the writer has ended

	mu        sync.Mutex
	known     *sync.Cond // on mu: durable or failed has changed
	durable   version    // what the disk has confirmed
	upcoming  version    // what is being committed
	failed    error      // why nothing is known any more
	closeOnce sync.Once
	closeErr  error
}

var _ storage.Store = (*Store)(nil)

// version is a state of the indexes and the transaction that it belongs to.
type version struct {
	txid  int
	state state
}

// Open opens the file, making it first when there is none. It starts the
// writer, which Close ends.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	if cfg.Path == "" {
		return nil, errors.New("storage/bolt: no path given for the database file")
	}
	path, err := filepath.Abs(cfg.Path)
	if err != nil {
		return nil, fmt.Errorf("storage/bolt: %w", err)
	}
	cfg.Path = path
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := localFS(filepath.Dir(path), cfg.AllowNetworkFS); err != nil {
		return nil, err
	}
	if err := create(cfg); err != nil {
		return nil, fmt.Errorf("storage/bolt: create %s: %w", path, err)
	}
	db, err := openDB(cfg, path)
	if err != nil {
		return nil, err
	}
	s := &Store{
		db: db, path: path, maxBatch: cfg.MaxBatch, foldAt: cfg.foldAt, onUnknown: cfg.OnUnknown,
		queue: make(chan *request, 1024), closing: make(chan struct{}), ended: make(chan struct{}),
	}
	s.known = sync.NewCond(&s.mu)
	if s.maxBatch <= 0 {
		s.maxBatch = 256
	}
	if s.foldAt <= 0 {
		s.foldAt = foldAt
	}
	if err := s.start(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("storage/bolt: open %s: %w", path, err), db.Close())
	}
	go s.write()
	return s, nil
}

// start brings an open file up to date and reads what the store keeps in
// memory.
func (s *Store) start(ctx context.Context) error {
	if err := migrate(ctx, s.db, s.path, migrations); err != nil {
		return err
	}
	if err := sweep(s.path); err != nil {
		return err
	}
	var err error
	if s.instance, err = boot(s.db); err != nil {
		return err
	}
	return s.db.View(func(tx *bbolt.Tx) error {
		now, err := readState(tx)
		s.durable = version{tx.ID(), now}
		s.upcoming = s.durable
		return err
	})
}

// openDB opens the file with the settings that SS-5 asks for: every commit is
// synced, and the list of free pages with it.
func openDB(cfg Config, path string) (*bbolt.DB, error) {
	if err := notEmpty(path); err != nil {
		return nil, err
	}
	maxSize := cfg.MaxSize
	if maxSize <= 0 {
		maxSize = 64 << 30
	}
	initial := 0
	if strconv.IntSize == 64 {
		initial = mapped
	}
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{
		Timeout: lockTimeout, FreelistType: bbolt.FreelistMapType, InitialMmapSize: initial, MaxSize: int(min(maxSize, int64(^uint(0)>>1))),
		NoSync: cfg.noSync, NoGrowSync: cfg.noSync, OpenFile: cfg.openFile,
	})
	if err != nil {
		return nil, openError(path, err)
	}
	db.AllocSize = growBy
	return db, nil
}

// notEmpty refuses a file that bbolt would take for one to be made: in place,
// without the care of create.
func notEmpty(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("storage/bolt: %w", err)
	}
	if info.Size() == 0 {
		return fmt.Errorf("%w: %s is empty, so it never was a database or lost its contents; restore a backup, or remove it to begin anew", storage.ErrDamaged, path)
	}
	return nil
}

// openError says what a person can do about a file that bbolt does not open.
func openError(path string, err error) error {
	switch {
	case errors.Is(err, bbolterrors.ErrTimeout):
		return fmt.Errorf("%w: another acmebridge has %s open; stop it, or use the commands that talk to it", storage.ErrLocked, path)
	case errors.Is(err, bbolterrors.ErrInvalid), errors.Is(err, bbolterrors.ErrChecksum), errors.Is(err, bbolterrors.ErrVersionMismatch):
		return fmt.Errorf("%w: %s is not a database of acmebridge, or is damaged (%w); restore a backup", storage.ErrDamaged, path, err)
	}
	return fmt.Errorf("storage/bolt: open %s: %w", path, err)
}

// View runs fn over what is committed now.
func (s *Store) View(ctx context.Context, fn func(storage.Tx) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	btx, now, err := s.read()
	if err != nil {
		return err
	}
	t := begin(btx, now, false)
	defer func() {
		t.ended = true
		_ = btx.Rollback() // ends a transaction that wrote nothing
	}()
	return fn(t)
}

// read begins a transaction and returns it with the state that belongs to it.
func (s *Store) read() (*bbolt.Tx, state, error) {
	for {
		btx, err := s.db.Begin(false)
		if err != nil {
			return nil, state{}, s.refusal(err)
		}
		now, err := s.stateAt(btx.ID())
		if err == nil {
			return btx, now, nil
		}
		_ = btx.Rollback()
		if !errors.Is(err, errPassed) {
			return nil, state{}, err
		}
	}
}

var errPassed = errors.New("storage/bolt: two commits happened since the transaction began")

// stateAt returns the state of a transaction. bbolt shows a commit as soon as
// it is written; whoever acts on it must not be ahead of the disk, so stateAt
// waits until the disk has it.
func (s *Store) stateAt(txid int) (state, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.failed == nil && txid == s.upcoming.txid && txid != s.durable.txid {
		s.known.Wait()
	}
	switch {
	case s.failed != nil:
		return state{}, s.failed
	case txid == s.durable.txid:
		return s.durable.state, nil
	}
	return state{}, errPassed
}

// refusal turns an error of bbolt about a file that is closed into ours.
func (s *Store) refusal(err error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.failed != nil:
		return s.failed
	case errors.Is(err, bbolterrors.ErrDatabaseNotOpen):
		return storage.ErrClosed
	}
	return fmt.Errorf("storage/bolt: begin a transaction: %w", err)
}

// Instance tells this file and this run of the program from all others.
type Instance struct {
	// ID was drawn when the file was made; a restored backup has the same.
	ID string
	// Boots counts how often the file was opened for writing. A store that
	// comes back with a lower count than was seen before is an old copy (SS-20).
	Boots uint64
}

// Instance returns what was found, and counted, on opening.
func (s *Store) Instance() Instance { return s.instance }

// Close lets the commit that is under way finish, refuses what waits behind
// it, waits for the views that run, and closes the file.
func (s *Store) Close() error {
	first := false
	s.closeOnce.Do(func() {
		first = true
		close(s.closing)
		<-s.ended
		if err := s.db.Close(); err != nil {
			s.closeErr = fmt.Errorf("storage/bolt: close %s: %w", s.path, err)
		}
	})
	if !first {
		return storage.ErrClosed
	}
	return s.closeErr
}

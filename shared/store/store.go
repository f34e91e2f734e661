// Package store keeps every row in SQL: Postgres, or SQLite inside the process.
// It is the home of bun and of both drivers, and the only room that knows which
// database is behind it.
//
// SQL is the only truth of the system. All moments are milliseconds since 1970
// by the clock of the database, so that no two clocks are ever compared. Every
// write of a resource compares the row's revision, every write of a run compares
// the run's epoch: what lost its right to write changes nothing.
package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect/pgdialect"
	"github.com/uptrace/bun/dialect/sqlitedialect"
	"modernc.org/sqlite"

	"github.com/cattleio/cattle/shared/seal"
)

// Errors that callers branch on.
var (
	ErrNotFound  = errors.New("no such row")
	ErrConflict  = errors.New("the row was changed by somebody else")
	ErrFenced    = errors.New("another run has taken this process over")
	ErrNotUnique = errors.New("a row with that value exists")
)

// Store is a connection pool to one database.
type Store struct {
	db      *bun.DB       // writes on SQLite, and migrations
	readers *bun.DB       // reads that inform
	pool    *pgxpool.Pool // transactions on Postgres, nil on SQLite
	texts   sync.Map      // query with ? to query with $n
	blocks  sync.Map      // table to *block
	clock   clock
	likely  likely
	known   *known
	commits atomic.Int64
	trips   atomic.Int64
	keys    *seal.Ring // nil keeps secrets as they are
	// Seam is asked before a transaction begins, before it commits and after it
	// has. An error at a seam is the death of this server there: tests find all
	// seams by it and die at each. nil goes on.
	Seam func(s Seam, label string) error
	// Left is told of each state that a resource has left, once that is durable, and
	// how long it was in it. nil tells nobody.
	Left func(typ, state string, after time.Duration)
	// Moved is told of each state that a launch has set which no process asked for, once
	// that is durable: runs tell of their own. It must not block; nil tells nobody.
	Moved func(typ string, id, account int64, from, to string)
}

// Seam is a point in the life of a transaction.
type Seam int

// The seams.
const (
	Beginning Seam = iota
	Committing
	Committed
)

func (s *Store) seam(at Seam, label string) error {
	if s.Seam == nil {
		return nil
	}
	return s.Seam(at, label)
}

// Open connects to the database at address: postgres://…, or a file for SQLite.
// With schema not empty, Postgres uses that schema alone. Options of the address
// reach the driver.
func Open(ctx context.Context, address string) (*Store, error) {
	if strings.HasPrefix(address, "postgres://") || strings.HasPrefix(address, "postgresql://") {
		return openPostgres(ctx, address)
	}
	return openSQLite(ctx, strings.TrimPrefix(address, "sqlite://"))
}

// openPostgres opens two pools: one for our own texts, which are prepared once for
// each connection, and a small one for bun, which writes values into its texts.
func openPostgres(ctx context.Context, address string) (*Store, error) {
	size, address, err := poolSize(address)
	if err != nil {
		return nil, err
	}
	cfg, err := pgxpool.ParseConfig(address)
	if err != nil {
		return nil, fmt.Errorf("cannot read the database address: %w", err)
	}
	// Our texts are few and each has one good plan: the server need not look for another.
	cfg.ConnConfig.RuntimeParams["plan_cache_mode"] = "force_generic_plan"
	if params := cfg.ConnConfig.RuntimeParams; params[idleLimit] == "" {
		params[idleLimit] = "5s"
	}
	listing := max(size/4, 2)
	cfg.MaxConns = int32(max(size-listing, 2))
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("cannot use the database address: %w", err)
	}
	plain := cfg.ConnConfig.Copy()
	plain.DefaultQueryExecMode = pgx.QueryExecModeExec
	db := stdlib.OpenDB(*plain)
	db.SetMaxOpenConns(listing)
	db.SetMaxIdleConns(listing)
	b := bun.NewDB(db, pgdialect.New())
	s := &Store{db: b, readers: b, pool: pool, known: newKnown()}
	if err := s.Ping(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("cannot reach the database: %w", err), s.Close())
	}
	return s, nil
}

// idleLimit is the setting of Postgres that ends a session whose client says nothing in
// the middle of a transaction. A server that stands still would otherwise keep what it
// has locked from all others, for as long as its connection lives. It is shorter than
// a lease: who takes a process over finds its rows free.
const idleLimit = "idle_in_transaction_session_timeout"

// poolSize takes pool_max_conns out of the address; the default is 40.
func poolSize(address string) (int, string, error) {
	u, err := url.Parse(address)
	if err != nil {
		return 0, "", fmt.Errorf("cannot read the database address: %w", err)
	}
	q := u.Query()
	n, _ := strconv.Atoi(q.Get("pool_max_conns"))
	if n <= 0 {
		n = 40
	}
	q.Del("pool_max_conns")
	u.RawQuery = q.Encode()
	return n, u.String(), nil
}

func openSQLite(ctx context.Context, file string) (*Store, error) {
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return nil, fmt.Errorf("cannot make the folder of the database: %w", err)
	}
	// Patterns mean the same as on Postgres.
	const pragmas = "?_pragma=journal_mode(WAL)&_pragma=busy_timeout(5000)&_pragma=synchronous(%s)&_pragma=foreign_keys(OFF)&_pragma=case_sensitive_like(ON)&_txlock=%s"
	open := func(sync, lock string, conns int) (*bun.DB, error) {
		db, err := sql.Open("sqlite", "file:"+file+fmt.Sprintf(pragmas, sync, lock))
		if err != nil {
			return nil, err
		}
		db.SetMaxOpenConns(conns)
		db.SetMaxIdleConns(conns)
		db.SetConnMaxLifetime(0)
		return bun.NewDB(db, sqlitedialect.New()), db.PingContext(ctx)
	}
	// A commit must survive the loss of power: NORMAL would forget the last ones.
	writer, err := open("FULL", "immediate", 1)
	if err != nil {
		return nil, fmt.Errorf("cannot open the database: %w", err)
	}
	readers, err := open("NORMAL", "deferred", max(4, runtime.NumCPU()))
	if err != nil {
		return nil, fmt.Errorf("cannot open the database: %w", err)
	}
	return &Store{db: writer, readers: readers, known: newKnown()}, nil
}

// Close ends all connections.
func (s *Store) Close() error {
	err := s.db.Close()
	if s.readers != s.db {
		err = errors.Join(err, s.readers.Close())
	}
	if s.pool != nil {
		s.pool.Close()
	}
	return err
}

// Postgres tells whether the database is Postgres.
func (s *Store) Postgres() bool { return s.pool != nil }

// Ping tells whether the database answers.
func (s *Store) Ping(ctx context.Context) error {
	if s.pool != nil {
		return s.pool.Ping(ctx)
	}
	return s.db.PingContext(ctx)
}

// Commits counts the transactions committed so far, single statements included.
func (s *Store) Commits() int64 { return s.commits.Load() }

// Trips counts how often transactions have waited for an answer of Postgres so far.
func (s *Store) Trips() int64 { return s.trips.Load() }

// now is the clock of the database in milliseconds, as an SQL expression.
func (s *Store) now() string {
	if s.Postgres() {
		return "(extract(epoch from clock_timestamp())*1000)::bigint"
	}
	return "cast(unixepoch('subsec')*1000 as integer)"
}

// Now reads the clock of the database.
func (s *Store) Now(ctx context.Context) (int64, error) {
	var n int64
	r, err := s.query(ctx, "select "+s.now())
	if err = single(r, err, &n); err == nil {
		s.clock.learn(n)
	}
	return n, err
}

// bind writes the placeholders of a query the way the database wants them.
func (s *Store) bind(query string) string {
	if !s.Postgres() {
		return query
	}
	if t, ok := s.texts.Load(query); ok {
		return t.(string)
	}
	var b strings.Builder
	n := 0
	for _, r := range query {
		if r == '?' {
			n++
			b.WriteString("$" + strconv.Itoa(n))
			continue
		}
		b.WriteRune(r)
	}
	s.texts.Store(query, b.String())
	return b.String()
}

// query reads committed rows.
func (s *Store) query(ctx context.Context, query string, args ...any) (rows, error) {
	if s.pool == nil {
		return lite(s.readers.DB.QueryContext(ctx, query, args...))
	}
	r, err := s.pool.Query(ctx, s.bind(query), args...)
	if err != nil {
		return nil, err
	}
	return pgRows{r}, nil
}

// lite keeps a failed result of database/sql from looking like one.
func lite(r *sql.Rows, err error) (rows, error) {
	if err != nil {
		return nil, err
	}
	return r, nil
}

// Tx is one transaction.
type Tx struct {
	lite  *sql.Tx   // on SQLite
	pipe  *pipeline // on Postgres
	s     *Store
	Label string // what it is for, told to the seam
	after []func()
	again bool   // it may be tried again, with the same rows
	kept  []kept // as they were, then
}

// Begin opens a transaction. The caller commits it or rolls it back, soon: SQLite
// has one writer.
func (s *Store) Begin(ctx context.Context, label string) (*Tx, error) {
	if err := s.seam(Beginning, label); err != nil {
		return nil, err
	}
	if s.pool != nil {
		return &Tx{pipe: &pipeline{pool: s.pool, trips: &s.trips}, s: s, Label: label}, nil
	}
	tx, err := s.db.DB.BeginTx(ctx, nil)
	if err != nil {
		return nil, err
	}
	return &Tx{lite: tx, s: s, Label: label}, nil
}

// Commit makes the writes durable and then does what waits for that. On Postgres it
// may be here that a statement before it turns out to have failed.
func (t *Tx) Commit(ctx context.Context) error {
	if err := t.s.seam(Committing, t.Label); err != nil {
		t.Rollback()
		return err
	}
	if err := t.commit(ctx); err != nil {
		return err
	}
	t.s.commits.Add(1)
	if err := t.s.seam(Committed, t.Label); err != nil {
		return err
	}
	for _, f := range t.after {
		f()
	}
	return nil
}

func (t *Tx) commit(ctx context.Context) error {
	if t.pipe != nil {
		return t.pipe.commit(ctx)
	}
	return t.lite.Commit()
}

// Rollback forgets everything. It may be called after Commit.
func (t *Tx) Rollback() {
	if t.pipe != nil {
		t.pipe.rollback()
		return
	}
	_ = t.lite.Rollback()
}

// After does f once the transaction is durable, never before.
func (t *Tx) After(f func()) { t.after = append(t.after, f) }

// Write runs f in a transaction and tries again what the database refused for a
// reason that passes: serialisation, deadlock, a busy file, a lost connection
// before the commit.
func (s *Store) Write(ctx context.Context, label string, f func(*Tx) error) error {
	for try := 0; ; try++ {
		err := s.once(ctx, label, f)
		if err == nil || try == 5 || !Passing(err) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Duration(1<<try) * 5 * time.Millisecond):
		}
	}
}

func (s *Store) once(ctx context.Context, label string, f func(*Tx) error) error {
	t, err := s.Begin(ctx, label)
	if err != nil {
		return err
	}
	defer t.Rollback()
	t.again = true
	if err = f(t); err == nil {
		err = t.Commit(ctx)
	}
	if err != nil {
		t.restore()
	}
	return err
}

// Passing tells whether the database may well accept the same transaction later.
func Passing(err error) bool {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Code == "40001" || pg.Code == "40P01" || pg.Code == "55P03" || pg.Code == "25P03" || strings.HasPrefix(pg.Code, "57P")
	}
	var lite *sqlite.Error
	if errors.As(err, &lite) {
		return lite.Code()&0xff == 5 || lite.Code()&0xff == 6
	}
	return pgconn.SafeToRetry(err)
}

// notUnique translates the databases' refusal of a second equal value.
func notUnique(err error) error {
	var pg *pgconn.PgError
	var lite *sqlite.Error
	if errors.As(err, &pg) && pg.Code == "23505" || errors.As(err, &lite) && (lite.Code() == 2067 || lite.Code() == 1555) {
		return fmt.Errorf("%w: %v", ErrNotUnique, err)
	}
	return err
}

// exec runs a statement now and tells how many rows it hit.
func (t *Tx) exec(ctx context.Context, query string, args ...any) (int64, error) {
	if t.pipe != nil {
		return t.pipe.exec(ctx, t.s.bind(query), args)
	}
	r, err := t.lite.ExecContext(ctx, query, args...)
	if err != nil {
		return 0, notUnique(err)
	}
	return r.RowsAffected()
}

// later runs a statement before the commit, at the latest with it.
func (t *Tx) later(ctx context.Context, query string, args ...any) error {
	if t.pipe == nil {
		_, err := t.exec(ctx, query, args...)
		return err
	}
	t.pipe.waiting = append(t.pipe.waiting, statement{query: t.s.bind(query), args: args})
	return nil
}

// must is later for an update that has to hit a row. If it hits none the transaction
// does not commit: miss is answered then, here or by what comes after it.
func (t *Tx) must(ctx context.Context, miss error, update string, args ...any) error {
	if t.pipe == nil {
		n, err := t.exec(ctx, update, args...)
		if err == nil && n == 0 {
			err = miss
		}
		return err
	}
	t.pipe.waiting = append(t.pipe.waiting, statement{query: t.s.bind(hitting(update)), args: args, miss: miss})
	return nil
}

// Settle runs what waits, so that its ids and its errors are known.
func (t *Tx) Settle(ctx context.Context) error {
	if t.pipe == nil || len(t.pipe.waiting) == 0 {
		return nil
	}
	answers, err := t.pipe.send(ctx)
	if err != nil {
		return err
	}
	return answers.Close()
}

func (t *Tx) query(ctx context.Context, query string, args ...any) (rows, error) {
	if t.pipe != nil {
		return t.pipe.query(ctx, t.s.bind(query), args)
	}
	return lite(t.lite.QueryContext(ctx, query, args...))
}

// one reads the only row of a result, or answers ErrNotFound.
func (t *Tx) one(ctx context.Context, query string, args []any, into ...any) error {
	r, err := t.query(ctx, query, args...)
	return single(r, err, into...)
}

func single(r rows, err error, into ...any) error {
	if err != nil {
		return notUnique(err)
	}
	defer r.Close()
	if !r.Next() {
		if err := r.Err(); err != nil {
			return notUnique(err)
		}
		return ErrNotFound
	}
	if err := r.Scan(into...); err != nil {
		return err
	}
	r.Next() // an error may come behind the row
	return notUnique(errors.Join(r.Err(), r.Close()))
}

// Now reads the clock of the database.
func (t *Tx) Now(ctx context.Context) (int64, error) {
	var n int64
	err := t.one(ctx, "select "+t.s.now(), nil, &n)
	return n, err
}

func isNotUnique(err error) bool { return errors.Is(err, ErrNotUnique) }

// Lock serialises transactions on a number until they end. SQLite has one writer
// and needs none.
func (t *Tx) Lock(ctx context.Context, n int64) error {
	if t.pipe == nil {
		return nil
	}
	_, err := t.exec(ctx, "select pg_advisory_xact_lock(?)", n)
	return err
}

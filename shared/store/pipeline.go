package store

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// pipeline is a transaction on Postgres. A statement whose result nobody waits for
// travels with the next one that is waited for, or with the commit: what a
// transaction costs is above all its trips to the server.
//
// A statement that must hit a row divides by the number of rows that it has hit, so
// that the server itself refuses the commit behind it.
type pipeline struct {
	pool    *pgxpool.Pool
	conn    *pgxpool.Conn // from the first trip on
	waiting []statement
	trips   *atomic.Int64
}

// statement is one that has not been sent.
type statement struct {
	query string
	args  []any
	miss  error               // what it means that it hit no row; nil if it may
	into  func(pgx.Row) error // takes its row, nil if it has none
	hit   *int64              // is told how many rows it hit
}

// divisionByZero is what the server says of a statement that had to hit a row.
const divisionByZero = "22012"

// hitting makes a statement fail when it hits no row.
func hitting(update string) string {
	return "with hit as (" + update + " returning 1) select 1/count(*) from hit"
}

// send makes one trip with all that waits, and with one more statement whose rows
// the caller reads from the answer and closes.
func (p *pipeline) send(ctx context.Context, more ...statement) (pgx.BatchResults, error) {
	batch := &pgx.Batch{}
	if p.conn == nil {
		conn, err := p.pool.Acquire(ctx)
		if err != nil {
			return nil, err
		}
		p.conn = conn
		batch.Queue("begin")
	}
	begun := batch.Len() == 0
	waiting := p.waiting
	p.waiting = nil
	for _, s := range waiting {
		batch.Queue(s.query, s.args...)
	}
	for _, s := range more {
		batch.Queue(s.query, s.args...)
	}
	p.trips.Add(1)
	answers := p.conn.SendBatch(ctx, batch)
	if !begun {
		if _, err := answers.Exec(); err != nil {
			return nil, errors.Join(err, answers.Close())
		}
	}
	for _, s := range waiting {
		if err := s.take(answers); err != nil {
			_ = answers.Close()
			return nil, err
		}
	}
	return answers, nil
}

func (s statement) take(answers pgx.BatchResults) error {
	var err error
	if s.into != nil {
		err = s.into(answers.QueryRow())
	} else {
		var tag pgconn.CommandTag
		tag, err = answers.Exec()
		if s.hit != nil {
			*s.hit = tag.RowsAffected()
		}
	}
	var pg *pgconn.PgError
	if s.miss != nil && errors.As(err, &pg) && pg.Code == divisionByZero {
		return s.miss
	}
	return notUnique(err)
}

func (p *pipeline) exec(ctx context.Context, query string, args []any) (int64, error) {
	answers, err := p.send(ctx, statement{query: query, args: args})
	if err != nil {
		return 0, err
	}
	tag, err := answers.Exec()
	if err := errors.Join(err, answers.Close()); err != nil {
		return 0, notUnique(err)
	}
	return tag.RowsAffected(), nil
}

func (p *pipeline) query(ctx context.Context, query string, args []any) (rows, error) {
	answers, err := p.send(ctx, statement{query: query, args: args})
	if err != nil {
		return nil, err
	}
	r, err := answers.Query()
	if err != nil {
		return nil, errors.Join(notUnique(err), answers.Close())
	}
	return &answered{r, answers}, nil
}

// commit makes one trip with all that waits and the commit.
func (p *pipeline) commit(ctx context.Context) error {
	if p.conn == nil && len(p.waiting) == 0 {
		return nil
	}
	answers, err := p.send(ctx, statement{query: "commit"})
	if err != nil {
		p.rollback()
		return unsure(err)
	}
	tag, err := answers.Exec()
	if err == nil && tag.String() == "COMMIT" {
		_ = answers.Close() // it is durable, whatever becomes of the connection
		p.release()
		return nil
	}
	err = errors.Join(err, answers.Close())
	if err == nil {
		err = errors.New("the database did not commit: " + tag.String())
	}
	p.rollback()
	return unsure(err)
}

func (p *pipeline) rollback() {
	p.waiting = nil
	if p.conn == nil {
		return
	}
	if p.conn.Conn().PgConn().TxStatus() != 'I' && !p.conn.Conn().IsClosed() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_, _ = p.conn.Exec(ctx, "rollback") // a connection that cannot is closed by its pool
	}
	p.release()
}

func (p *pipeline) release() {
	p.conn.Release()
	p.conn = nil
	p.pool = nil
}

// rows is a result that is being read.
type rows interface {
	Next() bool
	Scan(into ...any) error
	Err() error
	Close() error
}

// answered is a result of a trip; the trip ends with it.
type answered struct {
	pgx.Rows
	trip pgx.BatchResults
}

func (a *answered) Close() error {
	if a.trip == nil {
		return nil
	}
	a.Rows.Close()
	err := a.trip.Close()
	a.trip = nil
	return err
}

// pgRows is a result outside of a transaction.
type pgRows struct{ pgx.Rows }

func (r pgRows) Close() error {
	r.Rows.Close()
	return nil
}

package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/cattleio/cattle/shared/resource"
	"github.com/cattleio/cattle/shared/schema"
	"github.com/cattleio/cattle/shared/seal"
)

// secretNames are the names whose values are encrypted wherever they stand in a JSON
// document: those of all declared secrets, and what people call a password.
var secretNames = sync.OnceValue(func() []string {
	names := []string{"password"}
	for _, k := range resource.All.Kinds() {
		for _, f := range k.Type.Fields() {
			if f.Secret && f.Name != "value" && !slices.Contains(names, f.Name) {
				names = append(names, f.Name)
			}
		}
	}
	slices.Sort(names)
	return names
})

// isDocument tells whether a column holds JSON that may have secrets in it.
func isDocument(f *schema.Field) bool { return f.Name == "data" || f.Name == "log" }

// stored is a value as the database gets it.
func (s *Store) stored(f *schema.Field, v any) any {
	text, ok := v.(string)
	switch {
	case !ok || text == "" || s.keys == nil:
	case f.Secret:
		return s.keys.Seal(text)
	case isDocument(f):
		return s.sealDocument(text)
	}
	return v
}

// opened is a value of the database as everybody else knows it.
func (s *Store) opened(f *schema.Field, v any) (any, error) {
	text, ok := v.(string)
	if !ok || s.keys == nil || !f.Secret && !isDocument(f) {
		return v, nil
	}
	if !f.Secret {
		return s.openDocument(text), nil
	}
	text, err := s.keys.Open(text)
	if err != nil {
		return nil, fmt.Errorf("cannot read %s: %w", f.Name, err)
	}
	return text, nil
}

func (s *Store) sealDocument(text string) string { return s.keys.SealDocument(text, secretNames()) }

func (s *Store) openDocument(text string) string {
	return s.keys.OpenDocument(text, secretNames())
}

// proof is what every key of a database has encrypted once.
const proof = "cattle"

// ErrKeys says that a server may not use a database with the keys that it has.
var ErrKeys = errors.New("the encryption keys do not fit the database")

// UseKeys encrypts secrets from now on, with the first key of the ring. It is called
// before anything is read. A database remembers which keys its secrets need: a server
// that lacks one of them, or has another of that name, is refused.
func (s *Store) UseKeys(ctx context.Context, ring *seal.Ring) error {
	rows, err := s.query(ctx, `select id, proof from encryption_key`)
	if err != nil {
		return err
	}
	defer rows.Close()
	known := map[string]bool{}
	for rows.Next() {
		var id, text string
		if err := rows.Scan(&id, &text); err != nil {
			return err
		}
		known[id] = true
		if ring == nil {
			return fmt.Errorf("%w: its secrets are encrypted with the key %s, and this server has none", ErrKeys, id)
		}
		switch opened, err := ring.Open(text); {
		case errors.Is(err, seal.ErrNoKey):
			return fmt.Errorf("%w: the key %s is missing", ErrKeys, id)
		case err != nil || opened != proof:
			return fmt.Errorf("%w: the key %s is another one", ErrKeys, id)
		}
	}
	if err := rows.Err(); err != nil || ring == nil {
		return err
	}
	s.keys = ring
	if known[ring.Newest()] {
		return nil
	}
	return s.Write(ctx, "encryption key", func(t *Tx) error {
		_, err := t.exec(ctx, `insert into encryption_key (id, proof, created) values (?, ?, `+s.now()+`) on conflict (id) do nothing`, ring.Newest(), ring.Seal(proof))
		return err
	})
}

// Seals tells whether secrets are encrypted.
func (s *Store) Seals() bool { return s.keys != nil }

// Reseal encrypts with the newest key what is plain or encrypted with an older one, a
// page at a time, once for each key; then the older keys are needed no longer. It may
// run beside everything else, and on several servers.
func (s *Store) Reseal(ctx context.Context) error {
	if s.keys == nil {
		return nil
	}
	var left int
	rows, err := s.query(ctx, `select count(*) from encryption_key where id = ? and swept is null`, s.keys.Newest())
	if err := single(rows, err, &left); err != nil || left == 0 {
		return err
	}
	if err := s.wipe(ctx, true); err != nil {
		return err
	}
	for _, c := range sealedColumns() {
		if err := s.resealColumn(ctx, c); err != nil {
			return fmt.Errorf("cannot encrypt %s of %s: %w", c.column, c.table, err)
		}
	}
	err = s.Write(ctx, "encryption key", func(t *Tx) error {
		if _, err := t.exec(ctx, `update encryption_key set swept = `+s.now()+` where id = ?`, s.keys.Newest()); err != nil {
			return err
		}
		_, err := t.exec(ctx, `delete from encryption_key where id <> ? and created < (select created from encryption_key where id = ?)`, s.keys.Newest(), s.keys.Newest())
		return err
	})
	return errors.Join(err, s.wipe(ctx, false))
}

// wipe lets SQLite overwrite what is no longer valid, and at the end forget the pages
// that held it. Postgres does so when it vacuums.
func (s *Store) wipe(ctx context.Context, on bool) error {
	if s.Postgres() {
		return nil
	}
	if on {
		_, err := s.db.ExecContext(ctx, "pragma secure_delete = on")
		return err
	}
	_, err := s.db.ExecContext(ctx, "pragma wal_checkpoint(truncate)")
	return err
}

// sealedColumn is a column that holds secrets, by itself or in documents.
type sealedColumn struct {
	table, column string
	document      bool
}

func sealedColumns() []sealedColumn {
	var out []sealedColumn
	for _, k := range resource.All.Kinds() {
		if k.Type.Parent != nil || k.Type.Table == "" {
			continue
		}
		for _, f := range k.Type.Columns() {
			if f.Secret || isDocument(f) {
				out = append(out, sealedColumn{k.Type.Table, f.Column, !f.Secret})
			}
		}
	}
	return out
}

// resealColumn walks through a table by its ids.
func (s *Store) resealColumn(ctx context.Context, c sealedColumn) error {
	const page = int64(1000)
	filter, args := "", []any{}
	if c.document {
		for _, n := range secretNames() {
			filter += " or " + quote(c.column) + " like ?"
			args = append(args, `%"`+n+`":%`)
		}
		filter = " and (" + strings.TrimPrefix(filter, " or ") + ")"
	}
	var last int64
	rows, err := s.query(ctx, "select coalesce(max(id), 0) from "+quote(c.table))
	if err := single(rows, err, &last); err != nil {
		return err
	}
	for from := int64(0); from < last; from += page {
		found, err := s.keptTexts(ctx, "select id, "+quote(c.column)+" from "+quote(c.table)+" where "+quote(c.column)+" is not null and id > ? and id <= ?"+filter,
			append([]any{from, from + page}, args...)...)
		if err != nil {
			return err
		}
		if err := s.resealRows(ctx, c, found); err != nil {
			return err
		}
	}
	return nil
}

type keptText struct {
	id   int64
	text string
}

func (s *Store) resealRows(ctx context.Context, c sealedColumn, found []keptText) error {
	var changed []keptText
	for _, k := range found {
		again, err := s.resealed(c, k.text)
		if err != nil {
			return fmt.Errorf("row %d: %w", k.id, err)
		}
		if again != k.text {
			changed = append(changed, k, keptText{k.id, again})
		}
	}
	if len(changed) == 0 {
		return nil
	}
	return s.Write(ctx, "reseal", func(t *Tx) error {
		for i := 0; i < len(changed); i += 2 { // whoever writes meanwhile has sealed it
			was, is := changed[i], changed[i+1]
			if err := t.later(ctx, "update "+quote(c.table)+" set "+quote(c.column)+" = ? where id = ? and "+quote(c.column)+" = ?", is.text, was.id, was.text); err != nil {
				return err
			}
		}
		return nil
	})
}

// resealed is a text with all its secrets under the newest key; the same text if they
// are already.
func (s *Store) resealed(c sealedColumn, text string) (string, error) {
	newest := seal.Prefix + s.keys.Newest() + "."
	if !c.document {
		if text == "" || strings.HasPrefix(text, newest) {
			return text, nil
		}
		plain, err := s.keys.Open(text)
		return s.keys.Seal(plain), err
	}
	again := s.sealDocument(s.openDocument(text))
	if strings.Count(again, newest) == strings.Count(text, newest) {
		return text, nil // each sealing differs: it is the number that tells
	}
	return again, nil
}

func (s *Store) keptTexts(ctx context.Context, query string, args ...any) ([]keptText, error) {
	rows, err := s.query(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []keptText
	for rows.Next() {
		var k keptText
		if err := rows.Scan(&k.id, &k.text); err != nil {
			return nil, err
		}
		out = append(out, k)
	}
	return out, rows.Err()
}

package store

import (
	"context"
	"strings"

	"github.com/cattleio/cattle/shared/schema"
)

// WatchPlans tells how the database goes about each query of the watch.
func (s *Store) WatchPlans(ctx context.Context, typ *schema.Type) (map[string]string, error) {
	explain := "explain "
	if !s.Postgres() {
		explain = "explain query plan "
	}
	out := map[string]string{}
	for _, q := range []struct {
		name, text string
		args       []any
	}{
		{"standings", standingsText, []any{now9, now9, now9, int64(mostCounted)}},
		{"late processes", lateText, []any{now9, int64(200)}},
		{"oldest runnable", oldestText, []any{now9, now9}},
		{"stays", stayText(typ), []any{now9, int64(0), int64(10_000)}},
	} {
		rows, err := s.query(ctx, explain+q.text, q.args...)
		if err != nil {
			return nil, err
		}
		var b strings.Builder
		for rows.Next() {
			var text string
			into := []any{&text}
			if !s.Postgres() {
				into = []any{new(int), new(int), new(int), &text}
			}
			if err := rows.Scan(into...); err != nil {
				return nil, err
			}
			b.WriteString(text + "\n")
		}
		if err := rows.Err(); err != nil {
			return nil, err
		}
		_ = rows.Close()
		out[q.name] = b.String()
	}
	return out, nil
}

const now9 = int64(1_900_000_000_000)

// Exec does something that no part of Cattle does: surgery in the database.
func (s *Store) Exec(ctx context.Context, query string, args ...any) error {
	if !s.Postgres() {
		_, err := s.db.DB.ExecContext(ctx, query, args...)
		return err
	}
	rows, err := s.query(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
	}
	return rows.Err()
}

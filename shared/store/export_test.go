package store

import (
	"context"
	"fmt"
	"strings"

	"github.com/google/uuid"

	"github.com/cattleio/cattle/shared/resource"
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

// Plan is how the database goes about one statement.
type Plan struct {
	Text string
	Rows int // that it read on Postgres, found or not
}

// HistoryPlans tells how the database goes about the statements that are asked all the
// time of a table in which much has ended. The lists are asked for too.
func (s *Store) HistoryPlans(ctx context.Context, id int64, lists map[string]Query) (map[string]Plan, error) {
	forgetLogs, forget := s.forgetTexts()
	page := "[1, 2, 3]"
	if s.Postgres() {
		page = "{" + strings.Repeat("7, ", 999) + "8}"
	}
	texts := []struct {
		name, text string
		args       []any
	}{
		{"due", s.dueText(), []any{int64(500)}},
		{"orphans", s.orphansText(), []any{int64(500)}},
		{"claim", s.claimText(), []any{int64(1000), "here", id}},
		{"next", s.nextText(), []any{"instance", "7", int64(0)}},
		{"look for ended", oldestProcessesText, []any{int64(0), int64(1000)}},
		{"forget logs", forgetLogs, []any{page}},
		{"forget", forget, []any{page}},
		{"trim", trimText, []any{id, id}},
		{"oldest runnable", oldestText, []any{now9, now9}},
	}
	for name, q := range lists {
		texts = append(texts, struct {
			name, text string
			args       []any
		}{name, s.listText(q), nil})
	}
	out := map[string]Plan{}
	for _, q := range texts {
		plan, err := s.plan(ctx, q.text, q.args)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", q.name, err)
		}
		out[q.name] = plan
	}
	return out, nil
}

// plan asks for the plan that a prepared statement has, and takes back what it did.
func (s *Store) plan(ctx context.Context, query string, args []any) (p Plan, err error) {
	t, err := s.Begin(ctx, "plan")
	if err != nil {
		return p, err
	}
	defer t.Rollback()
	explain := "explain query plan " + query
	if s.Postgres() {
		name := "asked_" + strings.ReplaceAll(uuid.NewString(), "-", "")
		values := make([]string, len(args))
		for i, a := range args {
			values[i] = fmt.Sprintf("'%v'", a)
		}
		if _, err := t.exec(ctx, "set local plan_cache_mode = force_generic_plan"); err != nil {
			return p, err
		}
		if _, err := t.exec(ctx, "prepare "+name+" as "+s.bind(query)); err != nil {
			return p, err
		}
		explain = "explain (analyze, costs off, timing off, summary off) execute " + name
		if len(args) > 0 {
			explain += "(" + strings.Join(values, ", ") + ")"
		}
		args = nil
	}
	rows, err := t.query(ctx, explain, args...)
	if err != nil {
		return p, err
	}
	defer rows.Close()
	for rows.Next() {
		var text string
		into := []any{&text}
		if !s.Postgres() {
			into = []any{new(int), new(int), new(int), &text}
		}
		if err := rows.Scan(into...); err != nil {
			return p, err
		}
		p.Text += text + "\n"
		var n, loops int
		if i := strings.Index(text, "(actual rows="); i >= 0 {
			if _, err := fmt.Sscanf(text[i:], "(actual rows=%d loops=%d)", &n, &loops); err == nil {
				p.Rows += n * max(loops, 1)
			}
		}
		if i := strings.Index(text, "Rows Removed by"); i >= 0 {
			if _, err := fmt.Sscanf(text[strings.LastIndex(text, ":")+1:], "%d", &n); err == nil {
				p.Rows += n
			}
		}
	}
	return p, rows.Err()
}

// LogDays lists the days that have a table for their logs.
func (s *Store) LogDays(ctx context.Context) (map[int64]string, error) { return s.logDays(ctx) }

// Behind is the marker of the page behind an id.
func Behind(id int64) string {
	row := schema.NewRow(resource.All.Type("processInstance"))
	row.Set("id", id)
	return marker(row, nil)
}

// Unsure is what becomes of an error of a commit.
var Unsure = unsure

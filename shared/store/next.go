package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/cattleio/cattle/shared/process"
	"github.com/cattleio/cattle/shared/resource"
	"github.com/cattleio/cattle/shared/schema"
)

// wakeOthers makes every other pending process of the resource due now: one that
// waits or backs off notices at once that the state was moved under it. One that has
// no business in the new state is canceled, for good: it may come to look only when
// the resource is back where it could begin, and would undo what was asked last. A
// launch that found the resource under way and moved nothing cancels nobody: it may
// have read what is no longer so.
func (t *Tx) wakeOthers(ctx context.Context, row *schema.Row, field string, moves bool, not int64) ([]Bell, error) {
	mark, args, state := "", []any{}, row.Str(field)
	if over := process.Misfits(resource.All.Processes(row.Type()), field, state, resource.All.Process); len(over) > 0 && moves {
		mark = ", canceled = canceled or process_name in (?" + strings.Repeat(", ?", len(over)-1) + ")"
		for _, name := range over {
			args = append(args, name)
		}
	}
	others := `resource_type = ? and resource_id = ? and end_time is null and id <> ?`
	if !moves && t.pipe != nil {
		// It does not have the resource, and would stand in the way of one that has and of
		// others like it. Who has its process in hand needs no waking.
		others = `id in (select id from process_instance where ` + others + ` for no key update skip locked)`
	}
	return t.bells(ctx, `update process_instance set wake_seq = wake_seq + 1, due_at = `+t.s.now()+mark+`
		where `+others+`
		returning id, wake_seq, run_epoch, priority`, append(args, row.Type().Name, row.Key(), not)...)
}

// takeBack cancels what was asked for before a launch, waits its turn and would undo it:
// the later word holds. Who has the resource in hand is left to its own end, and so is a
// stop that leads on to a removal, which nobody takes back. If the resource has left the
// state that the launch has read, nothing is taken back.
func (t *Tx) takeBack(ctx context.Context, row *schema.Row, by *process.Definition, id int64) error {
	field, state := by.StateField(), row.Str(by.StateField())
	over := process.Opposed(resource.All.Processes(row.Type()), by, state, resource.All.Process)
	if len(over) == 0 {
		return nil
	}
	args := []any{row.Type().Name, row.Key(), id, row.ID(), state}
	for _, name := range over {
		args = append(args, name)
	}
	lock := ""
	if t.s.Postgres() {
		lock = " for no key update"
	}
	rows, err := t.query(ctx, `select id, process_name, data from process_instance
		where resource_type = ? and resource_id = ? and end_time is null and id < ? and not holding and not canceled
		and exists (select 1 from `+quote(row.Type().Table)+` where id = ? and `+quote(row.Type().Field(field).Column)+` = ?)
		and process_name in (?`+strings.Repeat(", ?", len(over)-1)+`) order by id`+lock, args...)
	if err != nil {
		return err
	}
	var back []int64
	for rows.Next() {
		var older int64
		var name string
		var data sql.NullString
		if err := rows.Scan(&older, &name, &data); err != nil {
			rows.Close()
			return err
		}
		asked := map[string]any{}
		_ = json.Unmarshal([]byte(data.String), &asked)
		if resource.All.Process(name).Next(asked) == "" {
			back = append(back, older)
		}
	}
	rows.Close()
	if err := rows.Err(); err != nil {
		return err
	}
	for _, older := range back {
		if _, err := t.exec(ctx, `update process_instance set canceled = true where id = ?`, older); err != nil {
			return err
		}
	}
	return nil
}

// Overtake is what a run does to the other processes of a resource that it moves
// itself, after it has waited for it.
func (t *Tx) Overtake(ctx context.Context, row *schema.Row, field string, by int64) ([]Bell, error) {
	return t.wakeOthers(ctx, row, field, true, by)
}

// WakeNext makes the next pending process of the resource due now: the one with the
// highest priority, of those the oldest, that no run has. Its bell is in bells after
// the commit. On Postgres this travels with the commit, so that whoever ends can
// afford to ask, whether or not it knows of anybody who waits.
func (t *Tx) WakeNext(ctx context.Context, typ, id string, not int64, bells *[]Bell) error {
	query := t.s.nextText()
	if t.pipe == nil {
		woken, err := t.bells(ctx, query, typ, id, not)
		*bells = append(*bells, woken...)
		return err
	}
	t.pipe.waiting = append(t.pipe.waiting, statement{query: t.s.bind(query), args: []any{typ, id, not}, into: func(r pgx.Row) error {
		var b Bell
		err := r.Scan(&b.ID, &b.WakeSeq, &b.RunEpoch, &b.Priority)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		if err == nil {
			*bells = append(*bells, b)
		}
		return err
	}})
	return nil
}

func (s *Store) nextText() string {
	return `update process_instance set due_at = ` + s.now() + `, wake_seq = wake_seq + 1 where id = (
		select id from process_instance where resource_type = ? and resource_id = ? and end_time is null and id <> ? and lease_until is null
		order by priority desc, id limit 1) and ` + pending + ` returning id, wake_seq, run_epoch, priority`
}

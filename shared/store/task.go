package store

import (
	"context"
	"errors"
)

// TaskRun is one run of a task.
type TaskRun struct {
	ID           int64 // of its row, 0 while it has none
	Task, Server string
	Start, End   int64  // no End: it has not ended
	Exception    string // why it failed
}

// RecordTask writes the record of a run, or its end, and returns the id of its row. A
// record that was deleted meanwhile stays so.
func (s *Store) RecordTask(ctx context.Context, r TaskRun) (id int64, err error) {
	err = s.Write(ctx, "task run", func(t *Tx) error {
		if id = r.ID; id != 0 {
			_, err := t.exec(ctx, `update task_instance set end_time = ?, exception = ? where id = ? and end_time is null`,
				nullable(r.End), nullText(clipRunes(r.Exception, 255)), id)
			return err
		}
		err := t.one(ctx, `insert into task_instance (name, server_id, start_time, end_time, exception, task_id)
			select name, ?, ?, ?, ?, id from task where name = ? returning id`,
			[]any{clip(r.Server, 128), r.Start, nullable(r.End), nullText(clipRunes(r.Exception, 255)), r.Task}, &id)
		if errors.Is(err, ErrNotFound) {
			return nil // nobody has registered the task
		}
		return err
	})
	return id, err
}

// clipRunes is clip with a bound of characters.
func clipRunes(s string, n int) string {
	runes := []rune(s)
	return clip(string(runes[:min(len(runes), n)]), 4*n)
}

// ForgetTasks erases records of runs that began longer ago. An age of 0 keeps all.
func (s *Store) ForgetTasks(ctx context.Context, ageMillis int64, page int) error {
	if ageMillis <= 0 {
		return nil
	}
	now, err := s.Now(ctx)
	if err != nil {
		return err
	}
	return s.forgetOldest(ctx, "task_instance", "start_time", now-ageMillis, page)
}

package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// Attempt is the log of one attempt at a process.
type Attempt struct{ UUID, Text string }

// lastLogs is how many of a process's latest logs are kept; of those before them the
// first is, and the first of every hour.
const lastLogs = 10

const hour, day = int64(3_600_000), int64(86_400_000)

// Log keeps the logs of attempts, the latest last. A process that is tried for ever
// keeps a bounded number in each hour.
func (t *Tx) Log(ctx context.Context, p *Process, logs ...Attempt) error {
	if len(logs) == 0 {
		return nil
	}
	args := make([]any, 0, 3*len(logs))
	for _, l := range logs {
		args = append(args, p.ID, l.UUID, t.s.sealDocument(l.Text))
	}
	row := "(?, ?, ?, " + t.s.now() + ")"
	err := t.later(ctx, `insert into process_execution (process_instance_id, uuid, log, created) values `+
		strings.Repeat(row+", ", len(logs)-1)+row, args...)
	if err != nil || p.RunEpoch <= lastLogs+1 { // it cannot have more logs than claims
		return err
	}
	return t.later(ctx, trimText, p.ID, p.ID)
}

var trimText = fmt.Sprintf(`delete from process_execution where process_instance_id = ? and id in (
	select id from (select id, row_number() over (order by id) as first, row_number() over (order by id desc) as last,
		row_number() over (partition by created / %d order by id) as hourly from process_execution where process_instance_id = ?) as kept
	where first > 1 and last > %d and hourly > 1)`, hour, lastLogs)

// PrepareLogs makes the tables for the logs of today and of the days after it. A day
// that has logs already, because its table was missing when they came, gets none.
func (s *Store) PrepareLogs(ctx context.Context, days int) error {
	if !s.Postgres() {
		return nil
	}
	now, err := s.Now(ctx)
	if err != nil {
		return err
	}
	made, err := s.logDays(ctx)
	if err != nil {
		return err
	}
	for d := now / day; d <= now/day+int64(days); d++ {
		if made[d] != "" {
			continue
		}
		if err := s.makeLogDay(ctx, d); err != nil {
			return fmt.Errorf("cannot make the table for the logs of %s: %w", logDay(d), err)
		}
	}
	return nil
}

// dayTables is the number under which servers take turns at the tables of days.
const dayTables = 0x6c6f6773

func (s *Store) makeLogDay(ctx context.Context, d int64) error {
	return s.Write(ctx, "log day", func(t *Tx) error {
		if err := t.patient(ctx); err != nil {
			return err
		}
		var there bool
		if err := t.one(ctx, `select to_regclass(?) is not null or exists (select 1 from process_execution_other where created >= ? and created < ?)`,
			[]any{logDay(d), d * day, (d + 1) * day}, &there); err != nil || there {
			return err
		}
		// A log that fits into half a page, compressed, stays with its row. Attaching the table does
		// not wait for those who write and read the other days.
		if _, err := t.exec(ctx, `create table `+logDay(d)+` (like process_execution including all) with (toast_tuple_target = 4080)`); err != nil {
			return err
		}
		_, err := t.exec(ctx, fmt.Sprintf(`alter table process_execution attach partition %s for values from (%d) to (%d)`, logDay(d), d*day, (d+1)*day))
		return err
	})
}

// patient takes the turn at the tables of days. Whoever stands in the way of a table is
// waited for, but not for long: everybody else would wait behind us.
func (t *Tx) patient(ctx context.Context) error {
	if err := t.Lock(ctx, dayTables); err != nil {
		return err
	}
	_, err := t.exec(ctx, `set local lock_timeout = '1s'`)
	return err
}

// logDay names the table for the logs of a day, counted from 1970.
func logDay(d int64) string {
	return "process_execution_" + time.UnixMilli(d*day).UTC().Format("20060102")
}

// logDays lists the days that have a table, with its name.
func (s *Store) logDays(ctx context.Context) (map[int64]string, error) {
	rows, err := s.query(ctx, `select c.relname::text from pg_inherits i join pg_class c on c.oid = i.inhrelid where i.inhparent = 'process_execution'::regclass`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	out := map[int64]string{}
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return nil, err
		}
		if at, err := time.Parse("20060102", strings.TrimPrefix(name, "process_execution_")); err == nil {
			out[at.UnixMilli()/day] = name
		}
	}
	return out, rows.Err()
}

// ForgetLogs erases logs of attempts that are older. On Postgres that is dropping the
// tables of days that are over for that long. An age of 0 keeps everything.
func (s *Store) ForgetLogs(ctx context.Context, ageMillis int64, page int) error {
	if ageMillis <= 0 {
		return nil
	}
	now, err := s.Now(ctx)
	if err != nil {
		return err
	}
	if !s.Postgres() {
		return s.forgetOldest(ctx, "process_execution", "created", now-ageMillis, page)
	}
	made, err := s.logDays(ctx)
	if err != nil {
		return err
	}
	for d, table := range made {
		if (d+1)*day > now-ageMillis {
			continue
		}
		err := s.Write(ctx, "forget logs", func(t *Tx) error {
			if err := t.patient(ctx); err != nil {
				return err
			}
			_, err := t.exec(ctx, "drop table if exists "+table)
			return err
		})
		if err != nil {
			return fmt.Errorf("cannot drop the logs of %s: %w", table, err)
		}
	}
	return s.forgetOldest(ctx, "process_execution_other", "created", now-ageMillis, page)
}

// forgetOldest erases the rows of a table whose moment has passed, a page at a time. Ids
// grow with time, so that looking at the lowest is enough.
func (s *Store) forgetOldest(ctx context.Context, table, moment string, before int64, page int) error {
	for {
		began := time.Now()
		var n int64
		err := s.Write(ctx, "forget oldest", func(t *Tx) (err error) {
			n, err = t.exec(ctx, "delete from "+table+" where id in (select id from (select id, "+moment+" as moment from "+table+
				" order by id limit ?) as oldest where coalesce(moment, 0) < ?)", int64(page), before)
			return err
		})
		if err != nil || n < int64(page) {
			return err
		}
		if err := breathe(ctx, began); err != nil {
			return err
		}
	}
}

// breathe leaves the database to others for as long as it was held.
func breathe(ctx context.Context, began time.Time) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(min(time.Since(began), time.Second)):
		return nil
	}
}

// ForgetEnded erases processes that ended longer ago, with their logs. It walks up the
// ids, a page in a transaction, as far as processes are old enough, and pauses between
// two pages. An age of 0 keeps everything.
func (s *Store) ForgetEnded(ctx context.Context, ageMillis int64, page int) error {
	if ageMillis <= 0 {
		return nil
	}
	now, err := s.Now(ctx)
	if err != nil {
		return err
	}
	for from := int64(0); ; {
		began := time.Now()
		ids, to, last, err := s.oldestProcesses(ctx, from, now-ageMillis, page)
		if err != nil {
			return err
		}
		if len(ids) > 0 {
			if err := s.forgetProcesses(ctx, ids); err != nil {
				return err
			}
		}
		if last {
			return nil
		}
		from = to
		if err := breathe(ctx, began); err != nil {
			return err
		}
	}
}

const oldestProcessesText = `select id, coalesce(start_time, 0), end_time from process_instance where id > ? order by id limit ?`

// oldestProcesses looks at the page of processes behind an id: which of it ended before
// a moment, up to which id it goes, and whether those behind it began later than that.
func (s *Store) oldestProcesses(ctx context.Context, from, before int64, page int) (ended []int64, to int64, last bool, err error) {
	rows, err := s.query(ctx, oldestProcessesText, from, int64(page))
	if err != nil {
		return nil, 0, false, err
	}
	defer rows.Close()
	n := 0
	for rows.Next() {
		var start int64
		var end sql.NullInt64
		if err := rows.Scan(&to, &start, &end); err != nil {
			return nil, 0, false, err
		}
		n++
		if end.Valid && end.Int64 < before {
			ended = append(ended, to)
		}
		last = start >= before
	}
	return ended, to, last || n < page, rows.Err()
}

// forgetProcesses erases processes that have ended, and their logs.
func (s *Store) forgetProcesses(ctx context.Context, ids []int64) error {
	return s.Write(ctx, "forget", func(t *Tx) error {
		logs, rows := s.forgetTexts()
		if _, err := t.exec(ctx, logs, s.list(ids)); err != nil {
			return err
		}
		_, err := t.exec(ctx, rows, s.list(ids))
		return err
	})
}

func (s *Store) forgetTexts() (logs, rows string) {
	among := "= any(?)"
	if !s.Postgres() {
		among = "in (select value from json_each(?))"
	}
	return "delete from process_execution where process_instance_id " + among,
		"delete from process_instance where id " + among + " and end_time is not null"
}

// list is the value of one placeholder that stands for many ids.
func (s *Store) list(ids []int64) any {
	if s.Postgres() {
		return ids
	}
	text, _ := json.Marshal(ids) // numbers cannot fail
	return string(text)
}

package chaos

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/cattleio/cattle/shared/process"
	"github.com/cattleio/cattle/shared/resource"
	"github.com/cattleio/cattle/shared/schema"
)

// The installation's own Postgres keeps a trail of every move of a state, with the
// process whose row was written or locked in the same transaction, and of what may not happen
// to the row of a process. A refusal for a reason that passes is drawn in the same
// place.
const trail = `
create table chaos_move (seq bigserial primary key, at bigint, place text, id bigint, old text, new text, process bigint, born boolean);
create index on chaos_move (place, id);
create table chaos_takeover (seq bigserial primary key, at bigint, process bigint, server text);
create table chaos_wrong (seq bigserial primary key, at bigint, process bigint, what text);
create table chaos_refuse (share double precision);
insert into chaos_refuse values (0);

create function chaos_now() returns bigint language sql as $$
	select (extract(epoch from pg_catalog.clock_timestamp())*1000)::bigint $$;

create function chaos_state() returns trigger language plpgsql as $$
declare
	known bigint := nullif(current_setting('chaos.process', true), '')::bigint;
begin
	if known is null then -- a run that only moves resources locks the row of its process
		select id into known from process_instance where xmax = pg_current_xact_id()::xid and end_time is null and lease_until is not null limit 1;
	end if;
	insert into chaos_move (at, place, id, old, new, process, born)
		values (chaos_now(), tg_table_name, new.id, old.state, new.state, known,
			strpos(coalesce(current_setting('chaos.born', true), ''), tg_table_name || ' ' || new.id || ',') > 0);
	return null;
end $$;

create function chaos_born() returns trigger language plpgsql as $$
begin
	perform set_config('chaos.born', coalesce(current_setting('chaos.born', true), '') || tg_table_name || ' ' || new.id || ',', true);
	return null;
end $$;

create function chaos_process() returns trigger language plpgsql as $$
begin
	perform set_config('chaos.process', new.id::text, true);
	if tg_op = 'INSERT' then
		return null;
	end if;
	if old.end_time is not null then
		insert into chaos_wrong (at, process, what) values (chaos_now(), new.id, 'written after its end: ' ||
			(select string_agg(n.key || ' from ' || coalesce(o.value, 'null') || ' to ' || coalesce(n.value, 'null'), ', ') from jsonb_each_text(to_jsonb(new)) n
				join jsonb_each_text(to_jsonb(old)) o on o.key = n.key where o.value is distinct from n.value));
	end if;
	if new.run_epoch < old.run_epoch then
		insert into chaos_wrong (at, process, what) values (chaos_now(), new.id, 'its epoch went back');
	end if;
	if new.run_epoch > old.run_epoch and old.lease_until is not null then
		insert into chaos_takeover (at, process, server) values (chaos_now(), new.id, old.running_process_server_id);
	end if;
	return null;
end $$;

create function chaos_trouble() returns trigger language plpgsql as $$
begin
	if random() < (select share from chaos_refuse) then
		raise exception 'refused by chance' using errcode = '40001';
	end if;
	return new;
end $$;

create trigger chaos_process after insert or update on process_instance for each row execute function chaos_process();
create trigger chaos_trouble before insert or update on process_instance for each row execute function chaos_trouble();
`

// move is the trigger on a table whose rows have states. It fires at the commit, when
// the process that moved the row is known in any case.
const move = `create constraint trigger chaos_state after update of state on %[1]q deferrable initially deferred
	for each row when (old.state is distinct from new.state) execute function chaos_state();
create trigger chaos_born after insert on %[1]q for each row execute function chaos_born();`

func (r *rig) audit(ctx context.Context) error {
	if _, err := r.db.ExecContext(ctx, trail); err != nil {
		return fmt.Errorf("cannot prepare the audit: %w", err)
	}
	for _, typ := range resource.All.Tables() {
		if typ.HasColumn("state") && typ.Name != "processInstance" {
			if _, err := r.db.ExecContext(ctx, fmt.Sprintf(move, typ.Table)); err != nil {
				return fmt.Errorf("cannot prepare the audit of %s: %w", typ.Name, err)
			}
		}
	}
	return nil
}

// refuseShare sets how many writes of processes are refused.
func (r *rig) refuseShare(ctx context.Context, share float64) {
	if err := read(ctx, func() error {
		_, err := r.db.ExecContext(ctx, `update chaos_refuse set share = $1`, share)
		return err
	}); err != nil && ctx.Err() == nil {
		fmt.Println("cannot set the share of refused writes:", err)
	}
}

// legal lists the moves that the definitions of a table's type allow, as "old new".
func legal(table string) map[string]bool {
	out := map[string]bool{}
	for _, typ := range resource.All.Tables() {
		if typ.Table != table {
			continue
		}
		for _, d := range resource.All.Processes(typ) {
			for _, t := range d.Transitions() {
				if t.Field != "state" {
					continue
				}
				out[t.From+" "+t.To] = true
				for _, name := range d.Chains {
					if t.Type == "DONE" {
						out[t.From+" "+process.Enter(resource.All.Process(name), d, t.From)] = true
					}
				}
			}
		}
	}
	return out
}

// settle waits until nothing is under way any more, and tells how long that took.
// That it is not quiet in time is no error: the account says what is stuck.
func (r *rig) settle(ctx context.Context) (time.Duration, error) {
	begin := time.Now()
	last := ""
	err := until(ctx, "quiet", r.quiet, func() bool {
		left, err := r.underWay(ctx)
		if err == nil && len(left) > 0 && time.Since(begin) > 10*time.Second {
			if now := fmt.Sprint(len(left)); now != last {
				last = now
				fmt.Printf("  waiting for quiet: %d under way, such as %s\n", len(left), left[0])
			}
		}
		return err == nil && len(left) == 0
	})
	if ctx.Err() != nil {
		return 0, ctx.Err()
	}
	_ = err
	return time.Since(begin), nil
}

// underWay names what has not come to rest: processes that have not ended, and
// resources in a state that is on the way.
func (r *rig) underWay(ctx context.Context) (out []string, err error) {
	out, err = r.texts(ctx, `select process_name || ' ' || id || ' of ' || resource_type || ' ' || resource_id || ': ' || coalesce(last_error, 'no error')
		from process_instance where end_time is null order by id limit 1000`)
	if err != nil {
		return nil, err
	}
	for _, typ := range resource.All.Tables() {
		states := on(typ)
		if len(states) == 0 {
			continue
		}
		more, err := r.texts(ctx, fmt.Sprintf(`select '%s ' || id || ' is ' || state from %q where state in ('%s') limit 1000`, typ.Name, typ.Table, strings.Join(states, "','")))
		if err != nil {
			return nil, err
		}
		out = append(out, more...)
	}
	return out, nil
}

// on lists the states of a type that are on the way.
func on(typ *schema.Type) (out []string) {
	for _, d := range resource.All.Processes(typ) {
		for _, t := range d.Transitions() {
			if t.Field == "state" && t.Type == "DONE" {
				out = append(out, t.From)
			}
		}
	}
	return out
}

// texts reads the first column of a result.
func (r *rig) texts(ctx context.Context, query string, args ...any) (out []string, err error) {
	rows, err := r.db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	return out, rows.Err()
}

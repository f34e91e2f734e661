package store

import (
	"context"
	"fmt"
	"io/fs"
	"strings"

	"github.com/uptrace/bun/migrate"

	"github.com/cattleio/cattle/migrations"
	"github.com/cattleio/cattle/shared/resource"
)

// Migrate brings the tables up to date and makes the rows that every installation
// has. Several servers may do it at once: on Postgres they take turns.
func (s *Store) Migrate(ctx context.Context) error {
	if s.Postgres() {
		conn, err := s.db.DB.Conn(ctx)
		if err != nil {
			return err
		}
		defer conn.Close()
		if _, err := conn.ExecContext(ctx, "select pg_advisory_lock(hashtext('cattle.migrate.' || current_schema()))"); err != nil {
			return fmt.Errorf("cannot lock the migrations: %w", err)
		}
		defer conn.ExecContext(context.WithoutCancel(ctx), "select pg_advisory_unlock(hashtext('cattle.migrate.' || current_schema()))") //nolint:errcheck // the session's end unlocks too
	}
	m, err := s.migrator(ctx)
	if err != nil {
		return err
	}
	if _, err := m.Migrate(ctx); err != nil {
		return fmt.Errorf("cannot migrate the database: %w", err)
	}
	return s.seed(ctx)
}

// Unmigrate takes back every migration.
func (s *Store) Unmigrate(ctx context.Context) error {
	m, err := s.migrator(ctx)
	if err != nil {
		return err
	}
	_, err = m.Rollback(ctx)
	return err
}

func (s *Store) migrator(ctx context.Context) (*migrate.Migrator, error) {
	files, dir := fs.FS(migrations.SQLite), "sqlite"
	if s.Postgres() {
		files, dir = migrations.Postgres, "postgres"
	}
	sub, err := fs.Sub(files, dir)
	if err != nil {
		return nil, err
	}
	set, err := found(sub)
	if err != nil {
		return nil, fmt.Errorf("cannot read the migrations: %w", err)
	}
	m := migrate.NewMigrator(s.db, set, migrate.WithMarkAppliedOnSuccess(true))
	return m, m.Init(ctx)
}

// found lists the migrations of a folder. The library's own way of finding them brings
// text/template with it, which keeps the linker from leaving out any method of anything:
// a third of the program.
func found(files fs.FS) (*migrate.Migrations, error) {
	set := migrate.NewMigrations()
	ups, err := fs.Glob(files, "*.up.sql")
	if err != nil {
		return nil, err
	}
	for _, up := range ups {
		number, name, _ := strings.Cut(strings.TrimSuffix(up, ".up.sql"), "_")
		set.Add(migrate.Migration{Name: number, Comment: name, Up: script(files, up), Down: script(files, strings.TrimSuffix(up, "up.sql")+"down.sql")})
	}
	return set, nil
}

func script(files fs.FS, name string) func(context.Context, *migrate.Migrator, *migrate.Migration) error {
	return func(ctx context.Context, m *migrate.Migrator, _ *migrate.Migration) error {
		text, err := fs.ReadFile(files, name)
		if err != nil {
			return err
		}
		_, err = m.DB().ExecContext(ctx, string(text))
		return err
	}
}

// seed inserts the zone and the three accounts, in this order, once.
func (s *Store) seed(ctx context.Context) error {
	return s.Write(ctx, "seed", func(t *Tx) error {
		zones, err := t.Find(ctx, resource.All.Type("zone"), nil)
		if err != nil || len(zones) > 0 {
			return err
		}
		now, err := t.Now(ctx)
		if err != nil {
			return err
		}
		rows := []struct{ typ, uuid, name, kind, state string }{
			{"zone", "zone1", "zone1", "zone", "active"},
			{"account", "admin", "admin", "admin", "active"},
			{"account", "system", "system", "system", "inactive"},
			{"account", "superadmin", "superadmin", "superadmin", "inactive"},
		}
		for _, r := range rows {
			row := NewRow(resource.All.Type(r.typ), now, map[string]any{"uuid": r.uuid, "name": r.name, "kind": r.kind, "state": r.state})
			if err := t.Insert(ctx, row); err != nil {
				return fmt.Errorf("cannot make %s %s: %w", r.typ, r.name, err)
			}
		}
		return nil
	})
}

// Kept returns a named value of the server's own, making it with fresh when there
// is none yet. All servers get the same.
func (s *Store) Kept(ctx context.Context, name string, fresh func() (string, error)) (string, error) {
	typ := resource.All.Type("data")
	for {
		rows, err := s.Find(ctx, typ, map[string]any{"name": name})
		if err != nil {
			return "", err
		}
		if len(rows) > 0 {
			return rows[0].Str("value"), nil
		}
		value, err := fresh()
		if err != nil {
			return "", err
		}
		err = s.Write(ctx, "keep", func(t *Tx) error {
			row := NewRow(typ, 0, map[string]any{"name": name, "value": value})
			row.Set("visible", !strings.HasSuffix(name, "-private"))
			return t.Insert(ctx, row)
		})
		if err != nil && !isNotUnique(err) {
			return "", err
		}
	}
}

package testkit

import (
	"context"
	"database/sql"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/uuid"
	_ "github.com/jackc/pgx/v5/stdlib" // the driver called pgx

	"github.com/cattleio/cattle/shared/store"
)

// Databases runs a story on SQLite and on Postgres, each with an empty database of
// its own that holds all tables. open connects once more to the same one.
func Databases(t *testing.T, story func(t *testing.T, address string)) {
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		story(t, filepath.Join(t.TempDir(), "cattle.db"))
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		story(t, PostgresSchema(t))
	})
}

// Store opens and migrates a database, and closes it with the test.
func Store(t testing.TB, address string) *store.Store {
	t.Helper()
	ctx := context.Background()
	s, err := store.Open(ctx, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	if err := s.Migrate(ctx); err != nil {
		t.Fatal(err)
	}
	return s
}

// PostgresSchema makes an empty schema on the test server, dropped with the test,
// and returns an address that sees nothing else.
func PostgresSchema(t testing.TB) string {
	t.Helper()
	server := Postgres(t)
	db, err := sql.Open("pgx", server)
	if err != nil {
		t.Fatal(err)
	}
	name := "t" + strings.ReplaceAll(uuid.NewString(), "-", "")
	if _, err := db.Exec("create schema " + name); err != nil {
		t.Fatalf("cannot make a schema for the test: %v", err)
	}
	t.Cleanup(func() {
		_, _ = db.Exec("drop schema " + name + " cascade")
		_ = db.Close()
	})
	u, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	q.Set("search_path", name)
	q.Set("pool_max_conns", "12")
	u.RawQuery = q.Encode()
	return u.String()
}

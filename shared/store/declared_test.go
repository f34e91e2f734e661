package store_test

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/cattleio/cattle/shared/resource"
	"github.com/cattleio/cattle/shared/schema"
	"github.com/cattleio/cattle/shared/store"
	"github.com/cattleio/cattle/shared/testkit"
)

// column is what a database says of one.
type column struct{ name, typ, fallback, notNull string }

// inside opens a database beside the store, to look at what the migrations made.
func inside(t *testing.T, address string) (db *sql.DB, postgres bool) {
	t.Helper()
	driver := "sqlite"
	if postgres = strings.HasPrefix(address, "postgres"); postgres {
		driver = "pgx"
		u, err := url.Parse(address)
		if err != nil {
			t.Fatal(err)
		}
		q := u.Query()
		q.Del("pool_max_conns") // which only pools know
		u.RawQuery = q.Encode()
		address = u.String()
	}
	db, err := sql.Open(driver, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db, postgres
}

// asked reads rows of texts.
func asked(t *testing.T, db *sql.DB, query string, args ...any) [][]string {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), query, args...)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	names, _ := rows.Columns()
	var out [][]string
	for rows.Next() {
		texts, into := make([]sql.NullString, len(names)), make([]any, len(names))
		for i := range texts {
			into[i] = &texts[i]
		}
		if err := rows.Scan(into...); err != nil {
			t.Fatal(err)
		}
		one := make([]string, len(names))
		for i := range texts {
			one[i] = texts[i].String
		}
		out = append(out, one)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}

const (
	postgresColumns = `select column_name, case when data_type = 'character varying' then 'varchar(' || character_maximum_length || ')' else data_type end,
		column_default, (is_nullable = 'NO')::text from information_schema.columns where table_schema = current_schema() and table_name = $1`
	sqliteColumns = `select name, type, dflt_value, case when "notnull" then 'true' else 'false' end from pragma_table_info(?)`

	postgresIndexes = `select (indexdef like 'CREATE UNIQUE%')::text, regexp_replace(indexdef, '^[^(]*\(|\).*$', '', 'g') from pg_indexes where schemaname = current_schema() and tablename = $1`
	sqliteIndexes   = `select case when l."unique" then 'true' else 'false' end, group_concat(i.name, ', ') from pragma_index_list(?) l, pragma_index_info(l.name) i group by l.name`
)

var cast = regexp.MustCompile(`::[a-z ]+(\(\d+\))?`)

// columns are those of a table, by name.
func columns(t *testing.T, db *sql.DB, postgres bool, table string) map[string]column {
	t.Helper()
	text := map[bool]string{true: postgresColumns, false: sqliteColumns}[postgres]
	out := map[string]column{}
	for _, r := range asked(t, db, text, table) {
		out[r[0]] = column{r[0], strings.ToLower(r[1]), cast.ReplaceAllString(r[2], ""), r[3]}
	}
	return out
}

// departures are columns that are not as they are declared, and why that is well.
var departures = map[string]string{
	"agent_group.state_since":     "every type with a state got one, and this one has no processes",
	"credential.secret_value":     "what is encrypted is longer than what was sent, which the declaration bounds",
	"process_execution.created":   "days are told apart by it on Postgres, where it is never null",
	"process_instance.start_time": "always written, and declared so because lists are sorted by its index",
}

// sqlType is the type that a field's column has.
func sqlType(f *schema.Field) string {
	switch {
	case f.Type == "boolean":
		return "boolean"
	case f.Type == "int" || f.Type == "date" || f.RefType() != "":
		return "bigint"
	case strings.HasPrefix(f.Type, "map[") || strings.HasPrefix(f.Type, "array[") || f.MaxLength != nil && *f.MaxLength > 4096:
		return "text"
	case f.MaxLength != nil:
		return fmt.Sprintf("varchar(%d)", *f.MaxLength)
	}
	return "varchar(255)"
}

// The tables are as the types are declared: each column with its type, its default and
// whether it may be null, no column besides, and indexes for what is looked up.
func TestMigrationsFollowTheDeclarations(t *testing.T) {
	t.Parallel()
	testkit.Databases(t, func(t *testing.T, address string) {
		testkit.Store(t, address)
		db, postgres := inside(t, address)
		for _, typ := range resource.All.Tables() {
			there := columns(t, db, postgres, typ.Table)
			for _, f := range typ.Columns() {
				c, ok := there[f.Column]
				delete(there, f.Column)
				if departures[typ.Table+"."+f.Column] != "" {
					continue
				}
				switch {
				case !ok:
					t.Errorf("%s has no column %s", typ.Table, f.Column)
				case f.Name == "id":
				case c.typ != sqlType(f):
					t.Errorf("%s.%s is %s and declared as %s", typ.Table, f.Column, c.typ, sqlType(f))
				case c.notNull != fmt.Sprint(f.NotNull):
					t.Errorf("%s.%s may not be null: %s, declared: %v", typ.Table, f.Column, c.notNull, f.NotNull)
				case strings.Trim(c.fallback, "'") != strings.Trim(f.SQLDefault, "'"):
					t.Errorf("%s.%s has the default %q and is declared with %q", typ.Table, f.Column, c.fallback, f.SQLDefault)
				}
			}
			for name := range there {
				if departures[typ.Table+"."+name] != "" {
					continue
				}
				t.Errorf("%s has a column %s, which nobody declares", typ.Table, name)
			}
			indexed(t, db, postgres, typ)
		}
	})
}

// indexed expects an index for everything that rows of a type are found by.
func indexed(t *testing.T, db *sql.DB, postgres bool, typ *schema.Type) {
	t.Helper()
	text := map[bool]string{true: postgresIndexes, false: sqliteIndexes}[postgres]
	var first, unique []string
	for _, r := range asked(t, db, text, typ.Table) {
		begin, rest, _ := strings.Cut(r[1], ",")
		begin = strings.Trim(begin, `" `)
		first = append(first, begin)
		if r[0] == "true" && rest == "" {
			unique = append(unique, begin)
		}
	}
	for _, f := range typ.Columns() {
		linked := f.RefType() != "" && f.RefType() != "zone" && f.RefType() != "offering" && // of which there is one each
			slices.ContainsFunc(resource.All.Links(resource.All.Type(f.RefType())), func(l resource.Link) bool { return l.Target == typ.Name && l.Column == f.Name })
		if linked && !slices.Contains(first, f.Column) {
			t.Errorf("%s.%s leads to a list of rows and has no index", typ.Table, f.Column)
		}
		if f.Name == "uuid" && typ.HasColumn("state") && !slices.Contains(unique, f.Column) {
			t.Errorf("two rows of %s may have one uuid", typ.Table)
		}
	}
}

// What is never null and was not given has what the declaration says.
func TestARowWithoutValuesHasTheDefaults(t *testing.T) {
	t.Parallel()
	testkit.Databases(t, func(t *testing.T, address string) {
		s := testkit.Store(t, address)
		ctx := context.Background()
		typ := resource.All.Type("configItemStatus")
		row := store.NewRow(typ, 1, map[string]any{"requestedUpdated": int64(1)})
		if err := s.Write(ctx, "test", func(tx *store.Tx) error { return tx.Insert(ctx, row) }); err != nil {
			t.Fatal(err)
		}
		got, err := s.Get(ctx, typ, row.ID())
		if err != nil {
			t.Fatal(err)
		}
		if got.Int("appliedVersion") != -1 || got.Int("requestedVersion") != 0 {
			t.Errorf("the versions are %d and %d", got.Int("appliedVersion"), got.Int("requestedVersion"))
		}
	})
}

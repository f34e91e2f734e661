package store_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/cattleio/cattle/shared/store"
	"github.com/cattleio/cattle/shared/testkit"
)

// What was asked over a connection that had died before was not done, and may be asked
// again for as long as a caller has patience.
func TestADeadConnectionMeansThatTheDatabaseIsAway(t *testing.T) {
	t.Parallel()
	conn, err := pgx.Connect(t.Context(), strings.Replace(testkit.PostgresSchema(t), "pool_max_conns=12&", "", 1))
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	batch := &pgx.Batch{}
	batch.Queue("select 1")
	for name, err := range map[string]error{"a batch": conn.SendBatch(t.Context(), batch).Close(), "a statement": conn.Ping(t.Context())} {
		if err == nil || !store.Away(err) || !store.Passing(err) || errors.Is(store.Unsure(err), store.ErrUnsure) {
			t.Errorf("%s over it: %v", name, err)
		}
	}
}

package bench

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib"
	"github.com/redis/go-redis/v9"
)

// databases are a database in the Postgres for tests and one in the Redis for tests,
// both empty and nobody else's.
type databases struct {
	postgres, redis string
	admin           *sql.DB // another database of the same Postgres
	name            string
	cache           *redis.Client
	drop            func()
}

// newDatabases makes and takes them; the caller drops them.
func newDatabases(ctx context.Context) (*databases, error) {
	server, cache := os.Getenv("CATTLE_TEST_POSTGRES_URL"), os.Getenv("CATTLE_TEST_REDIS_URL")
	if server == "" || cache == "" {
		return nil, errSkip("CATTLE_TEST_POSTGRES_URL and CATTLE_TEST_REDIS_URL name no servers for it")
	}
	d := &databases{name: "bench_" + word(8)}
	if err := d.make(ctx, server); err != nil {
		return nil, fmt.Errorf("cannot make a database in Postgres: %w", err)
	}
	address, empty, err := benchRedis(ctx, cache)
	if err != nil {
		d.remove(ctx)
		return nil, err
	}
	if d.cache, err = redisClient(address); err != nil {
		empty()
		d.remove(ctx)
		return nil, err
	}
	d.redis, d.drop = address, func() { _ = d.cache.Close(); empty(); d.remove(ctx) }
	return d, nil
}

// env is how a server finds them.
func (d *databases) env() []string {
	return []string{"CATTLE_DB_URL=" + d.postgres, "CATTLE_REDIS_URL=" + d.redis}
}

func (d *databases) make(ctx context.Context, server string) error {
	u, err := url.Parse(server)
	if err != nil {
		return err
	}
	if d.admin, err = sql.Open("pgx", server); err != nil {
		return err
	}
	if _, err := d.admin.ExecContext(ctx, "create database "+d.name); err != nil {
		return errors.Join(err, d.admin.Close())
	}
	u.Path = "/" + d.name
	d.postgres = u.String()
	return nil
}

func (d *databases) remove(ctx context.Context) {
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 20*time.Second)
	defer cancel()
	if _, err := d.admin.ExecContext(end, "drop database "+d.name+" with (force)"); err != nil {
		fmt.Fprintf(os.Stderr, "cannot drop database %s: %v\n", d.name, err)
	}
	_ = d.admin.Close()
}

// benchRedis takes an empty database from 9 upwards.
func benchRedis(ctx context.Context, server string) (address string, empty func(), err error) {
	u, err := url.Parse(server)
	if err != nil {
		return "", nil, err
	}
	for n := 9; n < 16; n++ {
		if empty, err = takeRedis(ctx, u, n); !errors.Is(err, errTaken) {
			return redisAt(u, n), empty, err
		}
	}
	return "", nil, errSkip("no database of Redis from 9 to 15 is free and empty")
}

var errTaken = errors.New("somebody uses this database")

// takeRedis marks a database in database 0 as the tests mark theirs.
func takeRedis(ctx context.Context, u *url.URL, n int) (empty func(), err error) {
	marks, err := redisClient(redisAt(u, 0))
	if err != nil {
		return nil, err
	}
	db, err := redisClient(redisAt(u, n))
	if err != nil {
		return nil, err
	}
	mark := fmt.Sprintf("cattle-test-db-%d", n)
	ours, err := marks.SetNX(ctx, mark, os.Getpid(), 10*time.Minute).Result()
	var size int64
	if err == nil {
		size, err = db.DBSize(ctx).Result()
	}
	end := func(flush bool) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		if flush {
			_ = db.FlushDB(ctx).Err()
		}
		if ours {
			_ = marks.Del(ctx, mark).Err()
		}
		_, _ = marks.Close(), db.Close()
	}
	if err == nil && (!ours || size > 0) {
		err = errTaken
	}
	if err != nil {
		end(false)
		return nil, err
	}
	return func() { end(true) }, nil
}

func redisAt(u *url.URL, n int) string {
	at := *u
	at.Path = fmt.Sprintf("/%d", n)
	return at.String()
}

func redisClient(address string) (*redis.Client, error) {
	options, err := redis.ParseURL(address)
	if err != nil {
		return nil, err
	}
	return redis.NewClient(options), nil
}

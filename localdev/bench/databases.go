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

// databases makes a schema in the Postgres for tests and takes a database of the
// Redis for tests. It returns how a server finds them, and what drops them.
func databases(ctx context.Context) (env []string, drop func(), err error) {
	server, cache := os.Getenv("CATTLE_TEST_POSTGRES_URL"), os.Getenv("CATTLE_TEST_REDIS_URL")
	if server == "" || cache == "" {
		return nil, nil, errSkip("CATTLE_TEST_POSTGRES_URL and CATTLE_TEST_REDIS_URL name no servers for it")
	}
	store, dropSchema, err := benchSchema(ctx, server)
	if err != nil {
		return nil, nil, fmt.Errorf("cannot make a schema in Postgres: %w", err)
	}
	wake, empty, err := benchRedis(ctx, cache)
	if err != nil {
		dropSchema()
		return nil, nil, err
	}
	return []string{"CATTLE_DB_URL=" + store, "CATTLE_REDIS_URL=" + wake}, func() { empty(); dropSchema() }, nil
}

func benchSchema(ctx context.Context, server string) (address string, drop func(), err error) {
	u, err := url.Parse(server)
	if err != nil {
		return "", nil, err
	}
	db, err := sql.Open("pgx", server)
	if err != nil {
		return "", nil, err
	}
	name := "bench_" + word(8)
	if _, err := db.ExecContext(ctx, "create schema "+name); err != nil {
		return "", nil, err
	}
	q := u.Query()
	q.Set("search_path", name)
	u.RawQuery = q.Encode()
	return u.String(), func() {
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 20*time.Second)
		defer cancel()
		if _, err := db.ExecContext(end, "drop schema "+name+" cascade"); err != nil {
			fmt.Fprintf(os.Stderr, "cannot drop schema %s: %v\n", name, err)
		}
		_ = db.Close()
	}, nil
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

package testkit

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// RedisDB returns the address of an empty database on the test server that no
// other test uses meanwhile, in this process or another.
func RedisDB(t testing.TB) string {
	t.Helper()
	u, err := url.Parse(Redis(t))
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	u.Path = "/0"
	keeper := connect(t, u)
	for end := time.Now().Add(5 * time.Minute); time.Now().Before(end); {
		for n := 1; n < 16; n++ {
			key := fmt.Sprintf("cattle-test-db-%d", n)
			got, err := keeper.SetNX(ctx, key, os.Getpid(), 10*time.Minute).Result()
			if err != nil {
				t.Fatal(err)
			}
			if !got {
				continue
			}
			t.Cleanup(func() { keeper.Del(ctx, key) })
			u.Path = fmt.Sprintf("/%d", n)
			if err := connect(t, u).FlushDB(ctx).Err(); err != nil {
				t.Fatal(err)
			}
			return u.String()
		}
		<-time.After(100 * time.Millisecond)
	}
	t.Fatal("every database of the test Redis is in use")
	return ""
}

func connect(t testing.TB, u *url.URL) *redis.Client {
	t.Helper()
	options, err := redis.ParseURL(u.String())
	if err != nil {
		t.Fatal(err)
	}
	c := redis.NewClient(options)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

package testkit

import (
	"database/sql"
	"errors"
	"os"
	"strings"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib"
	"github.com/redis/go-redis/v9"
)

func TestServicesAnswer(t *testing.T) {
	pingBoth(t, Postgres(t), Redis(t))
}

func TestServicesFromContainers(t *testing.T) {
	if os.Getenv("CATTLE_TEST_DOCKER") == "" {
		t.Skip("CATTLE_TEST_DOCKER is not set")
	}
	t.Parallel()
	urls := make(map[*service]string)
	for _, s := range []*service{services.postgres, services.redis} {
		url, err := s.start()
		if err != nil {
			t.Fatal(err)
		}
		if again, _ := s.start(); again != url {
			t.Errorf("a second %s was started at %s", s.name, again)
		}
		urls[s] = url
	}
	pingBoth(t, urls[services.postgres], urls[services.redis])
}

func TestServiceWithoutDocker(t *testing.T) {
	for _, test := range []struct{ ci, embedded, want string }{
		{"", "", "fails"},
		{"", "1", "skips"},
		{"true", "1", "fails"},
	} {
		t.Run(test.want+" ci="+test.ci+" embedded="+test.embedded, func(t *testing.T) {
			t.Setenv("CI", test.ci)
			t.Setenv("CATTLE_TEST_EMBEDDED_ONLY", test.embedded)
			s := &service{name: "Thing", env: "CATTLE_TEST_THING_URL", start: func() (string, error) {
				return "", errors.Join(errNoDocker)
			}}
			outcome := &recorder{TB: t}
			s.address(outcome)
			if outcome.got != test.want {
				t.Errorf("the test %s, want %s", outcome.got, test.want)
			}
		})
	}
}

// recorder notes how a test would have ended.
type recorder struct {
	testing.TB
	got string
}

func (r *recorder) Skipf(string, ...any)  { r.got = "skips" }
func (r *recorder) Fatalf(string, ...any) { r.got = "fails" }

func pingBoth(t *testing.T, postgres, cache string) {
	t.Helper()
	db, err := sql.Open("pgx", postgres)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var version string
	if err := db.QueryRowContext(t.Context(), "show server_version").Scan(&version); err != nil || version == "" {
		t.Errorf("Postgres at %s said %q: %v", postgres, version, err)
	}

	options, err := redis.ParseURL(cache)
	if err != nil {
		t.Fatal(err)
	}
	client := redis.NewClient(options)
	defer client.Close()
	if pong, err := client.Ping(t.Context()).Result(); err != nil || !strings.EqualFold(pong, "pong") {
		t.Errorf("Redis at %s said %q: %v", cache, pong, err)
	}
}

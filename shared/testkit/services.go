package testkit

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/testcontainers/testcontainers-go"
	"github.com/testcontainers/testcontainers-go/wait"
)

// service is a server that tests talk to, and how one is come by.
type service struct {
	name   string
	env    string   // the variable that holds the address of a running one
	images []string // the first that is on this machine is used; the first of all is pulled if none is
	port   string
	probe  []string // run inside the container, succeeds when the server answers
	cmd    []string
	vars   map[string]string
	url    string // with a place for host:port
	start  func() (string, error)
}

// services are started at most once in a test process, whichever test asks first.
var services = struct{ postgres, redis *service }{
	postgres: once(&service{
		name:   "Postgres",
		env:    "CATTLE_TEST_POSTGRES_URL",
		images: []string{"postgres:17-alpine", "cattle-test/postgres:15"},
		port:   "5432/tcp",
		// Over TCP: while the image prepares its database, the server answers on its socket only.
		probe: []string{"pg_isready", "-h", "127.0.0.1"},
		cmd:   []string{"postgres", "-c", "max_connections=300"},
		vars:  map[string]string{"POSTGRES_HOST_AUTH_METHOD": "trust"},
		url:   "postgres://postgres@%s/postgres?sslmode=disable",
	}),
	redis: once(&service{
		name:   "Redis",
		env:    "CATTLE_TEST_REDIS_URL",
		images: []string{"redis:7-alpine", "cattle-test/redis:7"},
		port:   "6379/tcp",
		probe:  []string{"redis-cli", "ping"},
		cmd:    []string{"redis-server", "--protected-mode", "no", "--save", "", "--appendonly", "no"},
		url:    "redis://%s/0",
	}),
}

// Postgres returns the URL of a Postgres server on which the test may make databases and schemas of
// its own. Every test process shares it.
func Postgres(t testing.TB) string {
	t.Helper()
	return services.postgres.address(t)
}

// Redis returns the URL of a Redis server. It is shared as well: a test keeps to keys and channels
// of its own.
func Redis(t testing.TB) string {
	t.Helper()
	return services.redis.address(t)
}

func once(s *service) *service {
	s.start = sync.OnceValues(s.container)
	return s
}

// address prefers a server that is running to a container. Having neither fails the test, so that
// nothing passes for tested that was not, except where somebody without Docker asked for that.
func (s *service) address(t testing.TB) string {
	t.Helper()
	if url := os.Getenv(s.env); url != "" {
		return url
	}
	url, err := s.start()
	switch {
	case err == nil:
		return url
	case errors.Is(err, errNoDocker) && os.Getenv("CI") == "" && os.Getenv("CATTLE_TEST_EMBEDDED_ONLY") == "1":
		t.Skipf("no %s: only the embedded stores are tested", s.name)
	default:
		t.Fatalf("no %s to test with: run './task test', or set %s (%v)", s.name, s.env, err)
	}
	return ""
}

var errNoDocker = errors.New("no Docker engine answers")

// container runs one for the rest of the process and returns its URL. It is labelled with the
// process that wants it: where testcontainers cannot have its reaper, localdev/test removes it later.
func (s *service) container() (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	image, err := s.image(ctx)
	if err != nil {
		return "", err
	}
	c, err := testcontainers.Run(ctx, image,
		testcontainers.WithExposedPorts(s.port),
		testcontainers.WithEnv(s.vars),
		testcontainers.WithCmd(s.cmd...),
		testcontainers.WithLabels(map[string]string{"cattle.testkit.pid": strconv.Itoa(os.Getpid())}),
		testcontainers.WithWaitStrategyAndDeadline(time.Minute, wait.ForExec(s.probe), wait.ForListeningPort(s.port)),
	)
	if err != nil {
		return "", fmt.Errorf("cannot run %s: %w", image, err)
	}
	endpoint, err := c.PortEndpoint(ctx, s.port, "")
	if err != nil {
		return "", fmt.Errorf("cannot find the port of %s: %w", image, err)
	}
	return fmt.Sprintf(s.url, endpoint), nil
}

// image chooses one. A look is worth it: a pull without a registry is tried for many minutes.
func (s *service) image(ctx context.Context) (name string, err error) {
	defer func() {
		// That is how testcontainers says that there is no engine.
		if recover() != nil {
			err = errNoDocker
		}
	}()
	docker, err := testcontainers.NewDockerClientWithOpts(ctx)
	if err != nil {
		return "", fmt.Errorf("%w: %v", errNoDocker, err)
	}
	defer docker.Close()
	for _, image := range s.images {
		if _, err := docker.ImageInspect(ctx, image); err == nil {
			return image, nil
		}
	}
	return s.images[0], nil
}

// Package queue wakes workers. A task says 'look at process N now' and nothing
// else: lost, repeated or late, it changes no outcome. It is the home of Asynq.
package queue

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"github.com/cattleio/cattle/shared/process"
)

const (
	task   = "process.execute"
	urgent = "urgent"
	normal = "normal"
)

// Queue rings bells and answers them.
type Queue struct {
	redis   redis.UniversalClient
	client  *asynq.Client
	bells   chan process.Bell
	own     backlog         // answered in this process; what does not fit others may have
	serving atomic.Bool     // this process has workers
	places  chan struct{}   // one for each that works on what this process rang
	work    context.Context // of those
	log     *slog.Logger
	every   time.Duration
	dropped atomic.Int64
}

// New returns a queue over client; the caller closes the client.
func New(client redis.UniversalClient, log *slog.Logger) *Queue {
	return &Queue{redis: client, client: asynq.NewClientFromRedisClient(client), bells: make(chan process.Bell, 10_000),
		own: newBacklog(), log: log, every: 5 * time.Millisecond}
}

// Patient makes an idle worker look into the queue less often, for a Redis that
// feels every look. It is for servers that answer most of their bells themselves.
func (q *Queue) Patient() { q.every = 100 * time.Millisecond }

// Ring asks for each process to be looked at. It never waits: the workers of this
// process take the bell if they will soon be free, else it goes to the queue, and
// what does not fit into the buffer is found by the reconciler.
func (q *Queue) Ring(bells []process.Bell) {
	for i, b := range bells {
		if q.serving.Load() && q.own.put(b) {
			continue
		}
		select {
		case q.bells <- b:
		default:
			q.dropped.Add(int64(len(bells) - i))
			return
		}
	}
}

// Dropped counts the bells that were left to the reconciler because too many waited
// to be sent.
func (q *Queue) Dropped() int64 { return q.dropped.Load() }

// Run sends what was rung until ctx ends.
func (q *Queue) Run(ctx context.Context) error {
	const senders = 4
	for range senders - 1 {
		go q.send(ctx)
	}
	q.send(ctx)
	return nil
}

func (q *Queue) send(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case b := <-q.bells:
			if err := q.enqueue(ctx, b); err != nil && ctx.Err() == nil {
				q.log.DebugContext(ctx, "bell was not heard", "id", b.ID, "err", err)
			}
		}
	}
}

// enqueue names the task by the wake and the claim, so that a new wake is never
// taken for an old task that still stands in the queue, active or archived.
func (q *Queue) enqueue(ctx context.Context, b process.Bell) error {
	payload := binary.BigEndian.AppendUint64(nil, uint64(b.ID))
	name := normal
	if b.Priority > 0 {
		name = urgent
	}
	id := fmt.Sprintf("process:%d:%d:%d", b.ID, b.WakeSeq, b.RunEpoch)
	put := func(id string) error {
		_, err := q.client.EnqueueContext(ctx, asynq.NewTask(task, payload), asynq.TaskID(id),
			asynq.Queue(name), asynq.MaxRetry(1000), asynq.Timeout(time.Hour))
		return err
	}
	err := put(id)
	if errors.Is(err, asynq.ErrTaskIDConflict) && q.taken(name, id) {
		err = put(fmt.Sprint(id, ":", time.Now().Unix()/int64(again/time.Second)))
	}
	if errors.Is(err, asynq.ErrTaskIDConflict) {
		return nil
	}
	return err
}

// again is how often the same bell is rung anew for a process whose task was taken.
const again = 4 * time.Second

// taken tells whether somebody has taken a task from the queue, which may have died or
// stood still before it looked at the process: Asynq would give the task to another
// after two minutes only.
func (q *Queue) taken(queue, id string) bool {
	info, err := asynq.NewInspectorFromRedisClient(q.redis).GetTaskInfo(queue, id)
	return err == nil && (info.State == asynq.TaskStateActive || info.State == asynq.TaskStateArchived || info.State == asynq.TaskStateCompleted)
}

// Depths counts what waits for a worker, by queue: there, and of what this process has
// rung for itself.
func (q *Queue) Depths() (map[string]int, error) {
	inspector := asynq.NewInspectorFromRedisClient(q.redis)
	there, err := inspector.Queues()
	if err != nil {
		return nil, err
	}
	depths := map[string]int{urgent: len(q.own.urgent), normal: len(q.own.normal)}
	for name := range depths {
		if !slices.Contains(there, name) {
			continue // nothing was ever put into it
		}
		info, err := inspector.GetQueueInfo(name)
		if err != nil {
			return nil, err
		}
		depths[name] += info.Pending
	}
	return depths, nil
}

// Serve answers bells with up to slots at a time until ctx ends, then waits a
// moment for those at work. What look returns as an error is looked at again.
func (q *Queue) Serve(ctx context.Context, slots int, look func(ctx context.Context, b process.Bell) error) error {
	work, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	server := asynq.NewServerFromRedisClient(q.redis, asynq.Config{
		Concurrency:              slots,
		Queues:                   map[string]int{urgent: 3, normal: 7},
		TaskCheckInterval:        q.every,
		DelayedTaskCheckInterval: time.Second,
		JanitorInterval:          time.Minute,
		ShutdownTimeout:          3 * time.Second,
		BaseContext:              func() context.Context { return work },
		RetryDelayFunc:           func(int, error, *asynq.Task) time.Duration { return time.Second },
		IsFailure:                func(error) bool { return false },
		Logger:                   quiet{q.log},
		LogLevel:                 asynq.WarnLevel,
	})
	err := server.Start(asynq.HandlerFunc(func(_ context.Context, t *asynq.Task) error {
		if len(t.Payload()) != 8 {
			return nil
		}
		return look(work, process.Bell{ID: int64(binary.BigEndian.Uint64(t.Payload()))})
	}))
	if err != nil {
		return fmt.Errorf("cannot serve the queue: %w", err)
	}
	q.places, q.work = make(chan struct{}, slots), work
	for range slots {
		go q.serveOwn(ctx, look)
	}
	q.serving.Store(true)
	<-ctx.Done()
	q.serving.Store(false) // what still waits for them the reconciler finds
	server.Stop()
	server.Shutdown()
	q.drain(3 * time.Second)
	return nil
}

// drain waits for those at work. Whoever takes longer is left alone: the lease runs
// out, and another goes on.
func (q *Queue) drain(most time.Duration) {
	over := time.After(most)
	for range cap(q.places) {
		select {
		case q.places <- struct{}{}:
		case <-over:
			return
		}
	}
}

// Place keeps one of the slots of this process for work that comes without a bell, or
// answers nil if none is free. The caller calls use once: with the work, which begins
// then, or with nil to give the place back.
func (q *Queue) Place() (use func(work func(ctx context.Context))) {
	if !q.serving.Load() {
		return nil
	}
	select {
	case q.places <- struct{}{}:
	default:
		return nil
	}
	return func(work func(ctx context.Context)) {
		if work == nil {
			<-q.places
			return
		}
		go func() {
			defer func() { <-q.places }()
			work(q.work)
		}()
	}
}

// serveOwn answers bells that were rung in this process. One that could not be
// answered is left to the reconciler.
func (q *Queue) serveOwn(ctx context.Context, look func(ctx context.Context, b process.Bell) error) {
	for {
		b, ok := q.own.take(ctx)
		if !ok {
			return
		}
		select {
		case q.places <- struct{}{}:
		case <-ctx.Done(): // the reconciler finds it
			return
		}
		if err := look(q.work, b); err != nil {
			q.log.DebugContext(ctx, "look failed", "id", b.ID, "err", err)
		}
		<-q.places
	}
}

// quiet lets Asynq speak through slog. What it calls an error is noise to us: the
// rows know what is to be done.
type quiet struct{ log *slog.Logger }

func (l quiet) Debug(a ...any) {}
func (l quiet) Info(a ...any)  {}
func (l quiet) Warn(a ...any)  { l.log.Debug("queue", "says", fmt.Sprint(a...)) }
func (l quiet) Error(a ...any) { l.log.Debug("queue", "says", fmt.Sprint(a...)) }
func (l quiet) Fatal(a ...any) { l.log.Error("queue", "says", fmt.Sprint(a...)) }

package chaos

import (
	"context"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"sync"
	"syscall"
	"time"
)

// fault is one way in which an installation is made to fail, over and over until ctx
// ends. It leaves nothing broken behind.
type fault struct {
	name, about string
	run         func(r *rig, ctx context.Context, chance *rand.Rand)
}

var faults = []fault{
	{"kill", "each server is killed about every 20 s, and comes back", (*rig).kill},
	{"end", "a server is asked to end, and comes back", (*rig).endGracefully},
	{"freeze", "a worker or scheduler stands still for two leases, and goes on", (*rig).freeze},
	{"flush", "Redis is emptied every second", (*rig).flush},
	{"redis", "Redis dies, and comes back empty or with what it had a while ago", (*rig).loseRedis},
	{"loss", "30 % of all messages get lost, 30 % come twice, 10 % come late", (*rig).loseMessages},
	{"sql", "Postgres is killed about once a minute, and comes back", (*rig).losePostgres},
	{"commit", "1 % of all commits are done and their answer is lost", (*rig).loseCommits},
	{"serial", "Postgres refuses 2 % of the writes of processes for a reason that passes", (*rig).refuseWrites},
	{"net", "connections of agents are reset or stand still for a while", (*rig).clog},
	{"hosts", "hosts are slow, silent, fail, or fail to say what they did", (*rig).misbehave},
}

// lease is how long a claim of the servers stays in force; they run with their
// defaults.
const lease = 6 * time.Second

// inject runs the chosen faults until ctx ends.
func (r *rig) inject(ctx context.Context) {
	var all sync.WaitGroup
	for _, f := range faults {
		if slices.Contains(r.faults, f.name) {
			all.Go(func() { f.run(r, ctx, r.chance(f.name)) })
		}
	}
	all.Wait()
}

// strike counts what a fault did.
func (r *rig) strike(fault, what string) {
	r.tally.add(what)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.struck[fault] = true
}

// allStruck tells whether each of the chosen faults came at least once. Those that
// are there all the time did.
func (r *rig) allStruck() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, name := range []string{"kill", "end", "freeze", "flush", "redis", "sql", "net"} {
		if slices.Contains(r.faults, name) && !r.struck[name] {
			return false
		}
	}
	return true
}

// chance is a source of its own for each use, drawn from the seed.
func (r *rig) chance(use string) *rand.Rand {
	h := fnv.New64a()
	_, _ = h.Write([]byte(use))
	return rand.New(rand.NewPCG(r.seed, h.Sum64()))
}

// about is a time around d.
func about(chance *rand.Rand, d time.Duration) time.Duration {
	return d/2 + time.Duration(chance.Int64N(int64(d)))
}

// mend makes whole what faults or their interruption left.
func (r *rig) mend(ctx context.Context) error {
	r.messages.Lose.Store(0)
	r.messages.Repeat.Store(0)
	r.messages.Delay.Store(0)
	for _, p := range r.parts {
		if p.died() {
			r.tally.add("ended by themselves")
			if err := p.start(); err != nil {
				return err
			}
		}
	}
	return r.allServe(ctx)
}

func (r *rig) kill(ctx context.Context, chance *rand.Rand) {
	for pause(ctx, about(chance, 20*time.Second/time.Duration(len(r.parts)))) {
		p := r.parts[chance.IntN(len(r.parts))]
		down := about(chance, time.Second)
		go r.again(ctx, p, "kill", "killed "+p.profile, syscall.SIGKILL, down)
	}
}

func (r *rig) endGracefully(ctx context.Context, chance *rand.Rand) {
	for pause(ctx, about(chance, 8*time.Second)) {
		p := r.parts[chance.IntN(len(r.parts))]
		r.again(ctx, p, "end", "asked to end", syscall.SIGTERM, 0)
	}
}

// again ends a part and starts it anew, unless another fault works on it.
func (r *rig) again(ctx context.Context, p *part, fault, what string, how syscall.Signal, down time.Duration) {
	if !p.busy.TryLock() {
		return
	}
	defer p.busy.Unlock()
	if p.died() {
		r.tally.add("ended by themselves")
	} else {
		r.strike(fault, what)
		p.note(time.Now(), time.Time{})
		p.signal(how)
		select {
		case <-p.ended:
		case <-time.After(20 * time.Second):
			r.tally.add("did not end when asked")
			p.signal(syscall.SIGKILL)
			<-p.ended
		}
	}
	pause(ctx, down)
	if err := p.start(); err != nil {
		fmt.Println(err)
		return
	}
	_ = p.serves(ctx)
}

func (r *rig) freeze(ctx context.Context, chance *rand.Rand) {
	able := append(r.of("worker"), r.of("scheduler")...)
	for d := about(chance, 3*time.Second); pause(ctx, d); d = about(chance, 8*time.Second) {
		p := able[chance.IntN(len(able))]
		p.busy.Lock()
		r.strike("freeze", "frozen "+p.profile)
		since := time.Now()
		p.signal(syscall.SIGSTOP)
		pause(ctx, 2*lease+about(chance, time.Second))
		p.note(since, time.Now())
		p.signal(syscall.SIGCONT)
		p.busy.Unlock()
	}
}

func (r *rig) flush(ctx context.Context, _ *rand.Rand) {
	for pause(ctx, time.Second) {
		if r.redis.Flush() == nil {
			r.strike("flush", "emptied Redis")
		}
	}
}

func (r *rig) loseRedis(ctx context.Context, chance *rand.Rand) {
	for d := about(chance, 6*time.Second); pause(ctx, d); d = about(chance, 40*time.Second) {
		old := chance.IntN(2) == 0
		if old {
			_ = r.redis.Save()
			pause(ctx, about(chance, 3*time.Second))
		}
		r.redis.Kill()
		pause(ctx, about(chance, 3*time.Second))
		if err := r.redis.Start(); err != nil {
			fmt.Println(err)
			return
		}
		r.redis.Forget()
		r.strike("redis", map[bool]string{true: "Redis back with older data", false: "Redis back empty"}[old])
	}
}

func (r *rig) loseMessages(ctx context.Context, _ *rand.Rand) {
	r.messages.Lose.Store(300)
	r.messages.Repeat.Store(300)
	r.messages.Delay.Store(100)
	<-ctx.Done()
	r.messages.Lose.Store(0)
	r.messages.Repeat.Store(0)
	r.messages.Delay.Store(0)
}

func (r *rig) losePostgres(ctx context.Context, chance *rand.Rand) {
	for d := about(chance, 8*time.Second); pause(ctx, d); d = about(chance, time.Minute) {
		r.postgres.Kill()
		pause(ctx, about(chance, time.Second))
		if err := r.postgres.Start(); err != nil {
			fmt.Println(err)
			return
		}
		r.strike("sql", "Postgres killed")
	}
}

func (r *rig) loseCommits(ctx context.Context, _ *rand.Rand) {
	r.commits.Lose.Store(10)
	<-ctx.Done()
	r.commits.Lose.Store(0)
}

func (r *rig) refuseWrites(ctx context.Context, _ *rand.Rand) {
	r.refuseShare(ctx, 0.02)
	<-ctx.Done()
	r.refuseShare(context.WithoutCancel(ctx), 0)
}

func (r *rig) clog(ctx context.Context, chance *rand.Rand) {
	for pause(ctx, about(chance, 4*time.Second)) {
		gate := r.gates[chance.IntN(len(r.gates))]
		if chance.IntN(2) == 0 {
			gate.Cut()
			r.strike("net", "agents cut off")
			continue
		}
		r.strike("net", "agents clogged")
		gate.Stall(true)
		pause(ctx, about(chance, 3*time.Second))
		gate.Stall(false)
	}
}

func (r *rig) misbehave(ctx context.Context, _ *rand.Rand) {
	h := r.hosts
	h.slow.Store(30)
	h.silent.Store(10)
	h.mute.Store(10)
	h.fail.Store(5)
	h.lie.Store(10)
	<-ctx.Done()
	h.quiet()
}

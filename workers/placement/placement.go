// Package placement decides on which host and in which pools an instance lives. It
// decides in the transaction of the process that asks, so that a decision and what
// it takes from the host are there together or not at all.
package placement

import (
	"context"
	"iter"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/cattleio/cattle/shared/process"
	"github.com/cattleio/cattle/shared/resource"
	"github.com/cattleio/cattle/shared/schema"
	"github.com/cattleio/cattle/shared/store"
)

// None is what a user reads when no host will do.
const None = "Failed to find a placement"

// units is the part of a run that placement needs beside process.Run: it counts
// down what a host has left in one statement, which no read and write would do.
type units interface {
	Unit(ctx context.Context, types ...string) (*store.Tx, error)
}

// decisive are the types of row that a placement is decided by.
var decisive = []string{"host", "agent", "storagePool", "storagePoolHostMap", "imageStoragePoolMap"}

// returned marks a placement whose compute has been given back.
const returned = "deallocated"

// Place records a host for the instance and a pool for each of its volumes, unless
// it has them. The host has most compute left among those that fit.
func Place(ctx context.Context, run process.Run, instance *schema.Row) error {
	present, err := placed(ctx, run, instance)
	if err != nil {
		return err
	}
	volumes, err := volumesOf(ctx, run, instance)
	if err != nil {
		return err
	}
	nics, err := nicsOf(ctx, run, instance)
	if err != nil {
		return err
	}
	if len(present) > 0 && !slices.ContainsFunc(volumes, func(v volume) bool { return len(v.pools) == 0 }) && !slices.ContainsFunc(nics, nic.unset) {
		return nil
	}
	tx, err := run.(units).Unit(ctx, decisive...)
	if err != nil {
		return err
	}
	need, err := needs(ctx, run, tx, instance, present, volumes)
	if err != nil {
		return err
	}
	if need.wants(nics); need.impossible {
		return &process.Failure{Message: None}
	}
	// What was read a moment ago will mostly do; before nobody fits, all are asked.
	lists := []func(context.Context, store.Wanted) ([]store.Candidate, error){tx.Likely, tx.Candidates}
	away := resource.InstanceOption(run.Data(), resource.LostHost) != nil
	if away { // not to another that is gone
		lists = lists[1:] // a moment ago the host that is gone may have been there
	}
	for _, list := range lists {
		candidates, err := list(ctx, need.Wanted)
		if err != nil {
			return err
		}
		for c := range spread(candidates, run.Setting("simple.allocator.spread") != "false") {
			if c.Silent && away {
				continue
			}
			ok, err := try(ctx, run, tx, instance, c, nics, volumes, len(present) > 0, need.Compute)
			if ok || err != nil {
				return err
			}
		}
	}
	return &process.Failure{Message: None}
}

// Joining says whether a host is there whose agent is being activated: it is shown as
// active a moment before instances are placed on it.
func Joining(ctx context.Context, run process.Run) (bool, error) {
	tx, err := run.(units).Unit(ctx, decisive...)
	if err != nil {
		return false, err
	}
	return tx.Joining(ctx)
}

// Release gives the compute of the instance back to its hosts, once.
func Release(ctx context.Context, run process.Run, instance *schema.Row) error {
	present, err := placed(ctx, run, instance)
	if err != nil {
		return err
	}
	tx, err := run.(units).Unit(ctx, decisive...)
	if err != nil {
		return err
	}
	for _, tie := range present {
		if done, _ := tie.Data()[returned].(bool); done {
			continue
		}
		if err := tx.Give(ctx, tie.Int("hostId"), compute(run, instance)); err != nil {
			return err
		}
		tie.Data()[returned] = true
		tie.Touch()
		if err := run.Save(ctx, tie); err != nil {
			return err
		}
	}
	return nil
}

func placed(ctx context.Context, run process.Run, instance *schema.Row) ([]*schema.Row, error) {
	ties, err := run.Find(ctx, "instanceHostMap", process.Match{"instanceId": instance.ID()})
	return living(ties), err
}

func living(rows []*schema.Row) []*schema.Row {
	return slices.DeleteFunc(slices.Clone(rows), func(r *schema.Row) bool { return r.Removed() })
}

// volume is a volume and the pools that it is in already.
type volume struct {
	row   *schema.Row
	pools []int64
}

func volumesOf(ctx context.Context, run process.Run, instance *schema.Row) ([]volume, error) {
	rows, err := run.Find(ctx, "volume", process.Match{"instanceId": instance.ID()})
	if err != nil {
		return nil, err
	}
	var out []volume
	for _, row := range living(rows) {
		ties, err := run.Find(ctx, "volumeStoragePoolMap", process.Match{"volumeId": row.ID()})
		if err != nil {
			return nil, err
		}
		v := volume{row: row}
		for _, tie := range living(ties) {
			v.pools = append(v.pools, tie.Int("storagePoolId"))
		}
		out = append(out, v)
	}
	return out, nil
}

// need is what a host must have, or the knowledge that none can.
type need struct {
	store.Wanted
	impossible bool
}

func needs(ctx context.Context, run process.Run, tx *store.Tx, instance *schema.Row, present []*schema.Row, volumes []volume) (need, error) {
	n := need{Wanted: store.Wanted{Compute: compute(run, instance)}}
	if len(present) > 0 {
		n.Compute = 0
		for _, tie := range present {
			n.Hosts = append(n.Hosts, tie.Int("hostId"))
		}
	} else {
		n.narrow(instance)
	}
	for _, v := range volumes {
		n.Pools = append(n.Pools, v.pools...)
	}
	return n, n.kinds(ctx, run, tx, instance)
}

// narrow restricts the hosts to those that the instance names: requestedHostId out
// of validHostIds where both are given.
func (n *need) narrow(instance *schema.Row) {
	for _, id := range asList(instance.Field("validHostIds")) {
		n.Hosts = append(n.Hosts, id)
	}
	if id := asInt(instance.Field("requestedHostId")); id != 0 {
		if len(n.Hosts) > 0 && !slices.Contains(n.Hosts, id) {
			n.impossible = true
		}
		n.Hosts = []int64{id}
	}
}

// kinds restricts the kind of host by the pools that offer the image: what a
// simulated or a Docker pool offers runs there only, anything else elsewhere. The
// name of an image that such a pool brings tells its kind.
func (n *need) kinds(ctx context.Context, run process.Run, tx *store.Tx, instance *schema.Row) error {
	n.NotKinds = []string{"sim", "docker"}
	image := instance.Int("imageId")
	if image == 0 {
		return nil
	}
	row, err := run.Get(ctx, "image", image)
	if err != nil {
		return err
	}
	if kind, _, ok := strings.Cut(row.UUID(), ":"); ok && slices.Contains(n.NotKinds, kind) {
		n.Kind, n.NotKinds = kind, nil
		return nil
	}
	found, err := tx.Offered(ctx, image, "sim", "docker")
	switch len(found) {
	case 0:
	case 1:
		n.Kind, n.NotKinds = found[0], nil
	default:
		n.impossible = true
	}
	return err
}

func compute(run process.Run, instance *schema.Row) int64 {
	if n := instance.Int("compute"); n > 0 {
		return n
	}
	return max(asInt(run.Setting("instance.compute.default")), 1)
}

// spread offers candidates: those that are silent last, for they may be back in a moment;
// most compute left first (or least, to pack), equals in a random order so that many
// decisions at once do not meet on one host. Mostly the first will do, so that they are
// not sorted.
func spread(all []store.Candidate, most bool) iter.Seq[store.Candidate] {
	return func(yield func(store.Candidate) bool) {
		for left := all; len(left) > 0; {
			best, equals := 0, 1
			for i := 1; i < len(left); i++ {
				switch free, top := left[i].Free, left[best].Free; {
				case left[i].Silent != left[best].Silent:
					if left[best].Silent {
						best, equals = i, 1
					}
				case free == top:
					if equals++; rand.IntN(equals) == 0 {
						best = i
					}
				case (free > top) == most:
					best, equals = i, 1
				}
			}
			if !yield(left[best]) {
				return
			}
			left[best] = left[len(left)-1]
			left = left[:len(left)-1]
		}
	}
}

// try takes a host, if it still has what is needed.
func try(ctx context.Context, run process.Run, tx *store.Tx, instance *schema.Row, c store.Candidate, nics []nic, volumes []volume, kept bool, compute int64) (bool, error) {
	read := func() error { return preload(ctx, run, c, instance.Int("imageId")) }
	if !kept {
		if ok, err := tx.Take(ctx, c.Host, c.Pools[0], compute, read); !ok || err != nil {
			return false, err
		}
		if _, err := run.Create(ctx, "instanceHostMap", map[string]any{"instanceId": instance.ID(), "hostId": c.Host}); err != nil {
			return false, err
		}
	}
	if err := plug(ctx, run, nics, c.Host); err != nil {
		return false, err
	}
	for _, v := range volumes {
		if len(v.pools) > 0 {
			continue
		}
		if _, err := run.Create(ctx, "volumeStoragePoolMap", map[string]any{"volumeId": v.row.ID(), "storagePoolId": c.Pools[0]}); err != nil {
			return false, err
		}
	}
	return true, nil
}

// preload reads what the commands to the chosen host are about.
func preload(ctx context.Context, run process.Run, c store.Candidate, image int64) error {
	wants := []process.Want{{Type: "host", Match: process.Match{"id": c.Host}}, {Type: "storagePool", Match: process.Match{"id": c.Pools[0]}}}
	if c.Agent != 0 {
		wants = append(wants, process.Want{Type: "agent", Match: process.Match{"id": c.Agent}})
	}
	if image != 0 {
		wants = append(wants, process.Want{Type: "imageStoragePoolMap", Match: process.Match{"imageId": image, "storagePoolId": c.Pools[0]}})
	}
	return run.Preload(ctx, wants...)
}

func asInt(v any) int64 {
	switch n := v.(type) {
	case float64:
		return int64(n)
	case int64:
		return n
	case string:
		var i int64
		for _, r := range n {
			if r < '0' || r > '9' {
				return 0
			}
			i = i*10 + int64(r-'0')
		}
		return i
	}
	return 0
}

func asList(v any) []int64 {
	list, _ := v.([]any)
	var out []int64
	for _, x := range list {
		if n := asInt(x); n != 0 {
			out = append(out, n)
		}
	}
	return out
}

package handler

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/cattleio/cattle/shared/process"
	"github.com/cattleio/cattle/shared/resource"
	"github.com/cattleio/cattle/shared/schema"
	"github.com/cattleio/cattle/shared/wire"
	"github.com/cattleio/cattle/workers/placement"
)

// An instance leaves a host that is gone without the agent there being asked: what ties
// it to the place counts as removed at once, and goes through its own deactivate and
// remove, which wait for that agent. As soon as the host is back, what may still run there
// is so stopped and taken away. These commands carry the epoch that
// the instance had when it left: the agent refuses them if it has since been brought
// back to that host.

// leftKey is where the data of such a tie keeps that epoch.
const leftKey = "left"

func leaveHandlers() []process.Handler {
	return []process.Handler{
		after("LeftRemove", process.Default, leftRemove, "instancehostmap.deactivate", "volumestoragepoolmap.deactivate"),
	}
}

// left tells whether a tie was given up while its agent was gone, and at which epoch. It
// counts as removed then: of no other row are the data read.
func left(tie *schema.Row) (epoch int64, yes bool) {
	if !tie.Removed() {
		return 0, false
	}
	v, yes := tie.Data()[leftKey]
	return integer(v), yes
}

// lostHost is the host that the data of a process says to leave, 0 for none.
func lostHost(run process.Run) int64 {
	return integer(resource.InstanceOption(run.Data(), resource.LostHost))
}

// lost tells whether the agent of a host is not there to be asked.
func lost(ctx context.Context, run process.Run, id int64) (bool, error) {
	host, err := run.Get(ctx, "host", id)
	if err != nil || host.Int("agentId") == 0 {
		return false, err
	}
	agent, err := run.Get(ctx, "agent", host.Int("agentId"))
	if err != nil {
		return false, err
	}
	return agent.State() != "active" || agent.Int("disconnectedSince") != 0, nil
}

// leave gives up the place of an instance on a host, and those of its volumes that this
// host alone can reach.
func leave(ctx context.Context, run process.Run, instance *schema.Row, host int64) error {
	if err := placement.Release(ctx, run, instance); err != nil {
		return err
	}
	volumes, err := find(ctx, run, "volume", process.Match{"instanceId": instance.ID()})
	if err != nil {
		return err
	}
	for _, v := range volumes {
		if err := leavePools(ctx, run, v); err != nil {
			return err
		}
	}
	ties, err := kept(ctx, run, "instanceHostMap", process.Match{"instanceId": instance.ID(), "hostId": host})
	if err != nil {
		return err
	}
	for _, tie := range ties {
		if err := abandon(ctx, run, tie, instance); err != nil {
			return err
		}
	}
	return forgetAddresses(ctx, run, instance)
}

// leavePools gives up the places of a volume in pools of one host. It is made anew out
// of its image where the instance starts next.
func leavePools(ctx context.Context, run process.Run, volume *schema.Row) error {
	ties, err := kept(ctx, run, "volumeStoragePoolMap", process.Match{"volumeId": volume.ID()})
	if err != nil {
		return err
	}
	stays := false
	for _, tie := range ties {
		hosts, err := find(ctx, run, "storagePoolHostMap", process.Match{"storagePoolId": tie.Int("storagePoolId")})
		if err != nil {
			return err
		}
		if len(hosts) > 1 {
			stays = true
			continue
		}
		if err := abandon(ctx, run, tie, volume); err != nil {
			return err
		}
	}
	if stays {
		return nil
	}
	for _, name := range []string{"volume.deactivate", "volume.deallocate"} {
		if err := run.Execute(ctx, name, volume, nil); err != nil && !process.IsCanceled(err) {
			return err
		}
	}
	return nil
}

// kept finds the ties that have not been given up to the end.
func kept(ctx context.Context, run process.Run, typ string, match process.Match) ([]*schema.Row, error) {
	rows, err := run.Find(ctx, typ, match)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(slices.Clone(rows), func(r *schema.Row) bool {
		_, yes := left(r)
		return gone(r) && !(yes && farewell(r) != "")
	}), nil
}

// abandon gives up a tie to what is gone.
func abandon(ctx context.Context, run process.Run, tie, fenced *schema.Row) error {
	if _, yes := left(tie); !yes {
		tie.Data()[leftKey] = float64(fenced.Int("claimEpoch"))
		tie.Touch()
		tie.Set("removed", run.Now())
		if err := run.Save(ctx, tie); err != nil {
			return err
		}
	}
	name := farewell(tie)
	if name == "" {
		return nil
	}
	if err := run.Schedule(ctx, lower(tie)+name, tie, nil); err != nil && !process.IsCanceled(err) {
		return err
	}
	return nil
}

// farewell is what a tie that is given up still has to go through, "" if it is on its way.
// The host may have begun what is activating; of what is not it knows nothing that runs.
func farewell(tie *schema.Row) string {
	switch tie.State() {
	case "active", "activating":
		return ".deactivate"
	case "requested", "registering", "inactive":
		return ".remove"
	}
	return ""
}

// forgetAddresses takes the addresses of the host from the ports of an instance that
// leaves it.
func forgetAddresses(ctx context.Context, run process.Run, instance *schema.Row) error {
	ports, err := find(ctx, run, "port", process.Match{"instanceId": instance.ID()})
	if err != nil {
		return err
	}
	for _, port := range ports {
		if port.Get("publicIpAddressId") == nil {
			continue
		}
		port.Set("publicIpAddressId", nil)
		if err := run.Save(ctx, port); err != nil {
			return err
		}
	}
	return nil
}

// leftCommand sends a command about a tie that was given up. There is nothing to do
// where what it tied has come back by right.
func leftCommand(ctx context.Context, run process.Run, name string, agent int64, fence *schema.Row, place string) (*process.Answer, error) {
	tie := run.Resource()
	epoch, _ := left(tie)
	column := fence.Type().Name + "Id"
	now, err := find(ctx, run, tie.Type().Name, process.Match{column: tie.Int(column), place: tie.Int(place)})
	if err != nil {
		return nil, err
	}
	if len(now) > 0 || agent == 0 {
		return done()
	}
	data, err := run.Graph(ctx, tie)
	if err != nil {
		return nil, err
	}
	_, err = run.Call(ctx, process.Call{AgentID: agent, Name: name, Resource: tie, Fence: fence, Epoch: epoch, Data: data, Attempts: math.MaxInt32})
	var failure *process.Failure
	if errors.As(err, &failure) && failure.Message == wire.StaleCommand {
		return done()
	}
	if err != nil {
		return nil, err
	}
	return done()
}

// stopped waits until the instance of a volume has stopped where it was left behind.
func stopped(ctx context.Context, run process.Run, volume *schema.Row, agent int64) error {
	ties, err := run.Find(ctx, "instanceHostMap", process.Match{"instanceId": volume.Int("instanceId")})
	if err != nil {
		return err
	}
	for _, tie := range ties {
		if _, yes := left(tie); yes && (farewell(tie) == ".deactivate" || tie.State() == "deactivating") {
			return &process.WaitingError{For: fmt.Sprintf("instance %d to stop on host %d", tie.Int("instanceId"), tie.Int("hostId")), Agent: agent, After: 3 * time.Second}
		}
	}
	return nil
}

// leftRemove goes on to remove a tie that was given up.
func leftRemove(_ context.Context, run process.Run) (*process.Answer, error) {
	if _, yes := left(run.Resource()); !yes {
		return nil, nil
	}
	return &process.Answer{Delegate: true}, nil
}

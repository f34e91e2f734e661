package handler

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/cattleio/cattle/shared/process"
	"github.com/cattleio/cattle/shared/resource"
	"github.com/cattleio/cattle/shared/schema"
	"github.com/cattleio/cattle/shared/wire"
	"github.com/cattleio/cattle/workers/placement"
)

// Scopes under which the processes of an instance keep what they have to remember.
const (
	createScope  = "io.cattle.platform.process.instance.InstanceCreate"
	startScope   = "io.cattle.platform.process.instance.InstanceStart"
	optionsScope = resource.InstanceOptions
)

func instanceHandlers() []process.Handler {
	docker := after("DockerPostInstanceHostMapActivate", process.Specific, dockerStarted, "instancehostmap.activate")
	return []process.Handler{
		on("InstanceCreate", instanceCreate, "instance.create"),
		after("InstanceInstanceLinkCreate", process.Default, instanceLinks, "instance.create"),
		before("InstanceStartToken", process.First, startToken, "instance.start"),
		on("InstanceStart", instanceStart, "instance.start"),
		after("InstanceStartFirstRunning", process.Last, firstRunning, "instance.start"),
		on("InstanceStop", instanceStop, "instance.stop"),
		after("InstanceStopPostAction", process.Default, afterStop, "instance.stop"),
		on("InstanceRestart", instanceRestart, "instance.restart"),
		on("InstanceRemove", instanceRemove, "instance.remove"),
		on("InstanceRestore", instanceRestore, "instance.restore"),
		on("InstancePurge", instancePurge, "instance.purge"),
		on("InstanceAllocate", instanceAllocate, "instance.allocate"),
		on("InstanceDeallocate", instanceDeallocate, "instance.deallocate"),
		on("InstanceHostMapActivate", computeCommand(wire.ComputeInstanceActivate), "instancehostmap.activate"),
		on("InstanceHostMapDeactivate", computeCommand(wire.ComputeInstanceDeactivate), "instancehostmap.deactivate"),
		docker,
	}
}

// instanceCreate makes what belongs to an instance and goes on to start it.
func instanceCreate(ctx context.Context, run process.Run) (*process.Answer, error) {
	instance := run.Resource()
	private(run.Data(), createScope)["startOnCreate"] = true
	if err := importImage(ctx, run, instance); err != nil {
		return nil, err
	}
	if err := preloadInstance(ctx, run, instance); err != nil {
		return nil, err
	}
	if err := attachCredentials(ctx, run, instance); err != nil {
		return nil, err
	}
	if err := createVolumes(ctx, run, instance); err != nil {
		return nil, err
	}
	if err := createNics(ctx, run, instance); err != nil {
		return nil, err
	}
	start, given := instance.Field("startOnCreate").(bool)
	return &process.Answer{Delegate: start || !given}, nil
}

// importImage finds or makes the image of a container that others have begun, which is
// known by name alone. A virtual machine has none.
func importImage(ctx context.Context, run process.Run, instance *schema.Row) error {
	if !imported(instance) || instance.Kind() != "container" || instance.Int("imageId") != 0 {
		return nil
	}
	owner, err := systemAccount(ctx, run)
	if err != nil {
		return err
	}
	uuid, _ := instance.Field("imageUuid").(string)
	image, err := imageNamed(ctx, run, uuid, owner)
	if err != nil {
		return err
	}
	instance.Set("imageId", image)
	return run.Save(ctx, instance)
}

func imported(instance *schema.Row) bool {
	yes, _ := instance.Data()[resource.Imported].(bool)
	return yes
}

// createVolumes makes the root volume out of the image, and one more for each offering
// that the instance names. That of a virtual machine which others have begun has no image,
// and stands for what the host keeps of the machine.
func createVolumes(ctx context.Context, run process.Run, instance *schema.Row) error {
	root := map[string]any{}
	if image := instance.Int("imageId"); image != 0 {
		root["imageId"] = image
	}
	if len(root) > 0 || imported(instance) {
		if err := createVolume(ctx, run, instance, 0, root); err != nil {
			return err
		}
	}
	for i, offering := range integers(instance.Field("volumeOfferingIds")) {
		if err := createVolume(ctx, run, instance, int64(i+1), map[string]any{"offeringId": offering}); err != nil {
			return err
		}
	}
	return nil
}

func createVolume(ctx context.Context, run process.Run, instance *schema.Row, device int64, values map[string]any) error {
	values["attachedState"], values["accountId"] = "active", instance.Get("accountId")
	row, err := one(ctx, run, "volume", process.Match{"instanceId": instance.ID(), "deviceNumber": device}, values)
	if err != nil {
		return err
	}
	if err := run.Execute(ctx, "volume.create", row, nil); err != nil && !process.IsCanceled(err) {
		return err
	}
	return nil
}

// preloadInstance reads what the life of an instance revolves around.
func preloadInstance(ctx context.Context, run process.Run, instance *schema.Row) error {
	own := process.Match{"instanceId": instance.ID()}
	wants := []process.Want{{Type: "volume", Match: own}, {Type: "instanceHostMap", Match: own}, {Type: "nic", Match: own},
		{Type: "instanceLink", Match: own}, {Type: "port", Match: own}}
	for column, typ := range map[string]string{"accountId": "account", "imageId": "image"} {
		if id := instance.Int(column); id != 0 {
			wants = append(wants, process.Want{Type: typ, Match: process.Match{"id": id}})
		}
	}
	return run.Preload(ctx, wants...)
}

// attachCredentials ties the credentials that the instance names, or those that
// its account names, to it.
func attachCredentials(ctx context.Context, run process.Run, instance *schema.Row) error {
	ids := integers(instance.Field("credentialIds"))
	if len(ids) == 0 && instance.Int("accountId") != 0 {
		account, err := run.Get(ctx, "account", instance.Int("accountId"))
		if err != nil {
			return err
		}
		ids = integers(account.Field("defaultCredentialIds"))
	}
	for _, id := range ids {
		tie, err := one(ctx, run, "credentialInstanceMap", process.Match{"credentialId": id, "instanceId": instance.ID()}, nil)
		if err != nil {
			return err
		}
		if err := createThenActivate(ctx, run, tie, nil); err != nil {
			return err
		}
	}
	return nil
}

// instanceLinks makes a row for each link that the instance asks for.
func instanceLinks(ctx context.Context, run process.Run) (*process.Answer, error) {
	instance := run.Resource()
	wanted, ok := instance.Field("instanceLinks").(map[string]any)
	if !ok {
		return nil, nil
	}
	for name, target := range wanted {
		more := map[string]any{"accountId": instance.Get("accountId")}
		if id := integer(target); id != 0 {
			more["targetInstanceId"] = id
		}
		link, err := one(ctx, run, "instanceLink", process.Match{"instanceId": instance.ID(), "linkName": name}, more)
		if err != nil {
			return nil, err
		}
		if err := run.Execute(ctx, "instancelink.create", link, nil); err != nil && !process.IsCanceled(err) {
			return nil, err
		}
	}
	return nil, nil
}

// signs are those of base64 that do not stand in a token.
var signs = strings.NewReplacer("/", "", "=", "", "+", "")

func startToken(ctx context.Context, run process.Run) (*process.Answer, error) {
	instance := run.Resource()
	if instance.Str("token") != "" {
		return nil, nil
	}
	text := base64.StdEncoding.EncodeToString(random(64))
	instance.Set("token", signs.Replace(text))
	return nil, run.Save(ctx, instance)
}

// step is one checkpoint of a start.
type step struct {
	name   string
	weight int
	run    func(ctx context.Context, run process.Run, instance *schema.Row) error
}

var startSteps = []step{
	{"find placement", 5, func(ctx context.Context, run process.Run, instance *schema.Row) error {
		return run.Execute(ctx, "instance.allocate", instance, run.Data())
	}},
	{"create network", 5, activateNetwork},
	{"create storage", 80, func(ctx context.Context, run process.Run, instance *schema.Row) error {
		return onVolumes(ctx, run, instance, "volume.activate")
	}},
	{"create compute", 5, func(ctx context.Context, run process.Run, instance *schema.Row) error {
		return onChildren(ctx, run, "instanceHostMap", instance, "instancehostmap.activate", run.Data())
	}},
	{"post network", 5, func(ctx context.Context, run process.Run, instance *schema.Row) error {
		return onChildren(ctx, run, "port", instance, "port.activate", run.Data())
	}},
}

// instanceStart places the instance and brings up storage and compute. What a user
// or an agent has to mend ends the start; what may pass is tried again.
func instanceStart(ctx context.Context, run process.Run) (*process.Answer, error) {
	instance := run.Resource()
	if err := preloadInstance(ctx, run, instance); err != nil {
		return nil, err
	}
	percent := 0
	for _, s := range startSteps {
		run.Progress(ctx, process.Checkpoint{Name: s.name, Done: percent, Weight: s.weight})
		if err := s.run(ctx, run, instance); err != nil {
			return nil, startFailed(ctx, run, s.name, err)
		}
		percent += s.weight
	}
	address, err := primaryAddress(ctx, run, instance.ID())
	if err != nil || address == "" {
		return &process.Answer{}, err
	}
	return with(map[string]any{"primaryIpAddress": address})
}

// startFailed decides whether a failed step ends the start: then the instance is
// removed, if it was just created, or stopped, and shows why.
func startFailed(ctx context.Context, run process.Run, step string, err error) error {
	var failure *process.Failure
	if !errors.As(err, &failure) {
		return err
	}
	instance := run.Resource()
	if step == "find placement" && lostHost(run) != 0 {
		return &process.WaitingError{For: "a host in place of host " + strconv.FormatInt(lostHost(run), 10) + ": " + failure.Message, After: 5 * time.Second}
	}
	if failure.Message == placement.None {
		if err := awaitHost(ctx, run); err != nil {
			return err
		}
	}
	if step == "create compute" {
		tries := private(run.Data(), startScope)
		n := integer(tries["computeTry"]) + 1
		tries["computeTry"] = n
		limit := integer(dataOf(instance, startScope)["computeTries"])
		if limit == 0 {
			limit = number(run, "instance.compute.tries")
		}
		if n < limit {
			return err
		}
	}
	undo := "instance.stop"
	if created, _ := private(run.Data(), createScope)["startOnCreate"].(bool); created {
		undo = "instance.remove"
	}
	if err := run.Schedule(ctx, undo, instance, nil); err != nil {
		return err
	}
	shown := *failure
	shown.Shown = true
	return &shown
}

// joinTime is how long a start waits for hosts whose agents are being activated, ms.
const joinTime = 5000

// awaitHost waits, for a while, when a host that nobody may be placed on yet is joining:
// who sees it as active and asks for an instance at once is not refused.
func awaitHost(ctx context.Context, run process.Run) error {
	joining, err := placement.Joining(ctx, run)
	if err != nil || !joining {
		return err
	}
	since := private(run.Data(), startScope)
	if since["joining"] == nil {
		since["joining"] = float64(run.Now())
	}
	if run.Now()-integer(since["joining"]) > joinTime {
		return nil
	}
	return &process.WaitingError{For: "a host that is joining", After: 200 * time.Millisecond}
}

func dataOf(row *schema.Row, name string) map[string]any {
	m, _ := row.Data()[name].(map[string]any)
	return m
}

func activateNetwork(ctx context.Context, run process.Run, instance *schema.Row) error {
	if err := onChildren(ctx, run, "nic", instance, "nic.activate", run.Data()); err != nil {
		return err
	}
	return onChildren(ctx, run, "instanceLink", instance, "instancelink.activate", run.Data())
}

// onChildren runs a process on the rows of a type that belong to the instance.
func onChildren(ctx context.Context, run process.Run, typ string, instance *schema.Row, name string, data map[string]any) error {
	rows, err := find(ctx, run, typ, process.Match{"instanceId": instance.ID()})
	if err != nil {
		return err
	}
	return each(ctx, run, name, rows, data)
}

func onVolumes(ctx context.Context, run process.Run, instance *schema.Row, name string) error {
	return onChildren(ctx, run, "volume", instance, name, run.Data())
}

func firstRunning(ctx context.Context, run process.Run) (*process.Answer, error) {
	instance := run.Resource()
	if instance.Get("firstRunning") != nil {
		return nil, nil
	}
	instance.Set("firstRunning", run.Now())
	return nil, run.Save(ctx, instance)
}

func instanceStop(ctx context.Context, run process.Run) (*process.Answer, error) {
	instance := run.Resource()
	release, _ := run.Data()["deallocateFromHost"].(bool)
	if host := lostHost(run); host != 0 {
		if err := leave(ctx, run, instance, host); err != nil {
			return nil, err
		}
		release = true
	}
	for _, s := range []struct{ typ, name string }{
		{"instanceHostMap", "instancehostmap.deactivate"},
		{"nic", "nic.deactivate"},
		{"port", "port.deactivate"},
		{"instanceLink", "instancelink.deactivate"},
		{"volume", "volume.deactivate"},
	} {
		if err := onChildren(ctx, run, s.typ, instance, s.name, nil); err != nil {
			return nil, err
		}
	}
	release = release || instance.Str("allocationState") == "activating" // no host was found
	if !release {
		shared, err := onSharedStorage(ctx, run, instance)
		if err != nil {
			return nil, err
		}
		release = shared
	}
	if release {
		if err := run.Execute(ctx, "instance.deallocate", instance, nil); err != nil && !process.IsCanceled(err) {
			return nil, err
		}
	}
	return done()
}

// onSharedStorage tells whether every volume of the instance lies in pools that at
// least two hosts can use, so that it may start anywhere among them. An instance
// without a volume in a pool stays where it is.
func onSharedStorage(ctx context.Context, run process.Run, instance *schema.Row) (bool, error) {
	volumes, err := find(ctx, run, "volume", process.Match{"instanceId": instance.ID()})
	if err != nil {
		return false, err
	}
	seen := false
	for _, v := range volumes {
		ties, err := pools(ctx, run, v)
		if err != nil {
			return false, err
		}
		for _, tie := range ties {
			seen = true
			hosts, err := find(ctx, run, "storagePoolHostMap", process.Match{"storagePoolId": tie.Int("storagePoolId")})
			if err != nil || len(hosts) < 2 {
				return false, err
			}
		}
	}
	return seen, nil
}

// afterStop says what follows a stop.
func afterStop(_ context.Context, run process.Run) (*process.Answer, error) {
	if again, _ := resource.InstanceOption(run.Data(), resource.HARestart).(bool); again {
		switch run.Resource().Str("instanceTriggeredStop") {
		case "remove":
			return &process.Answer{Chain: "instance.remove"}, nil
		case "restart":
			return &process.Answer{Chain: "instance.start"}, nil
		}
		return nil, nil
	}
	if start, _ := resource.InstanceOption(run.Data(), "start").(bool); start {
		return &process.Answer{Chain: "instance.start"}, nil
	}
	if remove, _ := run.Data()["remove"].(bool); remove {
		return &process.Answer{Chain: "instance.remove"}, nil
	}
	return nil, nil
}

func instanceRestart(ctx context.Context, run process.Run) (*process.Answer, error) {
	if host := lostHost(run); host != 0 {
		away, err := lost(ctx, run, host)
		if err != nil {
			return nil, err
		}
		if !away {
			return done() // the host is back, and the instance has run on
		}
	}
	options := private(run.Data(), optionsScope)
	if again, _ := options[resource.HARestart].(bool); !again {
		options["start"] = true
	}
	return &process.Answer{Chain: "instance.stop"}, nil
}

// instanceRemove stops what may still run and removes what belongs to the instance.
func instanceRemove(ctx context.Context, run process.Run) (*process.Answer, error) {
	instance := run.Resource()
	if err := preloadInstance(ctx, run, instance); err != nil {
		return nil, err
	}
	if _, err := instanceStop(ctx, run); err != nil {
		return nil, err
	}
	if err := onChildren(ctx, run, "nic", instance, "nic.remove", nil); err != nil {
		return nil, err
	}
	if err := onVolumes(ctx, run, instance, "volume.remove"); err != nil {
		return nil, err
	}
	return done()
}

// instanceRestore brings the nics and volumes back. Without one of them that is purged the
// instance cannot be as it was: the user reads why.
func instanceRestore(ctx context.Context, run process.Run) (*process.Answer, error) {
	types := []string{"nic", "volume"}
	rows := map[string][]*schema.Row{}
	for _, typ := range types {
		var err error
		if rows[typ], err = run.Find(ctx, typ, process.Match{"instanceId": run.Resource().ID()}); err != nil {
			return nil, err
		}
		for _, row := range rows[typ] {
			if strings.HasPrefix(row.State(), "purg") {
				return nil, &process.Failure{Message: fmt.Sprintf("Cannot be restored: %s %s is %s", typ, row.Key(), row.State()), Shown: true}
			}
		}
	}
	for _, typ := range types {
		if err := each(ctx, run, typ+".restore", rows[typ], nil); err != nil {
			return nil, err
		}
	}
	return done()
}

func instancePurge(ctx context.Context, run process.Run) (*process.Answer, error) {
	instance := run.Resource()
	for _, typ := range []string{"port", "instanceLink"} {
		rows, err := find(ctx, run, typ, process.Match{"instanceId": instance.ID()})
		if err != nil {
			return nil, err
		}
		for _, row := range rows {
			if err := deactivateThenRemove(ctx, run, row, nil); err != nil {
				return nil, err
			}
		}
	}
	if err := run.Execute(ctx, "instance.deallocate", instance, nil); err != nil && !process.IsCanceled(err) {
		return nil, err
	}
	return done()
}

// instanceAllocate finds a host and a pool for each volume and records them.
func instanceAllocate(ctx context.Context, run process.Run) (*process.Answer, error) {
	instance := run.Resource()
	if err := placement.Place(ctx, run, instance); err != nil {
		return nil, err
	}
	for _, s := range []struct{ typ, name string }{
		{"instanceHostMap", "instancehostmap.create"}, {"volume", "volume.allocate"},
	} {
		rows, err := find(ctx, run, s.typ, process.Match{"instanceId": instance.ID()})
		if err != nil {
			return nil, err
		}
		for _, row := range rows {
			if err := run.Execute(ctx, s.name, row, nil); err != nil && !process.IsCanceled(err) {
				return nil, err
			}
		}
	}
	return done()
}

func instanceDeallocate(ctx context.Context, run process.Run) (*process.Answer, error) {
	instance := run.Resource()
	if err := placement.Release(ctx, run, instance); err != nil {
		return nil, err
	}
	ties, err := find(ctx, run, "instanceHostMap", process.Match{"instanceId": instance.ID()})
	if err != nil {
		return nil, err
	}
	for _, tie := range ties {
		if err := deactivateThenRemove(ctx, run, tie, nil); err != nil {
			return nil, err
		}
	}
	if err := unplug(ctx, run, instance); err != nil {
		return nil, err
	}
	return done()
}

func computeCommand(name string) logic {
	return func(ctx context.Context, run process.Run) (*process.Answer, error) {
		tie := run.Resource()
		host, err := run.Get(ctx, "host", tie.Int("hostId"))
		if err != nil {
			return nil, err
		}
		instance, err := run.Get(ctx, "instance", tie.Int("instanceId"))
		if err != nil {
			return nil, err
		}
		if _, yes := left(tie); yes {
			return leftCommand(ctx, run, name, host.Int("agentId"), instance, "hostId")
		}
		return command(ctx, run, name, host.Int("agentId"), instance, false)
	}
}

// hostOf returns the host that an instance is placed on, 0 for none.
func hostOf(ctx context.Context, run process.Run, instance int64) (int64, error) {
	ties, err := find(ctx, run, "instanceHostMap", process.Match{"instanceId": instance})
	if err != nil || len(ties) == 0 {
		return 0, err
	}
	return ties[0].Int("hostId"), nil
}

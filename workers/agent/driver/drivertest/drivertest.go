// Package drivertest holds the stories that every driver must be able to tell.
package drivertest

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/cattleio/cattle/shared/wire"
	"github.com/cattleio/cattle/workers/agent/driver"
)

// Subject is a driver and what it takes to use it.
type Subject struct {
	Driver driver.Driver
	// ImageUUID names an image that the host can get, Fields run it for a while.
	ImageUUID string
	Fields    map[string]any
	// Image and Pool are more columns of the image and of the pool.
	Image, Pool map[string]any
	// Break changes an instance so that it cannot be started.
	Break func(instance map[string]any)
}

// A script is a list of verbs; after each one is noted whether the instance runs,
// is gone, or the verb was refused.
var scripts = []struct{ script, want string }{
	{"image image", "gone gone"},
	{"image unimage", "gone gone"},
	{"volume volume unvolume unvolume", "gone gone gone gone"},
	{"start", "running"},
	{"start start", "running running"},
	{"start stop", "running gone"},
	{"start stop stop", "running gone gone"},
	{"start stop start", "running gone running"},
	{"stop", "gone"},
	{"remove", "gone"},
	{"start stop remove remove", "running gone gone gone"},
	{"start stop remove start", "running gone gone running"},
	{"start stop remove stop", "running gone gone gone"},
	{"start:broken", "refused"},
	{"start:broken start", "refused running"},
	{"start:broken stop remove", "refused gone gone"},
}

// Run tells all stories with a driver of its own each.
func Run(t *testing.T, open func(t *testing.T) Subject) {
	for _, story := range scripts {
		t.Run(story.script, func(t *testing.T) {
			t.Parallel()
			stage := NewStage(t, open(t))
			var got []string
			for _, verb := range strings.Fields(story.script) {
				got = append(got, stage.Do(verb))
			}
			if told := strings.Join(got, " "); told != story.want {
				t.Errorf("%s:\n got %s\nwant %s\nlast error: %v", story.script, told, story.want, stage.Err)
			}
		})
	}
	t.Run("host and pool belong together", func(t *testing.T) {
		t.Parallel()
		hostAndPool(t, open(t).Driver)
	})
}

func hostAndPool(t *testing.T, d driver.Driver) {
	all, err := d.Report(t.Context(), wire.PingOptions{Resources: true})
	if err != nil {
		t.Fatal(err)
	}
	byType := map[string]wire.Resource{}
	for _, r := range all {
		byType[r.Type] = r
	}
	host, pool, machine := byType["host"], byType["storagePool"], byType["physicalHost"]
	if host.UUID == "" || host.Kind != d.Kind() || pool.Kind != d.Kind() || pool.HostUUID != host.UUID {
		t.Errorf("pool %+v is not on host %+v", pool, host)
	}
	if machine.UUID == "" || host.PhysicalHostUUID != machine.UUID {
		t.Errorf("host %+v is not on machine %+v", host, machine)
	}
}

// Stage is one instance on one driver.
type Stage struct {
	Subject
	UUID string
	// Reply and Err are what the last verb gave.
	Reply any
	Err   error

	t *testing.T
}

// NewStage prepares an instance that does not exist yet, and removes it when the
// test is over.
func NewStage(t *testing.T, s Subject) *Stage {
	stage := &Stage{Subject: s, UUID: uuid.NewString(), t: t}
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		_, _ = stage.run(ctx, stage.Event(s.Driver.Kind(), stage.UUID, "stop"))
		_, _ = stage.run(ctx, stage.Event(s.Driver.Kind(), stage.UUID, "remove"))
	})
	return stage
}

// Do runs a verb and notes what became of the instance.
func (s *Stage) Do(verb string) string {
	s.t.Helper()
	for _, step := range steps(verb) {
		if s.Reply, s.Err = s.run(s.t.Context(), s.Event(s.Driver.Kind(), s.UUID, step)); s.Err != nil {
			return "refused"
		}
	}
	if s.Runs() {
		return "running"
	}
	return "gone"
}

// steps are the commands of a verb. A server has image and volume made ready before
// each start.
func steps(verb string) []string {
	bare, _, _ := strings.Cut(verb, ":")
	switch bare {
	case "start":
		return []string{"image", "volume", verb}
	case "volume", "unvolume":
		return []string{"image", verb}
	}
	return []string{verb}
}

// Runs tells whether the driver reports the instance.
func (s *Stage) Runs() bool {
	s.t.Helper()
	all, err := s.Driver.Report(s.t.Context(), wire.PingOptions{Instances: true})
	if err != nil {
		s.t.Fatal(err)
	}
	return slices.ContainsFunc(all, func(r wire.Resource) bool { return r.UUID == s.UUID && r.State == "running" })
}

func (s *Stage) run(ctx context.Context, e *wire.Event) (any, error) {
	task, err := driver.Decode(e)
	if err != nil {
		return nil, err
	}
	if task.Kind != s.Driver.Kind() {
		s.t.Fatalf("task of kind %q for driver %q", task.Kind, s.Driver.Kind())
	}
	return task.Run(ctx, s.Driver, nil)
}

// Event is the command of a verb for an instance on a host of a kind.
func (s *Subject) Event(kind, instanceUUID, verb string) *wire.Event {
	verb, fault, _ := strings.Cut(verb, ":")
	names := map[string]string{
		"image": wire.StorageImageActivate, "unimage": wire.StorageImageDeactivate,
		"volume": wire.StorageVolumeActivate, "unvolume": wire.StorageVolumeDeactivate, "remove": wire.StorageVolumeRemove,
		"start": wire.ComputeInstanceActivate, "stop": wire.ComputeInstanceDeactivate,
	}
	image := map[string]any{"uuid": s.ImageUUID}
	maps.Copy(image, s.Image)
	place := map[string]any{"kind": kind, "uuid": "place"}
	pool := maps.Clone(place)
	maps.Copy(pool, s.Pool)
	volume := map[string]any{"uuid": "volume-" + instanceUUID, "deviceNumber": 0, "image": image, "storagePools": []any{pool}}
	instance := map[string]any{
		"type": "instance", "uuid": instanceUUID, "hostname": nil, "image": image, "volumes": []any{maps.Clone(volume)},
		"data": map[string]any{"fields": s.Fields},
	}
	volume["instance"] = map[string]any{"uuid": instanceUUID}
	if fault == "broken" {
		s.Break(instance)
	}
	data := map[string]any{}
	switch verb {
	case "image", "unimage":
		data["imageStoragePoolMap"] = map[string]any{"image": instance["image"], "storagePool": pool}
	case "start", "stop":
		data["instanceHostMap"] = map[string]any{"instance": instance, "host": place}
	default:
		data["volumeStoragePoolMap"] = map[string]any{"storagePool": pool, "volume": volume}
	}
	raw, err := json.Marshal(data)
	if err != nil {
		panic(err) // it is all ours
	}
	replyTo := "reply.1"
	return &wire.Event{ID: uuid.NewString(), Name: names[verb], ReplyTo: &replyTo, Data: raw}
}

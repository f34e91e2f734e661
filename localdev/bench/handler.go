package bench

import (
	"context"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect/pgdialect"
)

// runHandler serves one list of containers with Fiber and bun, as somebody would write
// it who needs nothing else: no accounts, no schemas, no filters.
func runHandler(ctx context.Context, args []string) error {
	if len(args) != 2 {
		return errors.New("the handler wants the address of a database and a port")
	}
	raw, err := sql.Open("pgx", args[0])
	if err != nil {
		return err
	}
	raw.SetMaxOpenConns(8)
	raw.SetMaxIdleConns(8)
	db := bun.NewDB(raw, pgdialect.New())
	defer db.Close()
	app := fiber.New(fiber.Config{DisableStartupMessage: true})
	app.Get("/ping", func(c *fiber.Ctx) error { return c.SendString("pong") })
	app.Get("/v1/containers", func(c *fiber.Ctx) error { return handPage(c, db) })
	go func() {
		<-ctx.Done()
		_ = app.Shutdown()
	}()
	return app.Listen("127.0.0.1:" + args[1])
}

// handRow is a container as the table has it.
type handRow struct {
	bun.BaseModel `bun:"table:instance,alias:r"`

	ID                    int64
	Name, Description     *string
	Kind, UUID, State     string
	Created, Removed      *int64
	RemoveTime            *int64
	Data                  json.RawMessage `bun:"type:text"`
	AccountID             *int64
	AgentID               *int64
	AllocationState       *string
	Compute               *int64
	Domain                *string
	FirstRunning          *int64
	Hostname              *string
	ImageID               *int64
	InstanceTriggeredStop *string
	MemoryMb              *int64
	Token, Userdata       *string
}

// handFields is what the document of a container holds.
type handFields struct {
	Fields struct {
		Command          *string           `json:"command"`
		CommandArgs      []string          `json:"commandArgs"`
		Directory        *string           `json:"directory"`
		DockerVolumes    []string          `json:"dockerVolumes"`
		Environment      map[string]string `json:"environment"`
		ImageUUID        *string           `json:"imageUuid"`
		PrimaryIPAddress *string           `json:"primaryIpAddress"`
		Privileged       *bool             `json:"privileged"`
		RequestedHostID  *int64            `json:"requestedHostId"`
		StartOnCreate    *bool             `json:"startOnCreate"`
		User             *string           `json:"user"`
		ValidHostIDs     []int64           `json:"validHostIds"`
	} `json:"fields"`
}

// handContainer is a container as clients read it.
type handContainer struct {
	ID                    string            `json:"id"`
	Type                  string            `json:"type"`
	Links                 map[string]string `json:"links"`
	Actions               map[string]string `json:"actions"`
	AccountID             *string           `json:"accountId"`
	AgentID               *string           `json:"agentId"`
	AllocationState       *string           `json:"allocationState"`
	Command               *string           `json:"command"`
	CommandArgs           []string          `json:"commandArgs"`
	Compute               *int64            `json:"compute"`
	Created               *string           `json:"created"`
	CreatedTS             *int64            `json:"createdTS,omitempty"`
	Data                  json.RawMessage   `json:"data"`
	Description           *string           `json:"description"`
	Directory             *string           `json:"directory"`
	DockerVolumes         []string          `json:"dockerVolumes"`
	Domain                *string           `json:"domain"`
	Environment           map[string]string `json:"environment"`
	FirstRunning          *string           `json:"firstRunning"`
	FirstRunningTS        *int64            `json:"firstRunningTS,omitempty"`
	Hostname              *string           `json:"hostname"`
	ImageID               *string           `json:"imageId"`
	ImageUUID             *string           `json:"imageUuid"`
	InstanceTriggeredStop *string           `json:"instanceTriggeredStop"`
	Kind                  string            `json:"kind"`
	MemoryMb              *int64            `json:"memoryMb"`
	Name                  *string           `json:"name"`
	PrimaryIPAddress      *string           `json:"primaryIpAddress"`
	Privileged            *bool             `json:"privileged"`
	RemoveTime            *string           `json:"removeTime"`
	Removed               *string           `json:"removed"`
	RequestedHostID       *string           `json:"requestedHostId"`
	StartOnCreate         *bool             `json:"startOnCreate"`
	State                 string            `json:"state"`
	Token                 *string           `json:"token"`
	Transitioning         string            `json:"transitioning"`
	TransitioningMessage  *string           `json:"transitioningMessage"`
	TransitioningProgress *int64            `json:"transitioningProgress"`
	User                  *string           `json:"user"`
	Userdata              *string           `json:"userdata"`
	UUID                  string            `json:"uuid"`
	ValidHostIDs          []string          `json:"validHostIds"`
}

// handList is the page around them.
type handList struct {
	Type           string            `json:"type"`
	ResourceType   string            `json:"resourceType"`
	Links          map[string]string `json:"links"`
	CreateTypes    struct{}          `json:"createTypes"`
	Actions        struct{}          `json:"actions"`
	CreateDefaults struct{}          `json:"createDefaults"`
	Data           []handContainer   `json:"data"`
	SortLinks      map[string]string `json:"sortLinks"`
	Pagination     struct {
		First    *string `json:"first"`
		Previous *string `json:"previous"`
		Next     *string `json:"next"`
		Limit    int     `json:"limit"`
		Total    *int    `json:"total"`
		Partial  bool    `json:"partial"`
	} `json:"pagination"`
	Sort    *string         `json:"sort"`
	Filters map[string]*int `json:"filters"`
}

var handLinks = []string{"account", "credentialInstanceMaps", "credentials", "hosts", "image", "instanceHostMaps", "instanceLinks",
	"networkServiceProviderInstanceMaps", "networkServiceProviders", "nics", "ports", "targetInstanceLinks", "volumes"}

var handFilters = []string{"accountId", "agentId", "allocationState", "compute", "created", "description", "domain", "firstRunning", "hostname", "id",
	"imageId", "instanceTriggeredStop", "kind", "memoryMb", "name", "offeringId", "removeTime", "removed", "state", "token", "userdata", "uuid", "zoneId"}

var handActions = map[string][]string{"running": {"migrate", "restart", "stop", "update"}, "stopped": {"remove", "start", "update"}}

func handPage(c *fiber.Ctx, db *bun.DB) error {
	limit := c.QueryInt("limit", 100)
	var rows []handRow
	now := time.Now().UnixMilli()
	q := db.NewSelect().Model(&rows).Where("r.kind = 'container'").Where("(r.removed is null or r.removed >= ?)", now-300_000).
		Where("(r.remove_time is null or r.remove_time > ?)", now).OrderExpr("r.id asc").Limit(int64(limit) + 1)
	if err := q.Scan(c.UserContext()); err != nil {
		return err
	}
	base := "http://" + string(c.Request().Host())
	list := handList{Type: "collection", ResourceType: "container", Links: map[string]string{"self": base + "/v1/containers"},
		SortLinks: map[string]string{}, Filters: map[string]*int{}}
	for _, f := range handFilters {
		list.SortLinks[f], list.Filters[f] = base+"/v1/containers?limit="+strconv.Itoa(limit)+"&sort="+f, nil
	}
	list.Pagination.Limit = limit
	if len(rows) > limit {
		rows = rows[:limit]
		marker := base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, `{"i":%d}`, rows[limit-1].ID))
		next := base + "/v1/containers?limit=" + strconv.Itoa(limit) + "&marker=m" + marker
		list.Pagination.Next, list.Pagination.Partial = &next, true
	}
	for i := range rows {
		one, err := handOne(base, &rows[i])
		if err != nil {
			return err
		}
		list.Data = append(list.Data, one)
	}
	c.Set("X-API-Schemas", base+"/v1/schemas")
	return c.JSON(list)
}

func handOne(base string, r *handRow) (handContainer, error) {
	var doc handFields
	if err := json.Unmarshal(r.Data, &doc); err != nil {
		return handContainer{}, err
	}
	f := &doc.Fields
	id := "1i" + strconv.FormatInt(r.ID, 10)
	self := base + "/v1/containers/" + id
	out := handContainer{ID: id, Type: "container", Links: map[string]string{"self": self}, Actions: map[string]string{},
		AccountID: handID("1a", r.AccountID), AgentID: handID("1a", r.AgentID), AllocationState: r.AllocationState,
		Command: f.Command, CommandArgs: f.CommandArgs, Compute: r.Compute, Created: handDate(r.Created), CreatedTS: r.Created,
		Data: r.Data, Description: r.Description, Directory: f.Directory, DockerVolumes: f.DockerVolumes, Domain: r.Domain,
		Environment: f.Environment, FirstRunning: handDate(r.FirstRunning), FirstRunningTS: r.FirstRunning, Hostname: r.Hostname,
		ImageID: handID("1i", r.ImageID), ImageUUID: f.ImageUUID, InstanceTriggeredStop: r.InstanceTriggeredStop, Kind: r.Kind,
		MemoryMb: r.MemoryMb, Name: r.Name, PrimaryIPAddress: f.PrimaryIPAddress, Privileged: f.Privileged,
		RemoveTime: handDate(r.RemoveTime), Removed: handDate(r.Removed), RequestedHostID: handID("1h", f.RequestedHostID),
		StartOnCreate: f.StartOnCreate, State: r.State, Token: r.Token, Transitioning: "no", User: f.User, Userdata: r.Userdata, UUID: r.UUID}
	for _, l := range handLinks {
		out.Links[l] = self + "/" + strings.ToLower(l)
	}
	for _, a := range handActions[r.State] {
		out.Actions[a] = self + "/?action=" + a
	}
	for _, h := range f.ValidHostIDs {
		out.ValidHostIDs = append(out.ValidHostIDs, *handID("1h", &h))
	}
	return out, nil
}

func handID(prefix string, id *int64) *string {
	if id == nil {
		return nil
	}
	text := prefix + strconv.FormatInt(*id, 10)
	return &text
}

func handDate(millis *int64) *string {
	if millis == nil {
		return nil
	}
	text := time.UnixMilli(*millis).UTC().Format("2006-01-02T15:04:05Z")
	return &text
}

// replaced puts one address in the place of another, also inside of JSON.
func replaced(text, from, to string) string { return strings.ReplaceAll(text, from, to) }

// differs names the first place where two JSON values are not the same.
func differs(at string, a, b any) string {
	x, isObject := a.(map[string]any)
	y, too := b.(map[string]any)
	if isObject && too {
		names := map[string]bool{}
		for name := range x {
			names[name] = true
		}
		for name := range y {
			names[name] = true
		}
		var sorted []string
		for name := range names {
			sorted = append(sorted, name)
		}
		slices.Sort(sorted)
		for _, name := range sorted {
			if !reflect.DeepEqual(x[name], y[name]) {
				return differs(at+"."+name, x[name], y[name])
			}
		}
	}
	list, isList := a.([]any)
	other, also := b.([]any)
	if isList && also && len(list) == len(other) {
		for i := range list {
			if !reflect.DeepEqual(list[i], other[i]) {
				return differs(fmt.Sprintf("%s.%d", at, i), list[i], other[i])
			}
		}
	}
	return fmt.Sprintf("%s is %v and %v", at, a, b)
}

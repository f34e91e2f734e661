package wire

import (
	"bytes"
	"encoding/json"
)

// Subprotocol is what a new-style agent names in Sec-WebSocket-Protocol. With it
// the connection opens with a hello from the agent and a welcome from the
// gateway; then events go down and replies come up, one JSON object a frame.
// Without it the connection is a classic one: events only go down, and replies
// are posted to /v1/publish.
const Subprotocol = "cattle.agent.2"

// Commands that a server sends to an agent.
const (
	Ping                      = "ping"
	StorageImageActivate      = "storage.image.activate"
	StorageImageDeactivate    = "storage.image.deactivate"
	StorageVolumeActivate     = "storage.volume.activate"
	StorageVolumeDeactivate   = "storage.volume.deactivate"
	StorageVolumeRemove       = "storage.volume.remove"
	ComputeInstanceActivate   = "compute.instance.activate"
	ComputeInstanceDeactivate = "compute.instance.deactivate"
	ConsoleAccess             = "console.access"
	AgentClose                = "agent.close" // answered by the gateway itself
)

// Hello is the first frame of a new-style agent.
type Hello struct {
	Hello struct {
		Version   int      `json:"v"`
		AgentUUID string   `json:"agentUuid"`
		BootID    string   `json:"bootId"` // new at each start of the program
		Kinds     []string `json:"kinds"`  // kinds of host it serves
		Program   string   `json:"version"`
		Held      []string `json:"held"` // ids of requests still in work
	} `json:"hello"`
}

// Welcome answers Hello.
type Welcome struct {
	Welcome struct {
		AgentID          int64 `json:"agentId"`
		Epoch            int64 `json:"epoch"` // of this connection; a newer one replaces it
		HeartbeatMillis  int64 `json:"heartbeatMs"`
		ServerTimeMillis int64 `json:"serverTime"`
		// Program is what the server runs, and would have the agent run; nil for no wish.
		Program *Program `json:"program,omitempty"`
	} `json:"welcome"`
}

// Program is the program of a server. An agent gets it at /v1/agentprogram.
type Program struct {
	Digest   string `json:"digest"`   // hex SHA-256
	Platform string `json:"platform"` // such as linux/amd64
}

// PingOptions say what a ping's answer should carry.
type PingOptions struct {
	Stats     bool `json:"stats,omitempty"`
	Resources bool `json:"resources,omitempty"`
	Instances bool `json:"instances,omitempty"`
}

// PingData is the data of a ping and of its answer. Options.Instances in an
// answer says that the list of running instances is complete.
type PingData struct {
	Options   PingOptions `json:"options"`
	Resources []Resource  `json:"resources"`
}

// unkept is a character that no database takes.
var unkept = []byte(`\u0000`)

// UnmarshalJSON reads an answer as a whole and, where that fails, entry by entry: one that
// cannot be read, or not be kept, is left out and hides no other. A list with a gap is not
// complete: what is not in it may well run.
func (d *PingData) UnmarshalJSON(text []byte) error {
	type whole PingData
	if !bytes.Contains(text, unkept) && json.Unmarshal(text, (*whole)(d)) == nil {
		return nil
	}
	var in struct {
		Options   PingOptions       `json:"options"`
		Resources []json.RawMessage `json:"resources"`
	}
	if err := json.Unmarshal(text, &in); err != nil {
		return err
	}
	*d = PingData{Options: in.Options, Resources: []Resource{}}
	for _, entry := range in.Resources {
		var r Resource
		if bytes.Contains(entry, unkept) || json.Unmarshal(entry, &r) != nil {
			d.Options.Instances = false
			continue
		}
		d.Resources = append(d.Resources, r)
	}
	return nil
}

// Foreign is the kind of a running instance that was begun by others than agents. Its uuid
// is what the host knows it by. Its data hold the image of a container; those of a virtual
// machine say so by instanceKind, and hold its memoryMb and vcpu.
const Foreign = "foreign"

// Resource is one thing an agent reports: physicalHost, host, storagePool, or a
// running instance.
type Resource struct {
	Type             string         `json:"type"`
	UUID             string         `json:"uuid"`
	Kind             string         `json:"kind,omitempty"`
	Name             string         `json:"name,omitempty"`
	Description      string         `json:"description,omitempty"`
	State            string         `json:"state,omitempty"`            // instances: running
	PhysicalHostUUID string         `json:"physicalHostUuid,omitempty"` // hosts
	HostUUID         string         `json:"hostUuid,omitempty"`         // pools
	Data             map[string]any `json:"data,omitempty"`
}

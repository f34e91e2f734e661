package wire

import "encoding/json"

// Channels of the bus between servers. An agent's channel is heard by the gateway
// that holds its connection, and by nobody while there is none: a publisher that
// counts no receiver knows that the agent is away.
const (
	ConnectChannel = "cattle.agent.connect" // Parcels for agents that a server plays itself
	UpChannel      = "cattle.agent.up"      // AgentUp
	AuthChannel    = "cattle.agent.auth"    // AuthRequest
	StrayChannel   = "cattle.reply"         // Replies whose server is gone
	StateChannel   = "state.change"
)

// AgentChannel is where commands for an agent are published.
func AgentChannel(id string) string { return "cattle.agent." + id }

// ServerChannel is where a server hears replies to what it asked.
func ServerChannel(server string) string { return "cattle.server." + server }

// Parcel travels from a worker to the gateway that holds an agent.
type Parcel struct {
	AgentID int64           `json:"agent"`
	UUID    string          `json:"uuid"`
	URI     string          `json:"uri"`
	Data    json.RawMessage `json:"data,omitempty"` // of the agent's row, for agents that the server plays
	Server  string          `json:"server"`         // who asks
	Event   *Event          `json:"event,omitempty"`
	Evict   int64           `json:"evict,omitempty"` // close connections older than this epoch
	By      string          `json:"by,omitempty"`    // the gateway that evicts
}

// Answer travels back.
type Answer struct {
	AgentID int64  `json:"agent"` // as the connection says, never the message
	Reply   *Event `json:"reply"`
}

// AgentUp says that an agent has connected.
type AgentUp struct {
	AgentID int64 `json:"agent"`
}

// AuthRequest asks a server with a database who holds a key. The secret does not
// travel: the answer proves knowledge of it by an HMAC over the nonce.
type AuthRequest struct {
	ID        string `json:"id"`
	ReplyTo   string `json:"replyTo"`
	Nonce     string `json:"nonce"`
	AccessKey string `json:"accessKey"`
	AgentID   string `json:"agentId"` // as sent by the caller, may be empty
}

// AuthAnswer says who the caller is if it knows the secret.
type AuthAnswer struct {
	ID      string `json:"id"`
	Known   bool   `json:"known"`
	Open    bool   `json:"open"`  // no secret is needed: security is off
	Proof   string `json:"proof"` // hex HMAC-SHA256 with the secret over the nonce
	AgentID int64  `json:"agentId"`
	Plain   bool   `json:"plain"`  // ids are written plainly for this caller
	Status  int    `json:"status"` // refusal, 0 for none
}

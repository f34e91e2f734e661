package wire

import (
	"encoding/json"
	"strconv"
	"strings"
)

// Channels of the bus between servers. An agent's channel is heard by the gateway
// that holds its connection, and by nobody while there is none: a publisher that
// counts no receiver knows that the agent is away.
const (
	ConnectChannel  = "cattle.agent.connect" // Parcels for agents that a server plays itself
	UpChannel       = "cattle.agent.up"      // AgentUp
	DownChannel     = "cattle.agent.down"    // AgentDown
	AuthChannel     = "cattle.agent.auth"    // AuthRequest
	ViewChannel     = "cattle.view"          // ViewRequest
	RevokeChannel   = "cattle.revoke"        // Revoked
	StrayChannel    = "cattle.reply"         // Replies whose server is gone
	SuspectChannel  = "cattle.agent.suspect" // Suspect
	ObserveChannel  = "cattle.agent.observe" // Observed
	RollChannel     = "cattle.agent.roll"    // Roll
	ExternalChannel = "cattle.external"      // which handlers from outside are in effect has changed
)

// Events that anybody may subscribe to.
const (
	StateChange    = "state.change"
	APIChange      = "api.change"
	ProgressChange = "resource.progress"
	ResourceChange = "resource.change"
	ExecuteTask    = "execute.task" // a request to run a task now
)

// ForAgent is the name under which observers read a command to an agent.
func ForAgent(name string, agent int64) string {
	return name + ";agent=" + strconv.FormatInt(agent, 10)
}

// AgentOf reads the agent out of such a name; 0 is none.
func AgentOf(name string) int64 {
	_, agent, _ := strings.Cut(name, ";agent=")
	id, _ := strconv.ParseInt(agent, 10, 64)
	return id
}

// EventChannel is where an event of a name is published for whoever subscribes to
// that name. No name leads to a channel of the servers' own.
func EventChannel(name string) string { return "event:" + name }

// AgentChannel is where commands for an agent are published.
func AgentChannel(id string) string { return "cattle.agent." + id }

// ServerChannel is where a server hears replies to what it asked.
func ServerChannel(server string) string { return "cattle.server." + server }

// Parcel travels from a worker to the gateway that holds an agent: a line of what the
// gateway needs, then the event as the agent gets it, which is not looked into on the way.
type Parcel struct {
	AgentID int64           `json:"agent"`
	UUID    string          `json:"uuid"`
	URI     string          `json:"uri"`
	GroupID int64           `json:"group,omitempty"`   // of agents, 0 for none
	Data    json.RawMessage `json:"data,omitempty"`    // of the agent's row, for agents that the server plays
	Server  string          `json:"server"`            // who asks
	Name    string          `json:"name,omitempty"`    // of the event
	Text    string          `json:"-"`                 // the event
	Running []string        `json:"running,omitempty"` // uuids of what such an agent runs, as far as is known
	Evict   int64           `json:"evict,omitempty"`   // close connections older than this epoch
	By      string          `json:"by,omitempty"`      // the gateway that evicts
	From    string          `json:"from,omitempty"`    // the address of whoever is connected instead
}

// Carrying returns the parcel with an event in it.
func (p Parcel) Carrying(e *Event) (Parcel, error) {
	text, err := Encode(e)
	p.Name, p.Text = e.Name, string(text)
	return p, err
}

// Encode writes the parcel as it travels.
func (p Parcel) Encode() (string, error) { return lines(p, p.Text) }

// OpenParcel reads a parcel.
func OpenParcel(payload string) (p Parcel, err error) {
	p.Text, err = unlines(payload, &p)
	return p, err
}

// Event reads the event of the parcel.
func (p Parcel) Event() (*Event, error) {
	e := &Event{}
	return e, json.Unmarshal([]byte(p.Text), e)
}

// Answer travels back, written in the same way.
type Answer struct {
	AgentID int64  `json:"agent"`           // as the connection says, never the message
	Any     bool   `json:"any,omitempty"`   // an administrator's: it may answer whatever was asked
	Epoch   int64  `json:"epoch,omitempty"` // of the connection, 0 for an answer that came beside it
	Reply   *Event `json:"-"`
}

// Encode writes the answer as it travels. The reply may be given as text.
func (a Answer) Encode(reply string) (string, error) {
	if reply == "" {
		text, err := Encode(a.Reply)
		if err != nil {
			return "", err
		}
		reply = string(text)
	}
	return lines(a, reply)
}

// OpenAnswer reads an answer.
func OpenAnswer(payload string) (a Answer, err error) {
	text, err := unlines(payload, &a)
	if err == nil {
		a.Reply = &Event{}
		err = json.Unmarshal([]byte(text), a.Reply)
	}
	return a, err
}

// lines writes an object that is one line of JSON, and a text of any number of them.
func lines(head any, text string) (string, error) {
	b, err := Encode(head)
	return string(b) + "\n" + text, err
}

func unlines(payload string, head any) (text string, err error) {
	line, text, _ := strings.Cut(payload, "\n")
	return text, json.Unmarshal([]byte(line), head)
}

// AgentUp says that an agent has connected.
type AgentUp struct {
	AgentID int64 `json:"agent"`
}

// AgentDown says that the connection of an agent is lost, without a word from either side.
type AgentDown struct {
	AgentID int64 `json:"agent"`
}

// AuthRequest asks a server with a database who holds a key. The secret does not
// travel: the answer proves knowledge of it by an HMAC over the nonce.
type AuthRequest struct {
	ID          string `json:"id"`
	ReplyTo     string `json:"replyTo"`
	Nonce       string `json:"nonce"`
	AccessKey   string `json:"accessKey"`
	AccountUUID string `json:"accountUuid,omitempty"` // whom a trusted front end acts for
	AgentID     string `json:"agentId"`               // as sent by the caller, may be empty
}

// AuthAnswer says who the caller is, with the secret and without.
type AuthAnswer struct {
	ID          string  `json:"id"`
	Server      string  `json:"server"`           // answers a ViewRequest on its channel
	Proof       string  `json:"proof"`            // hex HMAC-SHA256 with the secret over the nonce
	Recipe      string  `json:"recipe,omitempty"` // by which the secret is hashed before, "" if it is not
	Holder      *Caller `json:"holder"`           // whoever knows the secret; nil if there is no such key
	Stranger    *Caller `json:"stranger"`         // whoever does not; nil where security is on
	Unavailable bool    `json:"unavailable,omitempty"`
}

// Revoked says that a credential, an account or an agent is no longer in force.
type Revoked struct {
	Type string `json:"type"`
	ID   int64  `json:"id"`
}

// Suspect is an agent that answered what another was asked, or that two hosts may be.
type Suspect struct {
	AgentID int64 `json:"agentId"`
	Twice   bool  `json:"twice,omitempty"` // connected from one address while it was from another
}

// Roll asks each gateway which agents of the classic kind it holds, of whom their answers
// alone show that they are well. Held answers it.
type Roll struct {
	ReplyTo string `json:"replyTo"` // a channel
}

// Held names agents.
type Held struct {
	Agents []int64 `json:"agents"`
}

// Observed says that somebody reads what an agent is asked.
type Observed struct {
	AgentID int64 `json:"agentId"` // 0 for all
}

// Styles of subscription: which events a caller hears.
const (
	Raw       = "raw"     // names as given
	ByAccount = "account" // those addressed to the account
	ByAgent   = "agent"   // those addressed to the account's agent
)

// Caller is who a request acts for.
type Caller struct {
	AccountID int64    `json:"accountId"`
	KeyID     int64    `json:"keyId"`                  // the credential, 0 for none
	AgentID   int64    `json:"agentId"`                // whose commands it gets, 0 for none
	GroupID   int64    `json:"agentGroupId,omitempty"` // of that agent, 0 for none
	Observes  int64    `json:"observes,omitempty"`     // the agent that it named and is not, 0 for none
	Kind      string   `json:"kind"`
	Style     string   `json:"style"`
	All       bool     `json:"all"`       // it sees the rows of all accounts
	Plain     bool     `json:"plain"`     // ids are written plainly for it
	MayPlain  bool     `json:"mayPlain"`  // if it asks for that
	Subscribe []string `json:"subscribe"` // methods it may use there; null is one that does not exist for it
	Publish   []string `json:"publish"`
	Status    int      `json:"status"` // refusal of the agent it named, 0 for none
	Code      string   `json:"code,omitempty"`
}

// ViewRequest asks a server with a database for a resource as a caller would get
// it. For account 0 it asks only whose it is.
type ViewRequest struct {
	ID         string   `json:"id"`
	ReplyTo    string   `json:"replyTo"`
	AccountID  int64    `json:"accountId"`
	Plain      bool     `json:"plain,omitempty"`
	BaseURL    string   `json:"baseUrl"`
	Include    []string `json:"include,omitempty"`
	Type       string   `json:"type"`
	ResourceID int64    `json:"resourceId"`
}

// ViewAnswer answers it.
type ViewAnswer struct {
	ID       string          `json:"id"`
	Owner    int64           `json:"owner"`    // account, 0 for none
	Resource json.RawMessage `json:"resource"` // null if the caller does not see it
}

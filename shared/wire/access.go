package wire

// An access is a way for bytes between a user and an instance: its log, a command in
// it, or its screen. To an agent it is one command, answered by progress with bytes
// until a final answer ends it, and by the user's bytes in inputs beside it:
//
//	user ══ gateway ── access.open, access.input ─────────▶ agent
//	user ══ gateway ◀── replies to access.open ── gateway ══ agent
//
// Each side has at most AccessWindow bytes on the way that the other has not taken yet.
// Nothing is sent twice: whoever misses a part ends the access.
const (
	AccessOpen  = "access.open"  // its data is an Access
	AccessInput = "access.input" // its data is an AccessPart, with the id of the access
	// AccessServer begins the names of gateways where they hear replies for users.
	AccessServer = "access."
	// TicketChannel is where gateways ask the server that gave out a ticket.
	TicketChannel = "cattle.access.ticket"
	// RightChannel is where gateways ask any server whether an access may go on.
	RightChannel = "cattle.access.right"
)

// What a user wants of an instance.
const (
	AccessLogs    = "logs"
	AccessExecute = "execute"
	AccessScreen  = "screen"
)

// Bounds of what is on the way, in bytes.
const (
	AccessWindow = 256 << 10
	AccessChunk  = 16 << 10
)

// Access says what a user wants of an instance.
type Access struct {
	Kind     string   `json:"kind"` // of the host
	Instance string   `json:"instance"`
	What     string   `json:"what"`
	Follow   bool     `json:"follow,omitempty"`  // logs: what is written from now on, too
	Lines    int64    `json:"lines,omitempty"`   // logs: of what was written before; negative is all
	Command  []string `json:"command,omitempty"` // execute
	TTY      bool     `json:"tty,omitempty"`     // execute: on a terminal
	Input    bool     `json:"attachStdin,omitempty"`
}

// AccessPart is what one side has to say to the other.
type AccessPart struct {
	ID     string `json:"id,omitempty"`
	Seq    int64  `json:"seq,omitempty"` // of a part with bytes, from 1
	Bytes  []byte `json:"bytes,omitempty"`
	Taken  int64  `json:"taken,omitempty"`  // how many bytes of the other side have arrived where they belong
	Ended  bool   `json:"ended,omitempty"`  // no more bytes come from the user
	Close  bool   `json:"close,omitempty"`  // the user has gone
	Width  int    `json:"width,omitempty"`  // of the user's terminal, in characters
	Height int    `json:"height,omitempty"` // the same
	Code   *int   `json:"code,omitempty"`   // final: what the command has exited with
}

// Ticket lets whoever brings it have an access, once.
type Ticket struct {
	Access
	AgentID   int64  `json:"agentId"`
	AgentUUID string `json:"agentUuid"`
	AgentURI  string `json:"agentUri"`
	Right
}

// Right is what somebody came by an access with.
type Right struct {
	AccountID  int64 `json:"accountId"`
	KeyID      int64 `json:"keyId,omitempty"` // 0 where nobody is asked for a key
	InstanceID int64 `json:"instanceId"`
}

// RightRequest asks whether a right still holds.
type RightRequest struct {
	ID      string `json:"id"`
	ReplyTo string `json:"replyTo"`
	Right
}

// RightAnswer answers it. A server that cannot tell says nothing.
type RightAnswer struct {
	ID    string `json:"id"`
	Holds bool   `json:"holds"`
}

// TicketRequest asks for the ticket that a user has brought.
type TicketRequest struct {
	ID      string `json:"id"`
	ReplyTo string `json:"replyTo"`
	Digest  string `json:"digest"` // hex SHA-256 of what the user knows
}

// TicketAnswer answers it. Servers that gave out no such ticket say nothing.
type TicketAnswer struct {
	ID     string `json:"id"`
	Ticket Ticket `json:"ticket"`
}

package api

import (
	"context"
	"io"
	"net"
	"testing"
)

// One port is dealt out by what is asked for first: connections that last to the gateway,
// and all that is answered at once to the web.
func TestAPortIsDealtOutByWhatIsAskedFor(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gateway, web := Split(ctx, ln)
	for name, part := range map[string]net.Listener{"gateway": gateway, "web": web} {
		go func() {
			for conn, err := part.Accept(); err == nil; conn, err = part.Accept() {
				_, _ = conn.Write([]byte(name))
				_ = conn.Close()
			}
		}()
	}
	const upgrade = "Host: h\r\nUpgrade: websocket\r\n"
	for _, x := range []struct{ line, rest, want string }{
		{"GET /v1/subscribe?eventNames=a HTTP/1.1", upgrade, "gateway"},
		{"GET //v1/Subscribe/ HTTP/1.1", upgrade, "gateway"},
		{"GET /v1/subscribe HTTP/1.1", "Host: h\r\nuPGRADE:WebSocket\r\n", "gateway"},
		{"GET /v1/subscribe HTTP/1.1", "Host: h\r\n", "web"}, // lists nothing, in the form that is asked for
		{"POST /v1/subscribe HTTP/1.1", "Host: h\r\n", "gateway"},
		{"POST /v1/publish HTTP/1.1", "Host: h\r\n", "gateway"},
		{"GET /v1/agentprogram HTTP/1.1", "Host: h\r\n", "gateway"},
		{"GET /V1/subscribe HTTP/1.1", upgrade, "web"}, // there is no such version
		{"GET /v1/subscribe/x HTTP/1.1", upgrade, "web"},
		{"GET /v1/hosts HTTP/1.1", upgrade, "web"},
		{"nonsense", "", "web"},
	} {
		conn, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(conn, x.line+"\r\n"+x.rest+"\r\n")
		got, _ := io.ReadAll(conn)
		_ = conn.Close()
		if string(got) != x.want {
			t.Errorf("%s with %q went to %s, not to the %s", x.line, x.rest, got, x.want)
		}
	}
}

package ssh

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// through is what comes back through a tunnel to a server that tells what it was asked,
// when all of said is sent at once.
func through(t *testing.T, said string) (answers, asked string) {
	t.Helper()
	heard := make(chan string, 10)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		heard <- r.Method + " " + r.URL.String() + " from " + r.Header.Get("X-Forwarded-For")
		if r.URL.Path == "/v1/subscribe" && r.Header.Get("Upgrade") != "" {
			conn, both, _ := w.(http.Hijacker).Hijack()
			defer conn.Close()
			_, _ = conn.Write([]byte("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"))
			line, _ := both.ReadString('\n')
			_, _ = fmt.Fprintf(conn, "echo %s", line)
			return
		}
		body, _ := io.ReadAll(r.Body)
		_, _ = fmt.Fprintf(w, "read %s", body)
	}))
	tunnel := &tunnel{to: server.Listener.Addr().String(),
		env: environment{"CATTLE_ACCESS_KEY": "key", "CATTLE_SECRET_KEY": "secret", "CATTLE_AGENT_IP": "10.0.0.7"}}
	ours, theirs := net.Pipe()
	go tunnel.carry(t.Context(), theirs)
	go func() { _, _ = io.Copy(ours, bufio.NewReader(strings.NewReader(said))) }()
	all, err := io.ReadAll(ours)
	server.Close()
	if err != nil {
		t.Fatal(err)
	}
	for close(heard); len(heard) > 0; {
		asked += <-heard + "\n"
	}
	return string(all), strings.TrimSpace(asked)
}

const agentsKey = "Authorization: Basic a2V5OnNlY3JldA==\r\n" // key:secret

func TestOneRequestWithTheAgentsKeyGetsThroughATunnel(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, said, answer, asked string }{
		{"with the key", "PUT /v1/x?y=z HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: 1.2.3.4\r\n" + agentsKey + "Content-Length: 2\r\n\r\nhi", "read hi", "PUT /v1/x?y=z from 10.0.0.7"},
		{"without a key", "GET /v1 HTTP/1.1\r\nHost: localhost\r\n\r\n", "401 Unauthorized", ""},
		{"with another", "GET /v1 HTTP/1.1\r\nHost: localhost\r\nAuthorization: Basic a2V5OnNlY3Jldw==\r\n\r\n", "401 Unauthorized", ""},
		{"no request", "SSH-2.0-OpenSSH_9.2\r\n\r\n", "", ""},
		{"a second behind the first", "GET /v1/a HTTP/1.1\r\nHost: localhost\r\n" + agentsKey + "\r\nGET /v1/b HTTP/1.1\r\nHost: localhost\r\n\r\n", "read ", "GET /v1/a from 10.0.0.7"},
		{"a second behind one that asks for an upgrade", "GET /v1/a HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" + agentsKey +
			"\r\nGET /v1/b HTTP/1.1\r\nHost: localhost\r\n\r\n", "read ", "GET /v1/a from 10.0.0.7"},
		{"an upgrade", "GET /v1/subscribe HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" + agentsKey + "\r\nhello\n", "echo hello", "GET /v1/subscribe from 10.0.0.7"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			answers, asked := through(t, c.said)
			if !strings.Contains(answers, c.answer) || strings.Count(answers, "HTTP/1.1") > 1 {
				t.Errorf("it is answered %q", answers)
			}
			if asked != c.asked {
				t.Errorf("the server was asked %q", asked)
			}
		})
	}
}

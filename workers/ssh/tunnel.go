package ssh

import (
	"bufio"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math"
	"math/big"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/cattleio/cattle/shared/store"
)

const (
	knocking   = 10 * time.Second // until who comes through a tunnel has said who it is
	mostAtOnce = 100              // connections through a tunnel; an agent needs a few
	mostHead   = 64 << 10         // bytes
	spoonful   = 4 << 10          // bytes that are carried at a time: there are many tunnels
)

// errNoForward is a host that lets us in and does no more.
var errNoForward = errors.New("the host's sshd does not let the server open a port there (AllowTcpForwarding, PermitListen, DisableForwarding, or an option of the key)")

// tunnel is a port of a host's loopback that leads to the server, for as long as it is kept.
type tunnel struct {
	agent  agent
	login  *login
	port   net.Listener
	env    environment // of the agent there
	tls    *tls.Config // nil where the agent speaks plain HTTP
	to     string      // HOST:PORT of gateway and API
	dialer net.Dialer
	kept   context.Context // ends with the lease: it is a result, and goes on as a parameter
	free   func()          // gives the lease back
}

// listen opens the port. Only what comes to it is taken from the host: the library
// refuses any other channel that the host wants to open.
func (t *tunnel) listen() (port string, err error) {
	if t.port, err = t.login.client.Listen("tcp", "localhost:0"); err != nil {
		if strings.Contains(err.Error(), "denied by peer") {
			return "", errNoForward
		}
		return "", fmt.Errorf("cannot open a port on the host: %w", err)
	}
	return fmt.Sprint(t.port.Addr().(*net.TCPAddr).Port), nil
}

// serve carries what comes until the connection to the host breaks or ctx ends.
func (t *tunnel) serve(ctx context.Context) {
	defer t.login.close()
	defer context.AfterFunc(ctx, t.login.close)()
	var all sync.WaitGroup
	defer all.Wait()
	for places := make(chan struct{}, mostAtOnce); ; {
		conn, err := t.port.Accept()
		if err != nil {
			return
		}
		select {
		case places <- struct{}{}:
			all.Go(func() { t.carry(ctx, conn); <-places })
		default:
			_ = conn.Close()
		}
	}
}

// carry takes one request to the server, and what follows an upgrade. It must show the
// key of the agent, whatever the server would ask for: everybody on the host reaches the
// port, and the server may be open because nobody but its own machine reaches it.
func (t *tunnel) carry(ctx context.Context, conn net.Conn) {
	defer conn.Close()
	late := time.AfterFunc(knocking, func() { _ = conn.Close() }) // channels of SSH know no deadlines
	defer late.Stop()
	if t.tls != nil {
		conn = tls.Server(conn, t.tls)
	}
	head := &io.LimitedReader{R: conn, N: mostHead}
	from := bufio.NewReaderSize(head, spoonful)
	request, err := http.ReadRequest(from)
	if err != nil || !late.Stop() {
		return
	}
	head.N = math.MaxInt64
	if !t.admits(request) {
		refuse(conn, http.StatusUnauthorized)
		return
	}
	up, err := t.dialer.DialContext(ctx, "tcp", t.to)
	if err != nil {
		refuse(conn, http.StatusBadGateway)
		return
	}
	defer up.Close()
	request.Close = request.Header.Get("Upgrade") == ""
	request.Header.Set("X-Forwarded-For", t.env["CATTLE_AGENT_IP"])
	if err := request.Write(up); err != nil {
		return
	}
	back := bufio.NewReaderSize(up, spoonful)
	answer, err := http.ReadResponse(back, request)
	if err != nil {
		refuse(conn, http.StatusBadGateway)
		return
	}
	upgraded := answer.StatusCode == http.StatusSwitchingProtocols
	answer.Close = !upgraded
	if answer.Write(conn) != nil || !upgraded {
		return
	}
	go func() {
		pour(up, from)
		_ = up.Close()
	}()
	pour(conn, back)
}

// admits tells whether a request shows the agent's key.
func (t *tunnel) admits(r *http.Request) bool {
	key, secret, _ := r.BasicAuth()
	said, want := key+":"+secret, t.env["CATTLE_ACCESS_KEY"]+":"+t.env["CATTLE_SECRET_KEY"]
	return subtle.ConstantTimeCompare([]byte(said), []byte(want)) == 1
}

func refuse(conn net.Conn, status int) {
	_ = (&http.Response{StatusCode: status, ProtoMajor: 1, ProtoMinor: 1, Close: true, Body: http.NoBody}).Write(conn)
}

// pour copies until either end breaks. Its memory is small, which the shortcuts of
// io.Copy would not heed.
func pour(to io.Writer, from io.Reader) {
	_, _ = io.CopyBuffer(struct{ io.Writer }{to}, struct{ io.Reader }{from}, make([]byte, spoonful))
}

// identity is what the server shows in a tunnel, and the pin by which agents know it. It
// stands on the key with which hosts are entered, which all servers share.
func identity(ctx context.Context, s *store.Store) (*tls.Config, string, error) {
	text, err := value(ctx, s, fmt.Sprintf(privateName, 1))
	if err != nil {
		return nil, "", err
	}
	raw, err := ssh.ParseRawPrivateKey([]byte(text))
	key, ok := raw.(crypto.Signer)
	if err != nil || !ok {
		return nil, "", errors.New("the server's SSH key is not fit for TLS")
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"localhost"}, NotAfter: time.Now().AddDate(20, 0, 0)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, "", fmt.Errorf("cannot make a certificate: %w", err)
	}
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return nil, "", err
	}
	sum := sha256.Sum256(public)
	return &tls.Config{MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}},
		hex.EncodeToString(sum[:]), nil
}

package agent

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/cattleio/cattle/shared/wire"
)

// registrationUser is as whom a registration token logs in.
const registrationUser = "registrationToken"

// errRefused says that asking again will not help.
var errRefused = errors.New("the server refuses this host")

// login is how a connection says whose it is: by keys, or by the agent's id where
// the server asks nobody who he is.
type login struct {
	accessKey, secretKey string
	agentID              string
}

// join makes the host known to the server unless it is, and says how to log in.
func (a *agent) join(ctx context.Context) (login, error) {
	if a.config.AccessKey != "" {
		return login{accessKey: a.config.AccessKey, secretKey: a.config.SecretKey}, nil
	}
	if k, kept := a.home.keys(a.base.String()); kept {
		return login{accessKey: k.AccessKey, secretKey: k.SecretKey}, nil
	}
	if a.config.Token != "" {
		return a.register(ctx)
	}
	return a.introduce(ctx)
}

// register exchanges the token for keys of the host's own. The key of the host
// makes the server find the same registration again, however often this is cut short.
func (a *agent) register(ctx context.Context) (login, error) {
	key, err := a.home.registrationKey()
	if err != nil {
		return login{}, err
	}
	token := login{accessKey: registrationUser, secretKey: a.config.Token}
	for pause, asked := 250*time.Millisecond, false; ; pause = min(2*pause, 5*time.Second) {
		var found struct{ Data []keys }
		if err := a.call(ctx, http.MethodGet, "register", url.Values{"key": {key}}, token, nil, &found); err != nil {
			return login{}, fmt.Errorf("cannot register: %w", err)
		}
		if len(found.Data) > 0 && found.Data[0].AccessKey != "" && found.Data[0].SecretKey != "" {
			k := found.Data[0]
			k.URL = a.base.String()
			return login{accessKey: k.AccessKey, secretKey: k.SecretKey}, a.home.setKeys(k)
		}
		if len(found.Data) == 0 && !asked {
			if err := a.call(ctx, http.MethodPost, "register", nil, token, map[string]any{"key": key}, nil); err != nil {
				return login{}, fmt.Errorf("cannot register: %w", err)
			}
			asked = true
		}
		if !sleep(ctx, pause) {
			return login{}, ctx.Err()
		}
	}
}

// introduce finds or makes the agent of this host on a server without logins.
func (a *agent) introduce(ctx context.Context) (login, error) {
	type row struct {
		ID string `json:"id"`
	}
	var found struct{ Data []row }
	if err := a.call(ctx, http.MethodGet, "agents", url.Values{"uuid": {a.self.agent}}, login{}, nil, &found); err != nil {
		return login{}, fmt.Errorf("cannot find this host's agent: %w", err)
	}
	if len(found.Data) > 0 {
		return login{agentID: found.Data[0].ID}, nil
	}
	var made row
	err := a.call(ctx, http.MethodPost, "agents", nil, login{}, map[string]any{
		"uri": "event://" + a.self.agent, "uuid": a.self.agent, "name": a.config.Hostname, "managedConfig": false,
	}, &made)
	if err != nil {
		return login{}, fmt.Errorf("cannot make this host's agent: %w", err)
	}
	return login{agentID: made.ID}, nil
}

// call asks the server's API. A refused token is errRefused.
func (a *agent) call(ctx context.Context, method, path string, query url.Values, as login, body, into any) error {
	text, err := wire.Encode(body)
	if err != nil {
		return err
	}
	address := *a.base.JoinPath("v1", path)
	address.RawQuery = query.Encode()
	request, err := http.NewRequestWithContext(ctx, method, address.String(), bytes.NewReader(text))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	if as.accessKey != "" {
		request.SetBasicAuth(as.accessKey, as.secretKey)
	}
	response, err := a.http.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	return readAnswer(response, as.accessKey == registrationUser, into)
}

func readAnswer(response *http.Response, byToken bool, into any) error {
	text, err := io.ReadAll(io.LimitReader(response.Body, 4<<20))
	if err != nil {
		return err
	}
	status := response.StatusCode
	switch {
	case byToken && (status == http.StatusUnauthorized || status == http.StatusForbidden):
		return fmt.Errorf("%w: the registration token is not valid", errRefused)
	case status >= 300:
		return refusal(response, fmt.Errorf("server answers %s: %.200s", response.Status, text))
	case into == nil:
		return nil
	}
	return json.Unmarshal(text, into)
}

func httpClient(caFile, pin string, dial func(ctx context.Context, network, address string) (net.Conn, error)) (*http.Client, error) {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.DialContext = dial
	if caFile != "" {
		pool, err := x509.SystemCertPool()
		if err != nil {
			pool = x509.NewCertPool()
		}
		pem, err := os.ReadFile(caFile)
		if err != nil {
			return nil, fmt.Errorf("cannot read authority: %w", err)
		}
		if !pool.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("cannot read authority: no certificate in %s", caFile)
		}
		transport.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	}
	if pin != "" {
		transport.TLSClientConfig = pinned(pin)
	}
	return &http.Client{Transport: transport, Timeout: 30 * time.Second}, nil
}

// pinned trusts whoever has the key with a digest, and nobody else.
func pinned(pin string) *tls.Config {
	return &tls.Config{
		MinVersion:         tls.VersionTLS12,
		InsecureSkipVerify: true, // names and authorities say less than the key
		VerifyConnection: func(state tls.ConnectionState) error {
			sum := sha256.Sum256(state.PeerCertificates[0].RawSubjectPublicKeyInfo)
			if shown := hex.EncodeToString(sum[:]); !strings.EqualFold(shown, pin) {
				return fmt.Errorf("the server is not the one that this host joined: it shows %s, not %s", shown, pin)
			}
			return nil
		},
	}
}

// tlsOf gives a connection of another kind the same trust.
func tlsOf(c *http.Client) *tls.Config {
	trust := c.Transport.(*http.Transport).TLSClientConfig
	if trust == nil {
		return &tls.Config{MinVersion: tls.VersionTLS12}
	}
	trust = trust.Clone()
	trust.NextProtos = nil // a WebSocket begins as HTTP/1.1
	return trust
}

package handler

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"strings"

	"golang.org/x/crypto/ssh"

	"github.com/cattleio/cattle/shared/process"
	"github.com/cattleio/cattle/shared/seal"
)

func credentialHandlers() []process.Handler {
	return []process.Handler{
		before("AgentApiKeyCreate", process.Specific, keyPair("agentApiKey"), "credential.create"),
		before("ApiKeyCreate", process.Specific, keyPair("apiKey"), "credential.create"),
		before("RegisterTokenCreate", process.Specific, keyPair("registrationToken"), "credential.create"),
		before("SshKeyCreate", process.Specific, sshKey, "credential.create"),
	}
}

// keyPair fills in the values of a credential of one kind, unless it has them, or nobody
// could ever read them.
func keyPair(kind string) logic {
	return func(ctx context.Context, run process.Run) (*process.Answer, error) {
		key := run.Resource()
		if key.Kind() != kind || key.Str("publicValue") != "" || kind == "apiKey" && shownOnce(run) {
			return nil, nil
		}
		public, secret, err := seal.NewPair(run.Setting("process.credential.create.bad.characters"))
		if err != nil {
			return nil, err
		}
		key.Set("publicValue", public)
		key.Set("secretValue", secret)
		return nil, run.Save(ctx, key)
	}
}

func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // it never fails
	return b
}

// shownOnce tells whether only who makes an API key gets to see its secret, by the API.
func shownOnce(run process.Run) bool { return run.Setting("api.keys.shown.once") == "true" }

// sshKey makes a key pair for a credential that was posted without one.
func sshKey(ctx context.Context, run process.Run) (*process.Answer, error) {
	key := run.Resource()
	if key.Kind() != "sshKey" || key.Str("publicValue") != "" {
		return nil, nil
	}
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, err
	}
	public, err := ssh.NewPublicKey(&private.PublicKey)
	if err != nil {
		return nil, err
	}
	key.Set("publicValue", strings.TrimSpace(string(ssh.MarshalAuthorizedKey(public)))+" cattle@cattle")
	key.Set("secretValue", string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(private)})))
	return nil, run.Save(ctx, key)
}

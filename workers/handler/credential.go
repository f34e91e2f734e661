package handler

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"regexp"
	"strings"

	"golang.org/x/crypto/ssh"

	"github.com/cattleio/cattle/shared/process"
)

func credentialHandlers() []process.Handler {
	return []process.Handler{
		before("AgentApiKeyCreate", process.Specific, keyPair("agentApiKey"), "credential.create"),
		before("ApiKeyCreate", process.Specific, keyPair("apiKey"), "credential.create"),
		before("RegisterTokenCreate", process.Specific, keyPair("registrationToken"), "credential.create"),
		before("SshKeyCreate", process.Specific, sshKey, "credential.create"),
	}
}

// keyPair fills in the values of a credential of one kind, unless it has them.
func keyPair(kind string) logic {
	return func(ctx context.Context, run process.Run) (*process.Answer, error) {
		key := run.Resource()
		if key.Kind() != kind || key.Str("publicValue") != "" {
			return nil, nil
		}
		secret, err := secretText(run.Setting("process.credential.create.bad.characters"))
		if err != nil {
			return nil, err
		}
		key.Set("publicValue", strings.ToUpper(hex.EncodeToString(random(10))))
		key.Set("secretValue", secret)
		return nil, run.Save(ctx, key)
	}
}

// secretText makes 40 characters without those of the class bad.
func secretText(bad string) (string, error) {
	text := base64.StdEncoding.EncodeToString(random(128))
	if bad != "" {
		class, err := regexp.Compile(bad)
		if err != nil {
			return "", err
		}
		text = class.ReplaceAllString(text, "")
	}
	if len(text) < 40 {
		return "", errors.New("cannot make a secret: too few good characters are left")
	}
	return text[:40], nil
}

func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // it never fails
	return b
}

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

package ssh

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/ssh"

	"github.com/cattleio/cattle/shared/process"
	"github.com/cattleio/cattle/shared/resource"
	"github.com/cattleio/cattle/shared/store"
)

// The names under which the installation's key pairs are kept, from 1 on.
const (
	publicName  = "ssh-client-key%d-public"
	privateName = "ssh-client-key%d-private"
	hostKeyName = "ssh-host-key %s"
	keyBits     = 2048
)

// EnsureKey makes the key pair with which all servers of an installation log in to
// hosts, unless there is one.
func EnsureKey(ctx context.Context, s *store.Store) error {
	if known, err := value(ctx, s, fmt.Sprintf(publicName, 1)); err != nil || known != "" {
		return err
	}
	key, err := rsa.GenerateKey(rand.Reader, keyBits)
	if err != nil {
		return fmt.Errorf("cannot make the server's SSH key: %w", err)
	}
	public, err := ssh.NewPublicKey(&key.PublicKey)
	if err != nil {
		return fmt.Errorf("cannot make the server's SSH key: %w", err)
	}
	text := strings.TrimSpace(string(ssh.MarshalAuthorizedKey(public))) + " cattle@cattle"
	private := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})
	err = s.Write(ctx, "ssh key", func(tx *store.Tx) error {
		if err := keep(ctx, tx, fmt.Sprintf(privateName, 1), string(private), false); err != nil {
			return err
		}
		return keep(ctx, tx, fmt.Sprintf(publicName, 1), text, true)
	})
	if errors.Is(err, store.ErrNotUnique) { // another server was faster
		return nil
	}
	return err
}

// signers are the key pairs of the installation.
func signers(ctx context.Context, s *store.Store) ([]ssh.Signer, error) {
	if err := EnsureKey(ctx, s); err != nil {
		return nil, err
	}
	var all []ssh.Signer
	for n := 1; ; n++ {
		text, err := value(ctx, s, fmt.Sprintf(privateName, n))
		if err != nil || text == "" {
			return all, err
		}
		signer, err := ssh.ParsePrivateKey([]byte(text))
		if err != nil {
			return nil, fmt.Errorf("cannot read the server's SSH key %d: %w", n, err)
		}
		all = append(all, signer)
	}
}

// value reads one of the server's own values, "" if there is none.
func value(ctx context.Context, s *store.Store, name string) (string, error) {
	rows, err := s.Find(ctx, resource.All.Type("data"), process.Match{"name": name})
	if err != nil || len(rows) == 0 {
		return "", err
	}
	return rows[0].Str("value"), nil
}

func keep(ctx context.Context, tx *store.Tx, name, text string, visible bool) error {
	now, err := tx.Now(ctx)
	if err != nil {
		return err
	}
	return tx.Insert(ctx, store.NewRow(resource.All.Type("data"), now, map[string]any{"name": name, "value": text, "visible": visible}))
}

// known is the key by which a host has to show that it is the one that was met
// first, nil if it was never met.
func known(ctx context.Context, s *store.Store, address string) (ssh.PublicKey, error) {
	text, err := value(ctx, s, fmt.Sprintf(hostKeyName, address))
	if err != nil || text == "" {
		return nil, err
	}
	key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(text))
	if err != nil {
		return nil, fmt.Errorf("cannot read the host key kept for %s: %w", address, err)
	}
	return key, nil
}

// meet keeps the key of a host that is met for the first time. Of two servers that
// meet it at once one keeps it; the other looks at the next login.
func meet(ctx context.Context, s *store.Store, address string, key ssh.PublicKey) error {
	text := strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key)))
	err := s.Write(ctx, "ssh host key", func(tx *store.Tx) error {
		return keep(ctx, tx, fmt.Sprintf(hostKeyName, address), text, true)
	})
	if errors.Is(err, store.ErrNotUnique) {
		return nil
	}
	return err
}

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/cattleio/cattle/shared/config"
	"github.com/cattleio/cattle/shared/seal"
)

// encryptionKeys reads the keys that secrets are encrypted with: from the setting, or
// from a file that nobody else may read. With the embedded database they are made when
// there are none; servers that share a database have to be given the same.
func encryptionKeys(settings *config.Settings, embedded bool) (*seal.Ring, error) {
	if text := settings.Get("encryption.keys"); text != "" {
		return seal.Parse(text)
	}
	name, given := settings.Get("encryption.keys.file"), true
	if name == "" {
		name, given = filepath.Join(home(), "encryption.keys"), false
	}
	text, err := readKeys(name)
	switch {
	case err == nil:
		return seal.Parse(text)
	case !errors.Is(err, fs.ErrNotExist) || given && !embedded:
		return nil, fmt.Errorf("cannot read the encryption keys: %w", err)
	case !embedded:
		return nil, nil
	}
	text = "# Whoever has this file and the database has the secrets in it. Without it they are lost.\n" + seal.NewKey(token(4)) + "\n"
	if err := writeKeys(name, text); err != nil {
		return nil, fmt.Errorf("cannot keep a new encryption key: %w", err)
	}
	return seal.Parse(text)
}

func readKeys(name string) (string, error) {
	info, err := os.Stat(name)
	if err != nil {
		return "", err
	}
	if info.Mode().IsRegular() && info.Mode().Perm()&0o007 != 0 {
		return "", fmt.Errorf("everybody on this machine may read %s: chmod 600 it", name)
	}
	text, err := os.ReadFile(name)
	return string(text), err
}

// writeKeys makes the file whole or not at all, and never over another.
func writeKeys(name, text string) error {
	f, err := os.CreateTemp(filepath.Dir(name), ".keys-*") // 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.WriteString(text)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Link(f.Name(), name)
}

// reseal encrypts what the database still holds in plain or under an older key.
func (s *server) reseal(ctx context.Context) {
	for {
		err := s.store.Reseal(ctx)
		if err == nil || ctx.Err() != nil {
			return
		}
		s.log.Warn("secrets are not encrypted with the newest key yet", "err", err)
		select {
		case <-ctx.Done():
		case <-time.After(time.Minute):
		}
	}
}

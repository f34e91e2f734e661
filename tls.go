package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/cattleio/cattle/shared/config"
)

// certificate is what the server shows on https.port, nil where it has no such port:
// the one that is set, else one of its own, made on first use.
func certificate(settings *config.Settings) (*tls.Certificate, error) {
	if settings.Get("https.port") == "" {
		return nil, nil
	}
	cert, key := settings.Get("https.cert.file"), settings.Get("https.key.file")
	if cert == "" {
		cert, key = filepath.Join(home(), "tls-cert.pem"), filepath.Join(home(), "tls-key.pem")
		if _, err := os.Stat(cert); errors.Is(err, fs.ErrNotExist) {
			if err := selfSigned(cert, key); err != nil {
				return nil, fmt.Errorf("cannot make a certificate: %w", err)
			}
		}
	}
	c, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("cannot read the server's certificate: %w", err)
	}
	return &c, nil
}

// selfSigned makes a certificate that is trusted by its fingerprint alone.
func selfSigned(cert, key string) error {
	if err := os.MkdirAll(filepath.Dir(cert), 0o700); err != nil {
		return err
	}
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return err
	}
	now := time.Now()
	template := &x509.Certificate{SerialNumber: serial, Subject: pkix.Name{CommonName: "cattle"}, DNSNames: []string{"cattle", "localhost"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(20, 0, 0), KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		return err
	}
	secret, err := x509.MarshalECPrivateKey(private)
	if err != nil {
		return err
	}
	// The key first: a certificate is there only together with it.
	if err := os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: secret}), 0o600); err != nil {
		return err
	}
	return os.WriteFile(cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600)
}

// pinOf is by what agents know a certificate: the digest of its public key, which may
// outlive it.
func pinOf(c *tls.Certificate) string {
	if c == nil || c.Leaf == nil {
		return ""
	}
	sum := sha256.Sum256(c.Leaf.RawSubjectPublicKeyInfo)
	return hex.EncodeToString(sum[:])
}

// together is one listener out of two.
type together struct {
	net.Listener // whose address it has
	other        net.Listener
	conns        chan net.Conn
	done         chan struct{}
	once         sync.Once
}

func newTogether(first, other net.Listener) *together {
	l := &together{Listener: first, other: other, conns: make(chan net.Conn), done: make(chan struct{})}
	for _, ln := range []net.Listener{first, other} {
		go l.accept(ln)
	}
	return l
}

func (l *together) accept(ln net.Listener) {
	for {
		conn, err := ln.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			time.Sleep(5 * time.Millisecond) // out of descriptors: give some back first
			continue
		}
		select {
		case l.conns <- conn:
		case <-l.done:
			_ = conn.Close()
			return
		}
	}
}

// Accept takes the next connection of either.
func (l *together) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

// Close closes both.
func (l *together) Close() error {
	l.once.Do(func() { close(l.done) })
	return errors.Join(l.Listener.Close(), l.other.Close())
}

// cableTime is how long a peer may be out of reach: the host of an agent that has lost its
// power or its cable says no goodbye. The system looks after each connection, so that it
// costs us nothing, however many there are; a program that stands still on a host that is
// well is found out by its heartbeat. With the look that the scheduler has every five
// seconds it leaves some for a large fleet, of the fifteen in which a lost host is known.
const cableTime = 6 * time.Second

var (
	watched = net.KeepAliveConfig{Enable: true, Idle: cableTime / 2, Interval: cableTime / 6, Count: 3}
	dialled = net.ListenConfig{Control: giveUp, KeepAliveConfig: watched}
	dialler = net.Dialer{Control: giveUp, KeepAliveConfig: watched}
)

// listen opens the ports of the server.
func (s *server) listen() (net.Listener, error) {
	host := s.settings.Get("http.host")
	ln, err := dialled.Listen(context.Background(), "tcp", net.JoinHostPort(host, s.settings.Get("http.port")))
	if err != nil {
		return nil, fmt.Errorf("cannot listen: %w", err)
	}
	cert, err := certificate(s.settings)
	if err != nil || cert == nil {
		if err != nil {
			_ = ln.Close()
		}
		return ln, err
	}
	plain, err := dialled.Listen(context.Background(), "tcp", net.JoinHostPort(host, s.settings.Get("https.port")))
	if err != nil {
		_ = ln.Close()
		return nil, fmt.Errorf("cannot listen: %w", err)
	}
	secure := tls.NewListener(plain, &tls.Config{Certificates: []tls.Certificate{*cert}, MinVersion: tls.VersionTLS12})
	s.pin = pinOf(cert)
	s.log.Info("serving over TLS", "address", secure.Addr().String(), "pin", s.pin)
	return newTogether(ln, secure), nil
}

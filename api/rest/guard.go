package rest

import (
	"crypto/rand"
	"crypto/subtle"
	"fmt"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/cattleio/cattle/shared/fault"
)

const (
	csrfCookie = "CSRF"
	csrfHeader = "X-API-CSRF"
)

// guard keeps foreign pages from using a browser's credentials: what a browser
// sends besides GET must repeat the cookie in a header.
func (r *request) guard() error {
	if !r.browser {
		return nil
	}
	token := strings.Clone(r.c.Cookies(csrfCookie))
	sent := token != ""
	if !plainToken(token) {
		var raw [16]byte
		if _, err := rand.Read(raw[:]); err != nil {
			return fmt.Errorf("cannot make a token: %w", err)
		}
		token = fmt.Sprintf("%X", raw)
	}
	r.c.Cookie(&fiber.Cookie{Name: csrfCookie, Value: token, Path: "/", SameSite: "disabled"})
	if sent && r.method != fiber.MethodGet && subtle.ConstantTimeCompare([]byte(token), []byte(r.header(csrfHeader))) != 1 {
		return &fault.Fault{Status: 403, Code: "InvalidCSRFToken", Message: "The header " + csrfHeader + " must repeat the cookie " + csrfCookie}
	}
	return nil
}

// plainToken tells whether a cookie may be sent back as it came.
func plainToken(s string) bool {
	if s == "" || len(s) > 128 {
		return false
	}
	return strings.Trim(s, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-_") == ""
}

package rest

import (
	"crypto/subtle"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/cattleio/cattle/shared/fault"
	"github.com/cattleio/cattle/shared/seal"
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
	cookie := strings.Clone(r.c.Cookies(csrfCookie))
	token, sent := seal.PageToken(cookie), cookie != ""
	r.c.Cookie(&fiber.Cookie{Name: csrfCookie, Value: token, Path: "/", SameSite: "disabled"})
	if sent && r.method != fiber.MethodGet && subtle.ConstantTimeCompare([]byte(token), []byte(r.header(csrfHeader))) != 1 {
		return &fault.Fault{Status: 403, Code: "InvalidCSRFToken", Message: "The header " + csrfHeader + " must repeat the cookie " + csrfCookie}
	}
	return nil
}

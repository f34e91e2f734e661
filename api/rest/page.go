package rest

import (
	"embed"
	"path"
	"strings"

	"github.com/gofiber/fiber/v2"
)

// staticPath is where the explorer, the dashboard and what they lead to are served. A path
// below it that names no file is one of the dashboard.
const staticPath = "/static"

//go:embed explorer.js explorer.css dashboard.html dashboard.js dashboard.css
//go:embed vnc.html vnc.js rfb.js des.js input.js logs.html logs.js ticket.js look.css
var staticFiles embed.FS

// staticPolicy lets these pages run nothing but these scripts, and lets no other page have
// them in a frame. The host of a screen is none that is known here.
const staticPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self' ws: wss:; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// static serves these files.
func (a *API) static(c *fiber.Ctx) error {
	name := path.Base(c.Path())
	if !strings.Contains(name, ".") || name == "index.html" {
		name = "dashboard.html"
	}
	text, err := staticFiles.ReadFile(name)
	if err != nil {
		return c.Next()
	}
	c.Type(path.Ext(name), "utf-8")
	c.Set(fiber.HeaderXContentTypeOptions, "nosniff")
	c.Set(fiber.HeaderContentSecurityPolicy, staticPolicy)
	c.Set(fiber.HeaderReferrerPolicy, "no-referrer") // an address may hold a ticket
	return c.Send(text)
}

// asset returns the URL of one of the two files: cookies count for developers only.
func (r *request) asset(kind string) string {
	if r.api.flag("api.dev", false) {
		if url := r.c.Cookies(kind + ".url"); url != "" {
			return strings.Clone(url)
		}
	}
	for _, name := range []string{"api." + kind + ".url", "api.ui." + kind + ".url"} {
		if url := r.api.text(name, ""); url != "" {
			return url
		}
	}
	return staticPath + "/explorer." + kind
}

// script texts and attributes must not be left by their own content.
var (
	inScript = strings.NewReplacer("/", `\/`, "<", `\u003c`)
	inMarkup = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;", "'", "&#39;")
)

// page wraps JSON in the page from which a script draws the explorer.
func (r *request) page(body []byte) []byte {
	quote := func(s string) string { return inScript.Replace(string(appendString(nil, s))) }
	plain := func(s string) string { // for the two addresses, which readers expect unescaped
		return strings.NewReplacer("<", `\u003c`, "'", `\u0027`).Replace(string(appendString(nil, s)))
	}
	var b strings.Builder
	b.Grow(len(body) + len(body)/16 + 1024)
	b.WriteString("<!DOCTYPE html>\n<!-- If you are reading this, you are not in a browser, so you probably want JSON: send 'Accept: application/json'. -->\n")
	b.WriteString(`<link rel="stylesheet" type="text/css" href="` + inMarkup.Replace(r.asset("css")) + "\" />\n")
	b.WriteString(`<script src="` + inMarkup.Replace(r.asset("js")) + "\"></script>\n<script>\n")
	b.WriteString("var user = " + quote(r.caller.Name) + ";\n")
	b.WriteString("var curlUser='${CATTLE_ACCESS_KEY}:${CATTLE_SECRET_KEY}';\n")
	b.WriteString("var schemas=" + plain(r.base+"/v1/schemas") + ";\n")
	if r.view != nil && r.view.Type("typeDocumentation") != nil {
		text := plain(r.base + "/v1/typedocumentations")
		b.WriteString("var docJson = '" + text[1:len(text)-1] + "';\n")
	}
	b.WriteString("var data = ")
	_, _ = inScript.WriteString(&b, string(body))
	b.WriteString("\n;\n</script>\n")
	return []byte(b.String())
}

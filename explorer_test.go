package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// browser is somebody at a browser.
type browser struct {
	t   *testing.T
	ctx context.Context
}

// openBrowser starts a browser. Where the tests were asked to use one, its absence is a
// failure.
func openBrowser(t *testing.T) *browser {
	t.Helper()
	program, err := exec.LookPath("chromium")
	if err != nil {
		if os.Getenv("CATTLE_TEST_BROWSER") != "" {
			t.Fatal("CATTLE_TEST_BROWSER asks for a browser, and chromium is not there")
		}
		t.Skip("chromium is not there; './task test' installs it")
	}
	options := append(append([]chromedp.ExecAllocatorOption{}, chromedp.DefaultExecAllocatorOptions[:]...), chromedp.ExecPath(program), chromedp.NoSandbox)
	all, cancel := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(cancel)
	ctx, leave := chromedp.NewContext(all)
	t.Cleanup(leave)
	return &browser{t, ctx}
}

func (b *browser) does(what string, steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	done := make(chan error, 1) // the first context of a browser may have no deadline
	go func() { done <- chromedp.Do(b.ctx, steps...) }()
	select {
	case err := <-done:
		if err != nil {
			b.t.Fatalf("%s: %v", what, err)
		}
	case <-time.After(30 * time.Second):
		b.t.Fatalf("%s takes too long; the page is %s", what, b.page())
	}
}

// page is what the page says, and where it is.
func (b *browser) page() string {
	ctx, cancel := context.WithTimeout(b.ctx, 5*time.Second)
	defer cancel()
	text, _ := chromedp.Run(ctx, chromedp.Evaluate[string](`document.body ? location.pathname + location.search + " " + document.body.innerText : ""`))
	return text
}

// shows tells whether the page says something, and else has it read once more, in a
// moment. It is one step: the next page may be as it should be.
func (b *browser) shows(text string) bool {
	ctx, cancel := context.WithTimeout(b.ctx, 5*time.Second)
	defer cancel()
	yes, _ := chromedp.Run(ctx, chromedp.Evaluate[bool](`(() => {
		if (document.readyState !== "complete") { return false; }
		const there = !!document.body && document.body.innerText.includes(`+strconv.Quote(text)+`);
		if (!there && !window.again) { window.again = setTimeout(() => location.reload(), 200); }
		return there;
	})()`))
	return yes
}

// The classic walk, by somebody who has nothing but a browser.
func TestTheExplorerWalksThroughALife(t *testing.T) {
	t.Parallel()
	b := openBrowser(t)
	p := embedded(t)
	p.simulators(1)
	p.container(object{"imageUuid": "sim:x", "name": "another"})
	const box = `//details[@class="create"]`
	b.does("opening the list", chromedp.Navigate(p.url+"/v1/containers"), chromedp.WaitVisible(box+`/summary`))
	b.does("making a container", chromedp.Click(box+`/summary`),
		chromedp.SendKeys(`.create input[name="imageUuid"]`, "sim:ubuntu"),
		chromedp.SendKeys(`.create input[name="name"]`, "walked"),
		chromedp.SendKeys(`.create input[name="command"]`, "sleep"),
		chromedp.SendKeys(`.create input[name="commandArgs"]`, `["120"]`),
		chromedp.Click(box+`//button`))
	until(t, "its page", 20*time.Second, func() bool { return strings.HasPrefix(b.page(), "/v1/containers/1i") })
	until(t, "it to run", 30*time.Second, func() bool { return b.shows("state\trunning") })
	made := p.list("/v1/containers?name=walked")
	if len(made) != 1 || made[0]["command"] != "sleep" || made[0]["imageUuid"] != "sim:ubuntu" {
		t.Fatalf("what was made is %v", made)
	}
	path := "/v1/containers/" + made[0].id()
	b.does("stopping it", chromedp.Click(`//button[text()="stop"]`), chromedp.WaitVisible(box+`//button[text()="stop"]`),
		chromedp.Click(box+`//button[text()="stop"]`))
	p.becomes(path, "stopped")
	until(t, "its page to be there again", 20*time.Second, func() bool { return strings.Contains(b.page(), "state\tstop") })
	b.does("editing it", chromedp.Navigate(p.url+path), chromedp.WaitVisible(`.update summary`), chromedp.Click(`.update summary`),
		chromedp.SetValue(`.update input[name="name"]`, "renamed"), chromedp.Click(`.update button`))
	until(t, "the new name", 20*time.Second, func() bool { return strings.Contains(b.page(), "name\trenamed") })
	b.does("following a link", chromedp.Navigate(p.url+path), chromedp.WaitVisible(`//p[@class="links"]/a[text()="volumes"]`),
		chromedp.Click(`//p[@class="links"]/a[text()="volumes"]`))
	until(t, "its volumes", 20*time.Second, func() bool {
		page := b.page()
		return strings.HasPrefix(page, path+"/volumes") && strings.Contains(page, "volume 1v")
	})
	b.does("filtering", chromedp.Navigate(p.url+"/v1/containers"), chromedp.WaitVisible(`select[name="filter"]`),
		chromedp.SetValue(`select[name="filter"]`, "name_prefix"), chromedp.SendKeys(`input[name="filter-value"]`, "ren"),
		chromedp.Click(`.filter button`))
	until(t, "one of the two", 20*time.Second, func() bool {
		page := b.page()
		return strings.Contains(page, "name_prefix=ren") && strings.Contains(page, "renamed") && !strings.Contains(page, "another")
	})
	b.does("sorting", chromedp.Navigate(p.url+"/v1/containers"), chromedp.WaitVisible(`//p[@class="sort"]/a[text()="name"]`),
		chromedp.Click(`//p[@class="sort"]/a[text()="name"]`))
	until(t, "both in their order", 20*time.Second, func() bool {
		page := b.page()
		return strings.Contains(page, "sort=name") && strings.Contains(page, "renamed") && strings.Index(page, "another") < strings.Index(page, "renamed")
	})
	if status, _ := p.ask("DELETE", path, nil); status >= 300 {
		t.Errorf("it is removed with %d", status)
	}
}

// A browser that is sent nowhere in particular sees what runs where, and sees it change.
func TestTheDashboardShowsWhatRuns(t *testing.T) {
	t.Parallel()
	b := openBrowser(t)
	p := embedded(t)
	p.simulators(1)
	first := p.container(object{"name": "<b>first</b>"})
	p.becomes(first, "running")
	b.does("opening it", chromedp.Navigate(p.url+"/"), chromedp.WaitVisible(`//section//li`))
	until(t, "what runs", 20*time.Second, func() bool {
		page := b.page()
		return strings.HasPrefix(page, "/static/") && strings.Contains(page, "live") && strings.Contains(page, "1 instance, 1 running") && strings.Contains(page, "<b>first</b>")
	})
	p.becomes(p.container(object{"name": "second"}), "running")
	until(t, "the second", 20*time.Second, func() bool {
		page := b.page()
		return strings.Contains(page, "second") && strings.Contains(page, "2 instances, 2 running") && !strings.Contains(page, "on no host")
	})
	p.ask("POST", first+"/?action=stop", object{})
	until(t, "the first to have stopped", 20*time.Second, func() bool { return strings.Contains(b.page(), "1 running, 1 stopped") })
	p.ask("DELETE", first, nil)
	until(t, "it to be gone", 20*time.Second, func() bool {
		page := b.page()
		return strings.Contains(page, "1 instance, 1 running") && !strings.Contains(page, "first")
	})
}

// follows presses a link of a page that draws itself anew with each change: what was found
// a moment ago may be gone.
func (b *browser) follows(name string) {
	b.t.Helper()
	until(b.t, "a link to "+name, 20*time.Second, func() bool {
		pressed, err := chromedp.Run(b.ctx, chromedp.Evaluate[bool](fmt.Sprintf(
			`(() => { const a = [...document.querySelectorAll("a")].find(a => a.textContent === %q); if (a) { a.click(); } return !!a; })()`, name)))
		return err == nil && pressed
	})
}

// The log of an instance is a click away, and goes on while it is looked at.
func TestALogIsReadInABrowser(t *testing.T) {
	t.Parallel()
	b := openBrowser(t)
	p := embedded(t)
	path, agent := p.onAHost(p)
	p.becomes(path, "running")
	b.does("opening it", chromedp.Navigate(p.url+"/static/"))
	b.follows("Logs")
	until(t, "the log", 20*time.Second, func() bool { return strings.Contains(b.page(), "it runs") })
	agent.kill()
	until(t, "its end", 30*time.Second, func() bool { return strings.Contains(b.page(), "the host is away") })
	b.does("leading there from its page", chromedp.Navigate(p.url+path), chromedp.WaitVisible(`//p[@class="links"]/a[text()="Logs"]`))
	b.does("opening it without an instance", chromedp.Navigate(p.url+"/static/logs.html"))
	until(t, "what is missing", 20*time.Second, func() bool { return strings.Contains(b.page(), "no instance is named") })
}

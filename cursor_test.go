package main

import (
	"context"
	"fmt"
	"net/url"
	"testing"
	"time"
)

// cursorOf reads the cursor of an event, "" for none.
func cursorOf(o object) string { c, _ := o["cursor"].(string); return c }

// reader opens a stream that can be gone on with.
func (p *program) reader(socket bool, cursor string) *listener {
	p.t.Helper()
	if socket {
		return p.watch("eventNames=resource.change&cursor=" + url.QueryEscape(cursor))
	}
	return p.listen("", fmt.Sprintf(`{"eventNames":["resource.change"],"cursor":%q}`, cursor))
}

// settled waits until a stream's pings show the change of a resource behind them.
func (l *listener) settled(id string) (cursor string) {
	l.t.Helper()
	l.next("the change of "+id, func(o object) bool { return o["resourceId"] == id })
	for range 3 { // a ping may have been written before the round was done
		cursor = cursorOf(l.named("ping"))
	}
	return cursor
}

// A reader goes away and comes back with its cursor: it is told all that it has missed,
// also when Redis was emptied meanwhile.
func TestWhoComesBackWithACursorMissesNothing(t *testing.T) {
	t.Parallel()
	installations(t, func(t *testing.T, in *installation) {
		in.env = append(in.env, "CATTLE_API_SUB_PING_INTERVAL_MILLIS=400")
		p := in.start()
		user, _ := p.account("user")
		for _, socket := range []bool{true, false} {
			for _, who := range []*program{p, user} {
				plain := who.watch("eventNames=resource.change")
				l := who.reader(socket, "")
				_, first := user.ask("POST", "/v1/apikeys", object{"name": "first"})
				user.becomes("/v1/apikeys/"+first.id(), "active")
				cursor := l.settled(first.id())
				l.close()
				if client := in.redis(); client != nil {
					client.FlushDB(context.Background())
					_ = client.Close()
				}
				missed := map[any]bool{}
				for i := range 5 {
					_, o := user.ask("POST", "/v1/apikeys", object{"name": fmt.Sprint("missed ", i)})
					user.becomes("/v1/apikeys/"+o.id(), "active")
					missed[o["id"]] = true
				}
				last := ""
				for id := range missed { // the gateway has heard of all
					last = id.(string)
				}
				plain.next("the changes", func(o object) bool {
					if _, has := o["cursor"]; has {
						t.Errorf("whoever asked for no cursor gets %v", o)
					}
					return o["resourceId"] == last
				})
				back := who.reader(socket, cursor)
				back.next("all that was missed", func(o object) bool {
					if o["name"] == "cursor.expired" {
						t.Fatal("the cursor has expired")
					}
					delete(missed, o["resourceId"])
					return len(missed) == 0
				})
				back.close()
				plain.close()
			}
		}
	})
}

// What a gateway cannot know it says: the reader has to list again.
func TestACursorThatCannotBeGoneOnWithSaysSo(t *testing.T) {
	t.Parallel()
	installations(t, func(t *testing.T, in *installation) {
		in.env = append(in.env, "CATTLE_API_SUB_PING_INTERVAL_MILLIS=400")
		p := in.start()
		for _, cursor := range []string{"0123456789abcdef.7", "x", "..", "é"} {
			l := p.reader(true, cursor)
			fresh := cursorOf(l.named("cursor.expired"))
			if fresh == "" || fresh == cursor {
				t.Errorf("for %q the new cursor is %q", cursor, fresh)
			}
			l.close()
			back := p.reader(false, fresh)
			if o := back.next("a ping or a refusal", func(o object) bool { return true }); o["name"] == "cursor.expired" {
				t.Errorf("the new cursor has expired: %v", o)
			}
			back.close()
		}
		client := in.redis()
		if client == nil {
			return
		}
		defer client.Close()
		l := p.reader(true, "")
		before := cursorOf(l.named("ping"))
		if err := client.ClientKillByFilter(context.Background(), "TYPE", "pubsub").Err(); err != nil {
			t.Fatal(err)
		}
		if o := l.named("cursor.expired"); cursorOf(o) == before {
			t.Errorf("after the connection was lost the cursor is still %v", before)
		}
		p.reader(true, before).named("cursor.expired")
	})
}

// A key is taken away and the news of that are lost: its streams end all the same.
func TestAKeyThatIsGoneEndsItsStreamThoughNobodyTells(t *testing.T) {
	t.Parallel()
	in := &installation{t, []string{"CATTLE_HOME=" + t.TempDir(), "CATTLE_HTTP_PORT=" + freePort(t), "CATTLE_API_SUB_PING_INTERVAL_MILLIS=400"}}
	p := in.start()
	user, _ := p.account("user")
	_, o := p.ask("PUT", "/v1/settings/api.security.enabled", object{"value": "true"})
	if o["activeValue"] != "true" {
		t.Fatalf("security is %v", o)
	}
	socket, lines := user.watch("eventNames=resource.change"), user.listen("", names("resource.change"))
	in.surgery("update credential set state = 'inactive'")
	for _, l := range []*listener{socket, lines} {
		limit := time.After(30 * time.Second)
		for open := true; open; {
			select {
			case _, open = <-l.frames:
			case <-limit:
				t.Fatal("the stream goes on")
			}
		}
	}
}

package main

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/lxzan/gws"
)

// painter is a VNC server that draws what a test wants, and hears what it is told.
type painter struct {
	gws.BuiltinEventHandler
	t     *testing.T
	conn  *gws.Conn
	heard chan byte
}

// paints serves a screen at each path, and returns its host and port.
func paints(t *testing.T, screens map[string]func(*painter)) (host, port string) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		paint := screens[r.URL.RequestURI()]
		if paint == nil {
			http.Error(w, "there is no such screen", http.StatusForbidden)
			return
		}
		v := &painter{t: t, heard: make(chan byte, 10_000)}
		conn, err := gws.NewUpgrader(v, &gws.ServerOption{SubProtocols: []string{"binary"}}).Upgrade(w, r)
		if err != nil {
			return
		}
		v.conn = conn
		go conn.ReadLoop()
		paint(v)
	}))
	t.Cleanup(server.CloseClientConnections)
	at, _ := url.Parse(server.URL)
	return at.Hostname(), at.Port()
}

func (v *painter) OnMessage(_ *gws.Conn, m *gws.Message) {
	defer m.Close()
	for _, b := range m.Bytes() {
		v.heard <- b
	}
}

// says writes numbers as VNC has them: an int is one byte, and what has a size has that.
func (v *painter) says(parts ...any) {
	var out bytes.Buffer
	for _, p := range parts {
		switch p := p.(type) {
		case int:
			out.WriteByte(byte(p))
		case string:
			out.WriteString(p)
		default:
			_ = binary.Write(&out, binary.BigEndian, p)
		}
	}
	_ = v.conn.WriteMessage(gws.OpcodeBinary, out.Bytes())
}

func (v *painter) hears(n int) string {
	var out []byte
	for len(out) < n {
		select {
		case b := <-v.heard:
			out = append(out, b)
		case <-v.t.Context().Done():
			return string(out)
		case <-time.After(30 * time.Second):
			v.t.Errorf("the viewer says no more than %q", out)
			return string(out)
		}
	}
	return string(out)
}

// greets gets as far as a picture of a size.
func (v *painter) greets(width, height uint16) {
	v.says("RFB 003.008\n")
	v.hears(12)
	v.says(1, 1) // no password
	v.hears(1)
	v.says(uint32(0))
	v.hears(1)
	v.says(width, height, strings.Repeat("\x00", 16), uint32(8), "<b>x</b>")
	if format := v.hears(20); format != "\x00\x00\x00\x00\x20\x18\x00\x01\x00\xff\x00\xff\x00\xff\x00\x08\x10\x00\x00\x00" {
		v.t.Errorf("the viewer wants pixels as %q", format)
	}
	v.hears(4 + 4*4)
	if all := v.hears(10); all != "\x03\x00\x00\x00\x00\x00"+string([]byte{0, byte(width), 0, byte(height)}) {
		v.t.Errorf("the viewer asks first for %q", all)
	}
}

const (
	red, green, blue, white = "\xff\x00\x00\x00", "\x00\xff\x00\x00", "\x00\x00\xff\x00", "\xff\xff\xff\x00"
)

// pixels are the colours at some points of the picture.
func (b *browser) pixels(points ...[2]int) string {
	var out []string
	for _, at := range points {
		colour, _ := chromedp.Run(b.ctx, chromedp.Evaluate[string](fmt.Sprintf(
			`Array.from(document.getElementById("screen").getContext("2d").getImageData(%d, %d, 1, 1).data).join()`, at[0], at[1])))
		name, ok := map[string]string{"255,0,0,255": "red", "0,255,0,255": "green", "0,0,255,255": "blue", "255,255,255,255": "white", "0,0,0,255": "black"}[colour]
		if !ok {
			name = colour
		}
		out = append(out, name)
	}
	return strings.Join(out, " ")
}

// looks opens a link as noVNC has it.
func (b *browser) looks(p *program, host, port, path, more string) {
	b.t.Helper()
	b.does("opening the viewer", chromedp.Navigate("about:blank"), chromedp.Navigate(p.url+"/static/vnc.html?path="+url.QueryEscape(path)+
		"&host="+url.QueryEscape(host)+"&port="+port+more), chromedp.WaitVisible(`#says`))
}

func (b *browser) reads(text string) {
	b.t.Helper()
	for end := time.Now().Add(30 * time.Second); !strings.Contains(b.page(), text); <-time.After(10 * time.Millisecond) {
		if time.Now().After(end) {
			b.t.Fatalf("the page does not say %q, but is %s", text, b.page())
		}
	}
}

// lit is how many pixels of the screen are not black: a line of text is some thousands.
func (b *browser) lit() int {
	n, _ := chromedp.Run(b.ctx, chromedp.Evaluate[int](`(() => {
		const c = document.getElementById("screen"), d = c.getContext("2d").getImageData(0, 0, c.width, c.height).data;
		let n = 0;
		for (let i = 0; i < d.length; i += 4) { if (d[i] + d[i + 1] + d[i + 2] > 0) { n++; } }
		return n;
	})()`))
	return n
}

// types waits for what a machine has to say, and types something that it shows.
func (b *browser) types(serial func() string) {
	b.t.Helper()
	var before int
	until(b.t, "the text of the machine", 60*time.Second, func() bool {
		was := before
		before = b.lit()
		return strings.Contains(serial(), "!") && before > 1000 && before == was
	})
	heard := serial()
	b.does("typing", chromedp.KeyEvent("MMMM"))
	until(b.t, "what was typed", 30*time.Second, func() bool { return serial() == heard+"MMMM" && b.lit() > before+100 })
}

// Everything that a screen may draw is drawn, and what somebody does there is told.
func TestTheViewerDrawsAndTells(t *testing.T) {
	t.Parallel()
	b := openBrowser(t)
	p := embedded(t)
	told, over := make(chan string), make(chan struct{})
	host, port := paints(t, map[string]func(*painter){"/websockify?token=5f": func(v *painter) {
		defer close(over)
		v.greets(40, 20)
		v.says(2)                                                                    // a bell
		v.says(3, 0, 0, 0, uint32(3), "cut")                                         // and what nobody wants
		v.says(1, 0, uint16(0), uint16(1), "redred")                                 // or needs
		v.says(0, 0, uint16(3))                                                      // a change of three parts
		v.says(uint16(1), uint16(2), uint16(2), uint16(1), int32(0), red+green)      // as it is
		v.says(uint16(10), uint16(3), uint16(2), uint16(1), int32(1), uint16(1), 0)  // copied, in two frames
		v.says(2, uint16(20), uint16(0), uint16(20), uint16(20), int32(5))           // in tiles
		v.says(2|4|8, blue+red, 1, 0x12, 0x10)                                       // red on blue: 2 × 1 at 1, 2
		v.says(8|16, 2, white, 0x00, 0x00, green, 0x11, 0x00)                        // colours of their own, on blue still
		v.says(1, strings.Repeat(green, 16*4))                                       // as it is
		v.says(0)                                                                    // nothing but blue
		if next := v.hears(10); next != "\x03\x01\x00\x00\x00\x00\x00\x28\x00\x14" { // what changes from now on
			v.t.Errorf("the viewer asks on for %q", next)
		}
		told <- "drawn"
		told <- v.hears(8 * 2)
		told <- v.hears(8 * 2)
		told <- v.hears(8)
		told <- v.hears(8)
		<-told
		told <- v.hears(6 * 3)
		told <- v.hears(6 * 2)
		v.says(0, 0, uint16(1), uint16(0), uint16(0), uint16(30), uint16(10), int32(-223))
		if again := v.hears(10); again != "\x03\x00\x00\x00\x00\x00\x00\x1e\x00\x0a" {
			v.t.Errorf("after another size it asks for %q", again)
		}
		_ = v.conn.WriteClose(1000, nil)
	}})
	b.looks(p, host, port, "websockify?token=5f", "&password=unused&autoconnect=1")
	b.reads("connected to " + host + ":" + port)
	if page := b.page(); !strings.HasPrefix(page, "/static/vnc.html ") || strings.Contains(page, "unused") {
		t.Errorf("the password stays where it is seen: %s", page)
	}
	if got := <-told; got != "drawn" {
		t.Fatal(got)
	}
	until(t, "the picture", 20*time.Second, func() bool { return b.pixels([2]int{39, 19}) == "blue" })
	if got, want := b.pixels([2]int{0, 0}, [2]int{1, 2}, [2]int{2, 2}, [2]int{3, 2}, [2]int{10, 3}, [2]int{11, 3}, // copied
		[2]int{20, 0}, [2]int{21, 2}, [2]int{22, 2}, [2]int{23, 2}, [2]int{21, 3}, // the first tile
		[2]int{36, 0}, [2]int{37, 1}, [2]int{38, 1}, [2]int{20, 16}, [2]int{35, 19}, [2]int{36, 16}), // and the others
		"black red green black red green blue red red blue blue white green blue green green blue"; got != want {
		t.Errorf("it draws %s\ninstead of %s", got, want)
	}
	b.does("typing", chromedp.KeyEvent("a"))
	if got := <-told; got != "\x04\x01\x00\x00\x00\x00\x00\x61\x04\x00\x00\x00\x00\x00\x00\x61" {
		t.Errorf("a key is told as %q", got)
	}
	press := func(what, key, code string) {
		b.does("a key", chromedp.Evaluate[chromedp.Void](fmt.Sprintf(`document.getElementById("screen").dispatchEvent(new KeyboardEvent(%q, {key: %q, code: %q, location: 2}))`, what, key, code)))
	}
	press("keydown", "Dead", "Backquote") // it says nothing
	press("keydown", "€", "KeyE")
	press("keyup", "E", "KeyE") // something else was let go of before
	if got := <-told; got != "\x04\x01\x00\x00\x01\x00\x20\xac\x04\x00\x00\x00\x01\x00\x20\xac" {
		t.Errorf("a key of few keyboards is told as %q", got)
	}
	press("keydown", "Shift", "ShiftRight")
	if got := <-told; got != "\x04\x01\x00\x00\x00\x00\xff\xe2" {
		t.Errorf("a key that is held is told as %q", got)
	}
	b.does("turning to something else", chromedp.Evaluate[chromedp.Void](`document.activeElement.blur()`))
	if got := <-told; got != "\x04\x00\x00\x00\x00\x00\xff\xe2" {
		t.Errorf("it is let go of with %q", got)
	}
	point := func(what string, x, y, buttons, roll int) {
		b.does("the pointer", chromedp.Evaluate[chromedp.Void](fmt.Sprintf(`(() => {
			const c = document.getElementById("screen"), at = c.getBoundingClientRect();
			c.setPointerCapture = () => {};
			c.dispatchEvent(new WheelEvent(%q, {clientX: at.left + %d.5, clientY: at.top + %d.5, buttons: %d, deltaY: %d}));
		})()`, what, x, y, buttons, roll)))
	}
	told <- "go on"
	point("pointermove", 3, 4, 0, 0)
	point("pointerdown", 3, 4, 2, 0) // the right one
	point("pointerup", 500, 4, 0, 0)
	if got := <-told; got != "\x05\x00\x00\x03\x00\x04\x05\x04\x00\x03\x00\x04\x05\x00\x00\x27\x00\x04" {
		t.Errorf("the pointer is told as %q", got)
	}
	point("wheel", 3, 4, 0, -60)
	if got := <-told; got != "\x05\x08\x00\x27\x00\x04\x05\x00\x00\x27\x00\x04" {
		t.Errorf("the wheel is told as %q", got)
	}
	<-over
	b.reads("the machine has stopped, or shows its screen no more")
}

// What cannot be shown is said in words, and nothing that comes from outside is more than
// words.
func TestTheViewerSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	b := openBrowser(t)
	p := embedded(t)
	const evil = `<img src=x onerror="document.title='taken'">`
	enters := func(v *painter, ways ...any) {
		v.says("RFB 003.008\n")
		v.hears(12)
		v.says(ways...)
	}
	host, port := paints(t, map[string]func(*painter){
		"/old":  func(v *painter) { v.says("RFB 003.003\n") },
		"/mail": func(v *painter) { v.says("220 mail.example ESMTP\r\n") },
		"/text": func(v *painter) { _ = v.conn.WriteString(`{"name":"ping"}`) },
		"/full": func(v *painter) { enters(v, 0, uint32(len(evil)), evil) },
		"/odd":  func(v *painter) { enters(v, 2, 16, 19) },
		"/asks": func(v *painter) { enters(v, 1, 2) },
		"/beside": func(v *painter) {
			v.greets(40, 20)
			v.says(0, 0, uint16(1), uint16(30), uint16(0), uint16(20), uint16(1), int32(0))
		},
		"/gone": func(v *painter) {
			v.greets(40, 20)
			_ = v.conn.NetConn().Close()
		},
		"/revoked": func(v *painter) {
			v.greets(40, 20)
			_ = v.conn.WriteClose(4008, []byte("authentication withdrawn"))
		},
	})
	for path, words := range map[string]string{
		"old":     "the screen speaks RFB 3.3, and no 3.8",
		"mail":    "what answers there is no screen",
		"text":    "what answers there is no screen",
		"full":    "the screen is not shown: " + evil,
		"odd":     "in a way that is not known here",
		"asks":    "the screen wants a password, and there is none",
		"beside":  "the screen draws beside itself",
		"gone":    "the connection is lost",
		"revoked": "authentication withdrawn",
		"nothing": "nobody lets in there",
	} {
		b.looks(p, host, port, path, "&autoconnect=true")
		b.reads(words)
	}
	if title, _ := chromedp.Run(b.ctx, chromedp.Evaluate[string](`document.title`)); title == "taken" {
		t.Error("a page runs what comes from outside")
	}
	for _, host := range []string{"good.example@" + host, host + "/?", evil, "a b"} {
		b.looks(p, host, port, "old", "&autoconnect=1")
		b.reads("the link names no host")
	}
	b.looks(p, host, port, "old", "")
	b.reads("not connected")
	b.does("connecting", chromedp.Click(`#connect`))
	b.reads("and no 3.8")
	b.does("opening it without a machine", chromedp.Navigate("about:blank"), chromedp.Navigate(p.url+"/static/vnc.html"))
	b.reads("no machine is named")
}

// echoes is the first sector of a disk, and a whole operating system: it greets on its
// screen, and shows what is typed there and on the serial console.
//
//	start: cli; ax, ds, ss = 0; sp = 0x7c00; sti; cld
//	say:   next character of the greeting; int 0x10, ah = 0x0e
//	       al = '!'
//	idle:  outb 0x3f8, al
//	       int 0x16, ah = 0; int 0x10, ah = 0x0e
//	       idle
const echoes = "fa31c08ed88ed0bc007cfbfcbe2e7cac84c07408b40e31dbcd10ebf3b021baf803ee31c0cd16b40e31dbcd10ebf0" +
	"0d0a0d0a61206d616368696e6520697320757020616e64206865617273207768617420697320747970656420"

// What a real machine shows is seen in a browser, by whoever may stop it or has a ticket;
// what is typed there reaches it.
func TestAScreenIsSeenInABrowser(t *testing.T) {
	t.Parallel()
	needMachines(t)
	b := openBrowser(t)
	code, err := hex.DecodeString(echoes)
	if err != nil {
		t.Fatal(err)
	}
	disk := make([]byte, 1<<20)
	copy(disk, code)
	disk[510], disk[511] = 0x55, 0xaa
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "echoes.raw"), disk, 0o644); err != nil {
		t.Fatal(err)
	}
	files := httptest.NewServer(http.FileServer(http.Dir(dir)))
	t.Cleanup(files.Close)

	in, access, secret := secured(t)
	server := in.start()
	p := server.as(access, url.PathEscape(secret))
	p.ask("POST", "/v1/registrationtokens", object{})
	var token string
	until(t, "a token", 30*time.Second, func() bool {
		for _, o := range p.list("/v1/registrationtokens") {
			token, _ = o["token"].(string)
		}
		return token != ""
	})
	home := t.TempDir()
	custom := filepath.Join(home, "libvirt", "custom_template.tmpl")
	if err := os.MkdirAll(filepath.Dir(custom), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(custom, []byte(`{{define "network_interfaces"}}{{end}}`), 0o644); err != nil {
		t.Fatal(err)
	}
	start(t, []string{"CATTLE_HOME=" + home, "CATTLE_LIBVIRT_TYPE=qemu", "CATTLE_STOP_TIMEOUT=1", "CATTLE_LIBVIRT_WEBSOCKIFY_ENABLED=true",
		"CATTLE_LIBVIRT_WEBSOCKIFY_LISTEN_HOST=127.0.0.1", "CATTLE_LIBVIRT_WEBSOCKIFY_LISTEN_PORT=" + freePort(t)},
		"agent", "--url", server.url, "--token", token, "--drivers", "libvirt")
	p.hosts(1, "&kind=libvirt")
	status, image := p.ask("POST", "/v1/images", object{"url": files.URL + "/echoes.raw", "instanceKind": "virtualMachine", "isPublic": true})
	if status != 201 {
		t.Fatalf("no image: %v", image)
	}
	p.becomes("/v1/images/"+image.id(), "active")
	owner, _ := p.account("user")
	status, vm := owner.ask("POST", "/v1/virtualmachines", object{"imageId": image.id(), "memoryMb": 64, "name": "seen"})
	if status != 201 {
		t.Fatalf("refused: %v", vm)
	}
	path, uuid := "/v1/virtualmachines/"+vm.id(), vm["uuid"].(string)
	t.Cleanup(func() { _ = exec.Command("virsh", "-q", "-c", "qemu:///system", "destroy", uuid).Run() })
	owner.becomes(path, "running")
	serial := func() string {
		text, _ := os.ReadFile(filepath.Join(home, "consoles", uuid+".log"))
		return string(text)
	}

	// The way of people: from the dashboard, with the rights of the browser.
	b.does("logging in", chromedp.Navigate(owner.url+"/v1"), chromedp.Navigate(server.url+"/static/"))
	b.follows("Screen")
	b.reads("connected to " + vm.id())
	b.types(serial)
	b.does("leading there from its page", chromedp.Navigate(server.url+path), chromedp.WaitVisible(`//p[@class="links"]/a[text()="Screen"]`),
		chromedp.Click(`//button[text()="console"]`))
	b.reads("connected to 127.0.0.1:")

	// The way of the contract: where the console leads, to the host itself.
	stranger := openBrowser(t)
	status, console := owner.ask("POST", path+"/?action=console", object{})
	links, _ := console["links"].(map[string]any)
	view, _ := links["view"].(string)
	if status != 200 || !strings.HasPrefix(view, server.url+"/static/vnc.html?path=websockify%3Ftoken%3D") {
		t.Fatalf("%d: the console leads to %v", status, links)
	}
	at, _ := url.Parse(view)
	stranger.does("following it", chromedp.Navigate(view))
	stranger.reads("connected to 127.0.0.1:" + at.Query().Get("port"))
	stranger.types(serial)
	wrong := strings.Replace(view, "password=", "password=x", 1)
	stranger.does("with another password", chromedp.Navigate("about:blank"), chromedp.Navigate(wrong))
	stranger.reads("the password is wrong")

	// The way of a ticket, which is the right to look, once.
	status, ticket := owner.ask("POST", path+"/?action=screen", object{})
	if status != 200 {
		t.Fatalf("no ticket: %v", ticket)
	}
	base, _ := url.Parse(server.url)
	link := "v1/hostaccess?token=" + ticket["token"].(string)
	stranger.looks(server, base.Hostname(), base.Port(), link, "&autoconnect=1&password="+ticket["password"].(string))
	stranger.reads("connected to " + base.Host)
	stranger.types(serial)
	stranger.looks(server, base.Hostname(), base.Port(), link, "&autoconnect=1&password="+ticket["password"].(string))
	stranger.reads("nobody lets in there")
	other, _ := p.account("user")
	stranger.does("asking for a ticket", chromedp.Navigate(other.url+"/v1"), chromedp.Navigate(server.url+"/static/vnc.html#"+vm.id()))
	stranger.reads("Not Found")

	b.does("looking again", chromedp.Navigate("about:blank"), chromedp.Navigate(server.url+"/static/vnc.html#"+vm.id()))
	b.reads("connected to " + vm.id())
	owner.ask("POST", path+"/?action=stop", object{})
	b.reads("the machine has stopped")
	owner.becomes(path, "stopped")
	b.does("trying again", chromedp.Click(`#connect`))
	b.reads(vm.id() + " does not run")
}

package payd

import (
	"context"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"

	"github.com/logbahn/logbahn/logbahntest"
)

// browser is a page in Chromium, with what it complained about and whom it asked.
type browser struct {
	ctx context.Context

	mu       sync.Mutex
	trouble  []string
	requests []string
}

// openBrowser starts Chromium, or skips saying that there is none, which fails the test under LOGBAHN_REQUIRE.
func openBrowser(t *testing.T, width, height int64, dark bool) *browser {
	t.Helper()
	found := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			found = path
			break
		}
	}
	if found == "" && os.Getenv("LOGBAHN_REQUIRE") != "" {
		t.Fatal("no Chromium is installed")
	} else if found == "" {
		t.Skip("skipped: no Chromium is installed")
	}
	options := append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]), chromedp.ExecPath(found), chromedp.NoSandbox,
		chromedp.DisableGPU, chromedp.Flag("disable-quic", true), chromedp.NoFirstRun,
		chromedp.Flag("disable-background-networking", true), chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-sync", true), chromedp.Flag("hide-scrollbars", true))
	allocator, cancel := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(cancel)
	ctx, cancel := chromedp.NewContext(allocator)
	t.Cleanup(cancel)
	b := &browser{ctx: ctx}
	if err := chromedp.Do(ctx); err != nil { // starts it
		t.Fatal(err)
	}
	if err := chromedp.Listen(ctx, b.note); err != nil {
		t.Fatal(err)
	}
	scheme := "light"
	if dark {
		scheme = "dark"
	}
	features := []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}
	if _, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: features}); err != nil {
		t.Fatal(err)
	}
	if _, err := chromedp.Call(ctx, network.Enable, network.EnableParams{}); err != nil {
		t.Fatal(err)
	}
	b.do(t, chromedp.EmulateViewport(width, height))
	messages := chromedp.Console(ctx)
	go func() {
		for m, err := range messages {
			if err != nil {
				return
			}
			if m.IsException() || m.Type == "error" {
				b.mu.Lock()
				b.trouble = append(b.trouble, m.String())
				b.mu.Unlock()
			}
		}
	}()
	return b
}

func (b *browser) note(event any) {
	if e, ok := event.(*network.EventRequestWillBeSent); ok {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.requests = append(b.requests, e.Request.URL)
	}
}

const browserPatience = 40 * time.Second

func (b *browser) do(t *testing.T, steps ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, browserPatience)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		t.Fatalf("browser: %v; %v", err, b.trouble)
	}
}

// until waits for a condition on the page, also when it is loaded anew meanwhile.
func (b *browser) until(t *testing.T, condition string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, browserPatience)
	defer cancel()
	for {
		_, err := chromedp.Run(ctx, chromedp.Poll[bool](condition))
		if err == nil {
			return
		}
		if text := err.Error(); !strings.Contains(text, "navigated") && !strings.Contains(text, "Cannot find context") {
			t.Fatalf("browser: waiting for %s: %v; %v", condition, err, b.trouble)
		}
	}
}

func ask[T any](t *testing.T, b *browser, expression string) T {
	t.Helper()
	v, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](expression))
	if err != nil {
		t.Fatalf("browser: %s: %v", expression, err)
	}
	return v
}

// shoot saves a picture when the environment names a folder for it.
func (b *browser) shoot(t *testing.T, name string) {
	t.Helper()
	dir := os.Getenv("PAYD_SHOTS")
	if dir == "" {
		return
	}
	png, err := chromedp.Run(b.ctx, chromedp.CaptureScreenshot())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name+".png"), png, 0o600); err != nil {
		t.Fatal(err)
	}
}

// check fails the test if the page complained, or asked any other machine.
func (b *browser) check(t *testing.T, url string) {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.trouble) > 0 {
		t.Errorf("the page complains: %v", b.trouble)
	}
	for _, r := range b.requests {
		if !strings.HasPrefix(r, url) {
			t.Errorf("the page asks %s", r)
		}
	}
}

const (
	hasRows   = `document.querySelectorAll('pay-drivers .rows li').length > 0`
	hasGroups = `[...document.querySelectorAll('.group')].every(g => g.dataset.state === 'ok')`
	isLive    = `document.querySelector('#link').dataset.state === 'live'`
	isLost    = `document.querySelector('#link').dataset.state === 'lost'`
)

func TestPage(t *testing.T) {
	t.Parallel()
	b := openBrowser(t, 1440, 960, false)
	r := start(t, Config{Brokers: startLog(t), Cars: 60, Seed: 1, Zone: noonHere()})
	b.do(t, chromedp.Navigate(r.url))
	for _, condition := range []string{hasRows, hasGroups, isLive,
		`document.querySelector('#source').textContent === 'Simulated data'`,
		`document.querySelector('pay-map').cars?.size > 10`} {
		b.until(t, condition)
	}
	numbersAreReadable(t, b)
	if !ask[bool](t, b, `{
		const drivers = document.querySelector('pay-drivers'), link = drivers.querySelector('li:nth-child(2) a');
		link.focus();
		drivers.arrange();
		document.activeElement === link;
	}`) {
		t.Error("a row that is put into order loses the focus")
	}
	b.do(t, chromedp.Click(`.rows li a`), chromedp.WaitVisible(`.waterfall`), chromedp.WaitVisible(`.tag.simulated`))
	factors := ask[int](t, b, `document.querySelectorAll('.waterfall li').length`)
	illustrative := ask[int](t, b, `document.querySelectorAll('.basis[data-basis=illustrative]').length`)
	if factors < 8 || illustrative < 5 {
		t.Errorf("%d factors, %d marked illustrative", factors, illustrative)
	}
	b.until(t, `document.querySelector('.big .change').dataset.up === String(document.querySelector('.big .change').textContent.startsWith('+'))`)
	// A town that comes after its cars moves none of them.
	ask[bool](t, b, `{
		const map = document.querySelector('pay-map');
		map.origin(45.01, -29.99);
		map.tick();
		map.load().then(() => import('./store.js')).then((m) => { window.store = m.store; window.then = m.store.ticks; });
		true;
	}`)
	b.until(t, `window.store?.ticks > window.then + 1`)
	if jumps := ask[int](t, b, `[...document.querySelector('pay-map').cars.values()].filter(({ trail }) => trail.some((v, i) => i > 1 && Math.abs(v - trail[i - 2]) > 500)).length`); jumps > 0 {
		t.Errorf("%d cars have leapt", jumps)
	}
	// Escape leads back to the list, and the slash into the search.
	b.do(t, chromedp.KeyEvent("\x1b"), chromedp.WaitVisible(`pay-drivers .rows`), chromedp.KeyEvent("/"), chromedp.KeyEvent("nobody"))
	b.until(t, `document.querySelector('pay-drivers .empty').textContent === 'No driver matches.'`)
	for _, width := range []int64{1541, 1440, 1381, 1366, 1280, 1181, 1180, 1021, 1000, 861, 860, 375, 320} {
		b.do(t, chromedp.EmulateViewport(width, 900))
		if ask[bool](t, b, `document.documentElement.scrollWidth > innerWidth`) {
			t.Errorf("%d pixels wide, the page scrolls sideways", width)
		}
		broken := `[...document.querySelectorAll('.flow b')].filter((b) => [...b.childNodes].some((part) => {
			const range = document.createRange();
			range.selectNode(part);
			return part.nodeType === Node.TEXT_NODE && range.getClientRects().length > 1;
		})).map((b) => b.textContent).join(' ')`
		if names := ask[string](t, b, broken); names != "" {
			t.Errorf("%d pixels wide, names are broken within a word: %s", width, names)
		}
	}
	b.check(t, r.url)
	r.stop(t)
	b.until(t, isLost)
	b.do(t, chromedp.WaitVisible(`#banner`))
}

// numbersAreReadable asks the page's formats for what is missing, what is rounded to nothing, and a day that is another one in UTC.
func numbersAreReadable(t *testing.T, b *browser) {
	t.Helper()
	if _, err := chromedp.Call(b.ctx, emulation.SetTimezoneOverride, emulation.SetTimezoneOverrideParams{TimezoneID: "Pacific/Auckland"}); err != nil {
		t.Fatal(err)
	}
	ask[bool](t, b, `import('./format.js').then((m) => { window.formats = m; }), true`)
	b.until(t, `window.formats !== undefined`)
	for expression, want := range map[string]string{
		`percent(-0.4, 0)`: "±0 %", `percent(-0.04)`: "±0.0 %", `percent(-12.34)`: "−12.3 %", `percent(4.6, 0)`: "+5 %",
		`percent(0 / 0)`: "–", `eur(undefined)`: "–", `int(1 / 0)`: "–", `eur(123456)`: "€1,234.56", `span(undefined)`: "–", `short(undefined)`: "–",
		`clock(Date.UTC(2020, 0, 1, 23, 30))`: "2020-01-02 12:30:00", `clock(1e300)`: "–",
	} {
		if got := ask[string](t, b, `formats.`+expression); got != want {
			t.Errorf("%s: %q, want %q", expression, got, want)
		}
	}
}

// TestPageComesBack stops the server, has its address refuse the page, then say nothing, and starts another one there: the page
// tries again each time, and shows the new one's cars only. Its address names nobody, and is no address at all.
func TestPageComesBack(t *testing.T) {
	t.Parallel()
	b := openBrowser(t, 1440, 960, false)
	r := start(t, Config{Brokers: startLog(t), Cars: 20, Seed: 1, Zone: noonHere()})
	const rows = `document.querySelectorAll('pay-drivers .rows li').length`
	b.do(t, chromedp.Navigate(r.url+"#driver/%"))
	b.until(t, isLive+` && `+rows+` === 20`)
	ask[bool](t, b, `window.before = true`)
	r.stop(t)
	b.until(t, isLost)

	address := strings.TrimPrefix(r.url, "http://")
	listener, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	asked := make(chan int)
	var count atomic.Int32
	between := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := int(count.Add(1))
		if n == 1 {
			w.WriteHeader(http.StatusServiceUnavailable)
		} else {
			w.Header().Set("Content-Type", "text/event-stream")
			http.NewResponseController(w).Flush()
		}
		select {
		case asked <- n:
		case <-t.Context().Done():
		}
		if n > 1 {
			<-r.Context().Done()
		}
	})}
	go between.Serve(listener)
	for want := 1; want <= 3; want++ { // refused, heard nothing, and asks once more
		select {
		case <-asked:
		case <-time.After(browserPatience):
			t.Fatalf("the page has not tried again after %d times", want-1)
		}
	}
	between.Close()

	start(t, Config{Brokers: startLog(t), Cars: 5, Seed: 2, Zone: noonHere(), Listen: address})
	b.until(t, isLive+` && `+rows+` === 5 && window.before === undefined`)
}

// killable lets the page have a test's brokers.
type killable struct{ *logbahntest.Cluster }

func (k killable) Kill(id int32) error {
	k.Cluster.Kill(id)
	return nil
}

func (k killable) Start(_ context.Context, id int32) error {
	k.Restart(id)
	return nil
}

func (k killable) Running(id int32) bool { return k.Node(id) != nil }

// TestPageKillsTheLeader kills brokers with the button, starts them again, and finds each message that was acknowledged once.
func TestPageKillsTheLeader(t *testing.T) {
	t.Parallel()
	b := openBrowser(t, 1440, 1100, false)
	cluster := logbahntest.Run(t, logbahntest.Brokers(3), logbahntest.Setting("leader.imbalance.check.interval.seconds", "2"))
	r := start(t, Config{Brokers: cluster.Addrs(), Opts: cluster.ClientOptions(), Cluster: killable{cluster}, Cars: 60, Seed: 1, Zone: noonHere()})
	b.do(t, chromedp.Navigate(r.url))
	const (
		allWell = `document.querySelectorAll('.broker[data-state=ok]').length === 3`
		leader  = `[...document.querySelectorAll('.broker')].find(b => b.textContent.includes('leads telematics/0'))?.dataset.id`
		arrived = `Number(document.querySelector('#audit-arrived').textContent.replace(/\D/g, ''))`
	)
	b.until(t, hasRows)
	b.until(t, allWell+` && `+arrived+` > 50`)
	b.shoot(t, "brokers")
	for round := range 2 {
		first, before := ask[string](t, b, leader), ask[float64](t, b, arrived)
		ask[bool](t, b, `document.querySelector('.danger').click(), document.querySelector('.danger').click(), true`) // a double click kills one
		b.until(t, `document.querySelector('.broker[data-id="`+first+`"]').dataset.state === 'dead'`)
		b.until(t, leader+` !== undefined && `+leader+` !== '`+first+`'`)
		b.until(t, arrived+` > `+strconv.FormatFloat(before+100, 'f', 0, 64)) // the cars drive on
		b.shoot(t, "brokers-killed")
		b.do(t, chromedp.Click(`.broker[data-id="`+first+`"] button`))
		b.until(t, allWell)
		b.until(t, leader+` === '`+first+`'`) // as the preferred replica; who is killed next is the one that the page shows
		for _, counter := range []string{"lost", "duplicated"} {
			if n := ask[string](t, b, `document.querySelector('#audit-`+counter+`').textContent`); n != "0" {
				t.Errorf("round %d: %s %s", round, n, counter)
			}
		}
	}
	b.do(t, chromedp.EmulateViewport(375, 800))
	if ask[bool](t, b, `document.documentElement.scrollWidth > innerWidth`) {
		t.Error("the narrow page scrolls sideways")
	}
	ask[bool](t, b, `document.querySelector('.cluster').scrollIntoView(), scrollBy(0, -60), true`)
	b.shoot(t, "brokers-narrow")
	b.mu.Lock()
	defer b.mu.Unlock()
	kills := slices.DeleteFunc(slices.Clone(b.requests), func(r string) bool { return !strings.HasSuffix(r, "/api/kill-leader") })
	if len(kills) != 2 {
		t.Errorf("two double clicks asked for %d kills", len(kills))
	}
	if len(b.trouble) > 0 {
		t.Errorf("the page complains: %v", b.trouble)
	}
}

// TestPictures takes the pictures of the page that people look at; it does nothing unless PAYD_SHOTS names a folder.
func TestPictures(t *testing.T) {
	if os.Getenv("PAYD_SHOTS") == "" {
		t.Skip("skipped: PAYD_SHOTS names no folder")
	}
	early := openBrowser(t, 1440, 900, false)
	wide, dark := openBrowser(t, 1440, 1290, false), openBrowser(t, 1180, 1400, true)
	narrow := openBrowser(t, 390, 844, true)
	r := start(t, Config{Brokers: startLog(t), Seed: 1, Zone: noonHere()})
	early.do(t, chromedp.Navigate(r.url))
	early.shoot(t, "empty")
	for _, b := range []*browser{wide, dark, narrow} {
		b.do(t, chromedp.Navigate(r.url))
		b.until(t, hasRows)
		b.until(t, hasGroups)
	}
	wide.until(t, `document.querySelectorAll('pay-events li').length > 4`)
	wide.shoot(t, "light")
	dark.do(t, chromedp.Click(`.rows li:nth-child(3) a`), chromedp.WaitVisible(`.waterfall`), chromedp.Sleep(2*time.Second))
	dark.shoot(t, "dark-driver")
	narrow.shoot(t, "narrow")
	for _, part := range []string{"drivers", "pipeline"} {
		ask[bool](t, narrow, `document.querySelector('.`+map[string]string{"drivers": "side", "pipeline": "pipeline"}[part]+`').scrollIntoView(), scrollBy(0, -60), true`)
		narrow.shoot(t, "narrow-"+part)
	}
	ask[bool](t, wide, `document.querySelector('details').open = true`)
	wide.until(t, `document.querySelectorAll('pay-values tr').length > 5`)
	ask[bool](t, wide, `scrollTo(0, 9999), true`)
	wide.shoot(t, "values")
	r.stop(t)
	ask[bool](t, wide, `scrollTo(0, 0), true`)
	wide.until(t, isLost)
	wide.shoot(t, "lost")
	if file := os.Getenv("PAYD_REPLAY"); file != "" {
		r := start(t, Config{Brokers: startLog(t), Replay: Replay{File: file, Speed: 120}})
		wide.do(t, chromedp.Navigate(r.url), chromedp.Sleep(30*time.Second))
		wide.shoot(t, "replay")
	}
}

// noonHere is a zone in which it is noon, so that the town is busy whenever the test runs.
func noonHere() *time.Location {
	return time.FixedZone("noon", (12-time.Now().UTC().Hour())*3600)
}

// Plays conformance cases with the Go SDK: a case a line on standard input, a line of what was heard for each.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"os"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"

	persona "persona.dev/go"
)

const (
	patience = 20 * time.Second
	stuck    = 3
	left     = 4
)

type step struct {
	Track, Identify, Page, Alias, UserID, PreviousID string
	Properties, Traits                               map[string]any
	Times                                            int
	Flush, Close                                     *int
	SetKey, Cursor                                   string
	Subscribe                                        *[]string
	Unsubscribe                                      bool
	Until, Wait                                      map[string]int
}

type options struct {
	FlushAt, MaxQueue, MaxQueueBytes, FlushIntervalMs, TimeoutMs, RetryBaseMs, RetryCapMs, WatchdogMs int
	Config                                                                                            bool
}

type script struct {
	URL, Key string
	Options  options
	Do       []step
}

type dropped struct {
	Event string `json:"event"`
	Code  string `json:"code"`
}

type reset struct {
	Oldest int64 `json:"oldest"`
	Head   int64 `json:"head"`
}

type heard struct {
	lock     sync.Mutex
	Dropped  []dropped        `json:"dropped"`
	Errors   []string         `json:"errors"`
	Changes  []int64          `json:"changes"`
	Profiles []string         `json:"profiles"`
	Resets   []reset          `json:"resets"`
	Flags    []map[string]any `json:"flags"`
}

func (h *heard) note(what func()) {
	h.lock.Lock()
	defer h.lock.Unlock()
	what()
}

func (h *heard) counts() map[string]int {
	h.lock.Lock()
	defer h.lock.Unlock()
	return map[string]int{"changes": len(h.Changes), "errors": len(h.Errors), "resets": len(h.Resets), "flags": len(h.Flags)}
}

func main() {
	before := runtime.NumGoroutine()
	lines := bufio.NewReaderSize(os.Stdin, 1<<20)
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			return
		}
		var one script
		if err := json.Unmarshal([]byte(line), &one); err != nil {
			panic(err)
		}
		said, _ := json.Marshal(play(one))
		deadline := time.Now().Add(patience)
		for runtime.NumGoroutine() > before { // every case ends with a close: it leaves no goroutine behind
			if time.Now().After(deadline) {
				os.Exit(left)
			}
			time.Sleep(time.Millisecond)
		}
		os.Stdout.Write(append(said, '\n'))
	}
}

func play(s script) *heard {
	h := &heard{Dropped: []dropped{}, Errors: []string{}, Changes: []int64{}, Profiles: []string{}, Resets: []reset{}, Flags: []map[string]any{}}
	options := persona.Options{
		URL: s.URL, FlushAt: s.Options.FlushAt, MaxQueue: s.Options.MaxQueue, MaxQueueBytes: s.Options.MaxQueueBytes, Config: s.Options.Config,
		FlushInterval: milliseconds(s.Options.FlushIntervalMs), Timeout: milliseconds(s.Options.TimeoutMs),
		RetryBase: milliseconds(s.Options.RetryBaseMs), RetryCap: milliseconds(s.Options.RetryCapMs),
		Watchdog: milliseconds(s.Options.WatchdogMs),
		OnFlags:  func(flags map[string]any) { h.note(func() { h.Flags = append(h.Flags, flags) }) },
		OnDrop:   func(event, code string) { h.note(func() { h.Dropped = append(h.Dropped, dropped{event, code}) }) },
		OnError:  func(code string) { h.note(func() { h.Errors = append(h.Errors, code) }) },
	}
	client := persona.New(s.Key, options)
	var subscription *persona.Subscription
	for _, one := range s.Do {
		switch {
		case one.Flush != nil:
			within(*one.Flush, client.Flush)
		case one.Close != nil:
			within(*one.Close, client.Close)
		case one.SetKey != "":
			client.SetKey(one.SetKey)
		case one.Unsubscribe:
			subscription.Close()
		case one.Subscribe != nil:
			onReset := func(oldest, head int64) { h.note(func() { h.Resets = append(h.Resets, reset{oldest, head}) }) }
			filter := persona.Filter{Personas: *one.Subscribe, Cursor: one.Cursor, OnReset: onReset}
			subscription, _ = client.Subscribe(context.Background(), filter, func(change persona.Change) {
				h.note(func() { h.Changes, h.Profiles = append(h.Changes, change.Seq), append(h.Profiles, change.Profile) })
			})
		case one.Until != nil:
			until(one.Until, h.counts)
		case one.Wait != nil:
			until(one.Wait, func() map[string]int { return seen(s.URL) })
		default:
			call(client, one)
		}
	}
	return h
}

func within(most int, act func(context.Context) error) {
	ctx, cancel := context.WithTimeout(context.Background(), milliseconds(most))
	defer cancel()
	_ = act(ctx) // what came of it is judged by what the server has seen
}

func call(client *persona.Client, s step) {
	for i := 0; i < s.Times || i == 0; i++ {
		user := strings.ReplaceAll(s.UserID, "{i}", strconv.Itoa(i))
		switch {
		case s.Track != "":
			_ = client.Track(user, strings.ReplaceAll(s.Track, "{i}", strconv.Itoa(i)), filled(s.Properties))
		case s.Identify != "":
			_ = client.Identify(s.Identify, s.Traits)
		case s.Page != "":
			_ = client.Page(user, s.Page, filled(s.Properties))
		default:
			_ = client.Alias(s.Alias, s.PreviousID)
		}
	}
}

var size = regexp.MustCompile(`^\{(\d+)\}$`)

// filled: "{60000}" as so many letters.
func filled(properties map[string]any) map[string]any {
	full := map[string]any{}
	for name, value := range properties {
		if text, ok := value.(string); ok && size.MatchString(text) {
			count, _ := strconv.Atoi(size.FindStringSubmatch(text)[1])
			value = strings.Repeat("x", count)
		}
		full[name] = value
	}
	return full
}

func until(wanted map[string]int, counts func() map[string]int) {
	for deadline := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		now, met := counts(), true
		for name, count := range wanted {
			met = met && now[name] >= count
		}
		if met {
			return
		}
		if time.Now().After(deadline) {
			os.Exit(stuck)
		}
	}
}

func seen(url string) map[string]int {
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Get(url + "/seen")
	if err != nil {
		return nil
	}
	defer response.Body.Close()
	var counts map[string]int
	_ = json.NewDecoder(response.Body).Decode(&counts)
	return counts
}

func milliseconds(count int) time.Duration { return time.Duration(count) * time.Millisecond }

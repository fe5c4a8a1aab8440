package persona

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"
)

var forGood = map[int]bool{400: true, 401: true, 403: true, 404: true}

// Change says that one profile entered or left one persona. Data is everything the server said, later additions included.
type Change struct {
	Seq     int64           `json:"-"`
	Profile string          `json:"profile"`
	Persona string          `json:"persona"`
	Op      string          `json:"op"` // enter or leave
	Data    json.RawMessage `json:"-"`
}

// Filter of a subscription: which personas (all, if none is named), and behind which id to begin (from now on, if none).
type Filter struct {
	Personas []string
	Cursor   string
	OnReset  func(oldest, head int64) // the changes before oldest are gone: read the members anew
}

// Subscription calls for each change, once and in order, from one goroutine, until Close, or until the server refuses for
// good (an unknown persona, a revoked key), which Options.OnError hears.
type Subscription struct {
	client  *Client
	filter  Filter
	call    func(Change)
	backoff backoff
	stop    context.CancelFunc
	done    chan struct{}
	told    int64 // the last number that the application has heard

	lock   sync.Mutex
	cursor string
}

// Subscribe hears when profiles enter or leave. It ends with the context, with Close, or with the client.
func (c *Client) Subscribe(ctx context.Context, filter Filter, call func(Change)) (*Subscription, error) {
	c.lock.Lock()
	defer c.lock.Unlock()
	if c.closed {
		return nil, ErrClosed
	}
	ctx, stop := context.WithCancel(ctx)
	s := &Subscription{
		client: c, filter: filter, call: call, stop: stop, done: make(chan struct{}), told: -1, cursor: filter.Cursor,
		backoff: backoff{base: c.options.RetryBase, cap: c.options.RetryCap},
	}
	c.subscriptions[s] = true
	c.start(func() { s.run(ctx) })
	return s, nil
}

// Cursor is the place to hand to the next Subscribe after a restart.
func (s *Subscription) Cursor() string {
	s.lock.Lock()
	defer s.lock.Unlock()
	return s.cursor
}

// Done is closed when it has ended.
func (s *Subscription) Done() <-chan struct{} { return s.done }

// Close ends it, from a callback too. One call may be under way still; Done says when none is.
func (s *Subscription) Close() { s.stop() }

func (s *Subscription) run(ctx context.Context) {
	defer func() {
		s.stop()
		s.client.lock.Lock()
		delete(s.client.subscriptions, s)
		s.client.lock.Unlock()
		close(s.done)
	}()
	for ctx.Err() == nil {
		pause, again := s.listen(ctx)
		if !again {
			return
		}
		rest(ctx, pause)
	}
}

// listen to one connection. The pause before the next; false when there is to be none.
func (s *Subscription) listen(ctx context.Context) (time.Duration, bool) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	watchdog := time.AfterFunc(s.client.options.Watchdog, cancel)
	defer watchdog.Stop()
	response, err := s.open(ctx)
	if err != nil {
		return s.backoff.next(), true
	}
	defer response.Body.Close()
	if response.StatusCode/100 != 2 || !strings.Contains(response.Header.Get("Content-Type"), "event-stream") {
		return s.refused(response)
	}
	s.read(ctx, response.Body, watchdog)
	return s.backoff.next(), true
}

func (s *Subscription) open(ctx context.Context) (*http.Response, error) {
	header := http.Header{"Accept": {"text/event-stream"}}
	if cursor := s.Cursor(); cursor != "" {
		header.Set("Last-Event-ID", cursor)
	}
	path := streamPath
	if len(s.filter.Personas) > 0 {
		path += "?" + url.Values{"persona": s.filter.Personas}.Encode()
	}
	return s.client.do(ctx, http.MethodGet, path, nil, header)
}

// refused, for now or for good; without a code it was not the server that said so.
func (s *Subscription) refused(response *http.Response) (time.Duration, bool) {
	var said answer
	text, err := io.ReadAll(io.LimitReader(response.Body, mostAnswer))
	if err == nil && json.Unmarshal(text, &said) == nil && said.code() != "" && forGood[response.StatusCode] {
		s.client.fail(said.code())
		return 0, false
	}
	return s.backoff.after(response.Header), true
}

func (s *Subscription) read(ctx context.Context, body io.Reader, watchdog *time.Timer) {
	var frames parser
	piece := make([]byte, 16<<10)
	for {
		size, err := body.Read(piece)
		watchdog.Reset(s.client.options.Watchdog)
		whole, endless := frames.feed(piece[:size])
		for _, one := range whole {
			if ctx.Err() != nil {
				return
			}
			s.hear(one)
		}
		if err != nil || endless != nil {
			return
		}
	}
}

func (s *Subscription) hear(f frame) {
	s.backoff.succeeded()
	s.understand(f)
	if _, err := place(f.id); err == nil { // behind the call: what the application has not seen comes again
		s.lock.Lock()
		s.cursor = f.id
		s.lock.Unlock()
	}
}

func (s *Subscription) understand(f frame) {
	switch f.event {
	case "reset":
		var to struct{ Oldest, Head *int64 }
		if json.Unmarshal([]byte(f.data), &to) != nil || to.Oldest == nil || to.Head == nil {
			return // not what this server sends: what follows still counts
		}
		s.told = *to.Oldest - 1
		if s.filter.OnReset != nil {
			s.client.guard(func() { s.filter.OnReset(*to.Oldest, *to.Head) })
		}
	case "segment.updated":
		change := Change{Data: json.RawMessage(f.data)}
		var err error
		if change.Seq, err = place(f.id); err != nil || change.Seq <= s.told {
			return
		}
		if json.Unmarshal(change.Data, &change) != nil || change.Profile == "" || change.Persona == "" || change.Op == "" {
			return
		}
		s.told = change.Seq
		s.client.guard(func() { s.call(change) })
	}
}

// place in the log: a number without a sign.
func place(id string) (int64, error) {
	number, err := strconv.ParseUint(id, 10, 63)
	return int64(number), err
}

// Package persona sends events to Persona and hears when profiles enter and leave personas.
//
//	client := persona.New("sk_live_...", persona.Options{URL: "https://persona.example.com"})
//	defer client.Close(context.Background())
//	client.Track("alice", "order_placed", map[string]any{"total": 40.5})
package persona

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// What an event can be given up for at once. The rest is told to Options.OnDrop alone.
var (
	ErrClosed   = errors.New("client.closed")
	ErrFull     = errors.New("queue.full")
	ErrTooLarge = errors.New("event.too_large")
	ErrNotJSON  = errors.New("event.not_json")
)

// Client is for any number of goroutines; one for a program. No method waits for the network but Flush and Close.
type Client struct {
	options Options
	key     atomic.Value
	http    *http.Client
	queue   *queue
	known   atomic.Value // configuration

	hurriedTo atomic.Int64  // everything up to this place leaves at once
	hurry     chan struct{} // ends a pause
	stop      context.CancelFunc
	context   context.Context
	work      sync.WaitGroup

	lock          sync.Mutex
	closed        bool
	subscriptions map[*Subscription]bool
}

// New client with a secret (sk_) or publishable (pk_) key. Close it.
func New(key string, options Options) *Client {
	ctx, stop := context.WithCancel(context.Background())
	c := &Client{
		options: options.withDefaults(), queue: nil, hurry: make(chan struct{}, 1), stop: stop, context: ctx,
		subscriptions: map[*Subscription]bool{},
	}
	c.http = &http.Client{Transport: transport(), CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	c.queue = newQueue(c.options)
	c.key.Store(key)
	c.known.Store(configuration{})
	s := &sender{client: c, backoff: backoff{base: c.options.RetryBase, cap: c.options.RetryCap}, most: mostEvents}
	c.start(func() { s.run(ctx) })
	if c.options.Config {
		c.start(func() { c.follow(ctx) })
	}
	return c
}

// transport of its own: closing it closes this client's sockets, and nobody else's. The usual one may have been replaced
// by something of the application's, whose sockets are not ours to close.
func transport() http.RoundTripper {
	if usual, ok := http.DefaultTransport.(*http.Transport); ok {
		return usual.Clone()
	}
	return &http.Transport{Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true, IdleConnTimeout: 90 * time.Second}
}

func (c *Client) start(work func()) {
	c.work.Add(1)
	go func() {
		defer c.work.Done()
		work()
	}()
}

// Track says that something happened.
func (c *Client) Track(userID, event string, properties map[string]any) error {
	return c.Send(Event{Type: "track", UserID: userID, Event: event, Properties: properties})
}

// Identify sets traits of somebody.
func (c *Client) Identify(userID string, traits map[string]any) error {
	return c.Send(Event{Type: "identify", UserID: userID, Traits: traits})
}

// Page says that a page was seen.
func (c *Client) Page(userID, name string, properties map[string]any) error {
	return c.Send(Event{Type: "page", UserID: userID, Name: name, Properties: properties})
}

// Alias says that previousID is userID from now on.
func (c *Client) Alias(userID, previousID string) error {
	return c.Send(Event{Type: "alias", UserID: userID, PreviousID: previousID})
}

// Send any event. The error is one of the four above; OnDrop hears of it too. An event outside the sample is no error.
func (c *Client) Send(event Event) error {
	event.fill()
	if rate := c.known.Load().(configuration).rate(event.label()); rate < 1 && sampled[event.Type] && share(event.who()) >= rate {
		return nil
	}
	err := c.put(&event)
	if err != nil {
		c.drop(event.label(), err.Error())
	}
	return err
}

func (c *Client) put(event *Event) error {
	c.lock.Lock()
	closed := c.closed
	c.lock.Unlock()
	if closed {
		return ErrClosed
	}
	body, err := event.encode()
	if err != nil {
		log.Printf("persona: event %q cannot be sent: %v", event.label(), err)
		return ErrNotJSON
	}
	if len(body) > mostEventBytes {
		return ErrTooLarge
	}
	return c.queue.add(waiting{name: event.label(), body: body})
}

// SetKey is the next key of a rotation. What waits goes out with it at once.
func (c *Client) SetKey(key string) {
	c.key.Store(key)
	c.wake()
}

// Flush sends what was queued before. The error is that of the context, when it ends before all was taken or refused for good.
func (c *Client) Flush(ctx context.Context) error {
	_, goal, _, _ := c.queue.now()
	for before := c.hurriedTo.Load(); before < int64(goal); before = c.hurriedTo.Load() {
		if c.hurriedTo.CompareAndSwap(before, int64(goal)) {
			break
		}
	}
	c.queue.lock.Lock()
	c.queue.tell()
	c.queue.lock.Unlock()
	for {
		_, _, removed, changed := c.queue.now()
		if removed >= goal {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Close flushes until the context ends, then ends everything: no goroutine and no socket is left.
// What could not be sent goes to OnDrop; the error is then that of the context. Not to be called from a callback.
func (c *Client) Close(ctx context.Context) error {
	c.lock.Lock()
	if c.closed {
		c.lock.Unlock()
		return nil
	}
	c.closed = true
	open := c.subscriptions
	c.subscriptions = nil
	c.lock.Unlock()
	for subscription := range open {
		subscription.Close()
	}
	err := c.Flush(ctx)
	c.stop()
	c.work.Wait()
	c.http.CloseIdleConnections()
	for _, event := range c.queue.end() {
		c.drop(event.name, ErrClosed.Error())
	}
	return err
}

func (c *Client) do(ctx context.Context, method, path string, body []byte, header http.Header) (*http.Response, error) {
	var content io.Reader
	if body != nil {
		content = bytes.NewReader(body)
	}
	request, err := http.NewRequestWithContext(ctx, method, strings.TrimRight(c.options.URL, "/")+path, content)
	if err != nil {
		return nil, err
	}
	for name, values := range header {
		request.Header[name] = values
	}
	key := url.PathEscape(strings.TrimSpace(c.key.Load().(string))) // one with a stray letter in it is the server's to refuse
	request.Header.Set("Authorization", "Bearer "+key)
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	return c.http.Do(request)
}

// pause ends early when there is another key, or at the end.
func (c *Client) pause(ctx context.Context, duration time.Duration) {
	if duration <= 0 {
		return
	}
	timer := time.NewTimer(duration)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-c.hurry:
	case <-ctx.Done():
	}
}

func (c *Client) wake() {
	select {
	case c.hurry <- struct{}{}:
	default: // somebody has said so already
	}
}

func (c *Client) drop(event, code string) {
	if c.options.OnDrop != nil {
		c.guard(func() { c.options.OnDrop(event, code) })
	}
}

func (c *Client) fail(code string) {
	if c.options.OnError != nil {
		c.guard(func() { c.options.OnError(code) })
	}
}

// guard: whatever the application does in a callback, what goes on here does not end by it.
func (c *Client) guard(call func()) {
	defer func() {
		if recovered := recover(); recovered != nil {
			if c.options.OnPanic != nil {
				c.options.OnPanic(recovered)
			} else {
				log.Printf("persona: a callback panicked: %v", recovered)
			}
		}
	}()
	call()
}

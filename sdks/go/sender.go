package persona

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"time"
)

var (
	later        = map[int]bool{408: true, 425: true, 429: true} // of those that say the client is wrong
	batchRefused = map[int]bool{400: true, 415: true, 422: true}
)

const (
	tooLarge   = 413     // said by proxies, too
	mostAnswer = 1 << 20 // bytes of an answer that are read
)

// sender is the one goroutine that sends: batches in order, each until it is taken or refused for good.
type sender struct {
	client  *Client
	backoff backoff
	most    int  // events a request; halved while the server refuses batches as a whole
	again   bool // the oldest batch was tried already: no waiting for company
}

type answer struct {
	Accepted any `json:"accepted"`
	Code     any `json:"code"`
	Errors   any `json:"errors"`
}

// code is the server's word for what it refuses; a proxy answers whatever it likes.
func (a answer) code() string {
	code, _ := a.Code.(string)
	return code
}

func (a answer) accepts() bool {
	_, ok := a.Accepted.(float64)
	return ok
}

func (s *sender) run(ctx context.Context) {
	for s.waitForWork(ctx) {
		if batch := s.client.queue.first(s.most); len(batch) > 0 {
			s.client.pause(ctx, s.send(ctx, batch))
		}
	}
}

// waitForWork until a batch is due; false at the end.
func (s *sender) waitForWork(ctx context.Context) bool {
	var interval <-chan time.Time
	for ctx.Err() == nil {
		length, _, removed, changed := s.client.queue.now()
		if length > 0 && (s.again || length >= s.client.options.FlushAt || s.client.hurriedTo.Load() > int64(removed)) {
			return true
		}
		if length > 0 && interval == nil {
			timer := time.NewTimer(s.client.options.FlushInterval)
			defer timer.Stop()
			interval = timer.C
		}
		select {
		case <-changed:
		case <-s.client.hurry:
		case <-interval:
			return true
		case <-ctx.Done():
		}
	}
	return false
}

// send is one request. The pause before the next.
func (s *sender) send(ctx context.Context, batch []waiting) time.Duration {
	s.again = true
	select {
	case <-s.client.hurry: // meant for a pause that is over
	default:
	}
	ctx, cancel := context.WithTimeout(ctx, s.client.options.Timeout)
	defer cancel()
	response, err := s.client.do(ctx, http.MethodPost, ingestPath, requestBody(batch), nil)
	if err != nil {
		return s.backoff.next()
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, mostAnswer))
	if err != nil {
		return s.backoff.next()
	}
	return s.understand(batch, response, text)
}

func (s *sender) understand(batch []waiting, response *http.Response, text []byte) time.Duration {
	var said answer
	if json.Unmarshal(text, &said) != nil {
		said = answer{} // a proxy or a sign-in page answers whatever it likes
	}
	status, code := response.StatusCode, codeOf(said.code(), response.StatusCode)
	switch {
	case status/100 == 2 && said.accepts():
		s.taken(batch, said)
		return 0
	case status == tooLarge || batchRefused[status] && said.code() != "":
		s.refused(batch, code)
		return 0
	case status < 500 && !later[status]: // a key or an address that is wrong, or not our server
		s.client.fail(code)
	}
	return s.backoff.after(response.Header)
}

func (s *sender) taken(batch []waiting, said answer) {
	s.again = false
	s.backoff.succeeded()
	if s.most *= 2; s.most > mostEvents {
		s.most = mostEvents
	}
	s.client.queue.remove(len(batch))
	refusals, _ := said.Errors.([]any)
	for _, one := range refusals {
		refusal, _ := one.(map[string]any)
		index, ok := refusal["index"].(float64)
		if ok && index >= 0 && int(index) < len(batch) && index == math.Trunc(index) {
			code, _ := refusal["code"].(string)
			or(&code, "event.refused")
			s.client.drop(batch[int(index)].name, code)
		}
	}
}

// refused: the server takes none of it. Halve, until the one event that is to blame stands alone.
func (s *sender) refused(batch []waiting, code string) {
	if len(batch) > 1 {
		s.most = len(batch) / 2
		return
	}
	s.client.queue.remove(1)
	s.client.drop(batch[0].name, code)
}

func requestBody(batch []waiting) []byte {
	var body bytes.Buffer
	fmt.Fprintf(&body, `{"sentAt":"%s","context":{"library":{"name":"persona.dev/go","version":"%s"}},"batch":[`,
		time.Now().UTC().Format("2006-01-02T15:04:05.000Z"), Version)
	for number, event := range batch {
		if number > 0 {
			body.WriteByte(',')
		}
		body.Write(event.body)
	}
	body.WriteString("]}")
	return body.Bytes()
}

func codeOf(code string, status int) string {
	if status/100 == 3 {
		or(&code, "http.redirect")
	}
	or(&code, fmt.Sprintf("http.%d", status))
	return code
}

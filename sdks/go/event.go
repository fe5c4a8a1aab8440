package persona

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"time"
)

// Event is everything that can be said of one event; Track, Identify, Page and Alias fill in the usual.
// Without MessageID and Timestamp it gets a random one, and now.
type Event struct {
	Type        string         `json:"type"` // track, identify, page, screen, group or alias
	MessageID   string         `json:"messageId"`
	Timestamp   time.Time      `json:"timestamp"`
	Event       string         `json:"event,omitempty"` // the name, of a track
	Name        string         `json:"name,omitempty"`  // of a page or a screen
	UserID      string         `json:"userId,omitempty"`
	AnonymousID string         `json:"anonymousId,omitempty"`
	PreviousID  string         `json:"previousId,omitempty"`
	Properties  map[string]any `json:"properties,omitempty"`
	Traits      map[string]any `json:"traits,omitempty"`
	Context     map[string]any `json:"context,omitempty"`
}

// Never sampled is what says who somebody is.
var sampled = map[string]bool{"track": true, "page": true, "screen": true}

func (e *Event) label() string {
	if e.Event != "" {
		return e.Event
	}
	return e.Type
}

func (e *Event) fill() {
	if e.MessageID == "" {
		e.MessageID = messageID()
	}
	if e.Timestamp.IsZero() {
		e.Timestamp = time.Now()
	}
	e.Timestamp = e.Timestamp.UTC()
}

// encode fails for what JSON does not know: channels, functions, NaN, circles.
func (e *Event) encode() (body []byte, err error) {
	defer func() {
		if recovered := recover(); recovered != nil { // a MarshalJSON of the application's
			err = fmt.Errorf("encoding panicked: %v", recovered)
		}
	}()
	var buffer bytes.Buffer
	encoder := json.NewEncoder(&buffer)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(e); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(buffer.Bytes(), []byte("\n")), nil
}

func (e *Event) who() string {
	if e.UserID != "" {
		return e.UserID
	}
	if e.AnonymousID != "" {
		return e.AnonymousID
	}
	return e.MessageID
}

// share of 1 of an id: in the sample when below the rate; the same in every SDK. FNV-1a (32 bits) of its UTF-8, then
// mixed as MurmurHash3 ends: by itself FNV leaves ids that differ in their last digit beside each other.
func share(id string) float64 {
	hash := fnv.New32a()
	hash.Write([]byte(id))
	mixed := hash.Sum32()
	mixed = (mixed ^ mixed>>16) * 0x85ebca6b
	mixed = (mixed ^ mixed>>13) * 0xc2b2ae35
	return float64(mixed^mixed>>16) / (1 << 32)
}

func messageID() string {
	var b [16]byte
	if _, err := rand.Read(b[:]); err != nil {
		panic(err) // no randomness: the machine is broken
	}
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

package persona

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// taking counts the events that a server takes.
func taking(t *testing.T) (*httptest.Server, *atomic.Int64) {
	var count atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var request struct{ Batch []json.RawMessage }
		text, _ := io.ReadAll(r.Body)
		if err := json.Unmarshal(text, &request); err != nil {
			t.Error(err)
		}
		count.Add(int64(len(request.Batch)))
		w.WriteHeader(202)
		_ = json.NewEncoder(w).Encode(map[string]any{"accepted": len(request.Batch)})
	}))
	t.Cleanup(server.Close)
	return server, &count
}

func TestSharesAreThoseOfAllLanguages(t *testing.T) {
	text, err := os.ReadFile("../conformance/sampling/shares.json")
	if err != nil {
		t.Fatal(err)
	}
	var vectors []struct {
		ID    string
		Share float64
	}
	if err := json.Unmarshal(text, &vectors); err != nil || len(vectors) == 0 {
		t.Fatal(err, len(vectors))
	}
	for _, vector := range vectors {
		if got := share(vector.ID); got != vector.Share {
			t.Errorf("%q: %v, not %v", vector.ID, got, vector.Share)
		}
	}
}

func TestWhatIsNoJSONIsAnErrorAndNothingElse(t *testing.T) {
	server, count := taking(t)
	client := New("sk_test_x", Options{URL: server.URL})
	circle := map[string]any{}
	circle["self"] = circle
	for name, value := range map[string]any{"nan": math.NaN(), "channel": make(chan int), "circle": circle, "panics": panics{}} {
		if err := client.Track("alice", name, map[string]any{"value": value}); !errors.Is(err, ErrNotJSON) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := client.Track("alice", "fine", nil); err != nil {
		t.Error(err)
	}
	if err := client.Close(context.Background()); err != nil || count.Load() != 1 {
		t.Error(err, count.Load())
	}
}

type panics struct{}

func (panics) MarshalJSON() ([]byte, error) { panic("a fault of the application's") }

func TestCallbacksThatPanicEndNothing(t *testing.T) {
	server, count := taking(t)
	var panicked atomic.Int64
	client := New("sk_test_x", Options{
		URL: server.URL, OnDrop: func(string, string) { panic("oh") }, OnPanic: func(any) { panicked.Add(1) },
	})
	_ = client.Track("alice", "large", map[string]any{"filler": strings.Repeat("x", 200_000)})
	_ = client.Track("alice", "fine", nil)
	if err := client.Close(context.Background()); err != nil || count.Load() != 1 || panicked.Load() != 1 {
		t.Error(err, count.Load(), panicked.Load())
	}
}

func TestManyGoroutinesTrackAndNothingIsLeft(t *testing.T) {
	server, count := taking(t)
	before := runtime.NumGoroutine()
	client := New("sk_test_x", Options{URL: server.URL})
	done := make(chan struct{})
	for worker := 0; worker < 8; worker++ {
		go func() {
			for i := 0; i < 500; i++ {
				_ = client.Track("alice", "page_viewed", nil)
			}
			done <- struct{}{}
		}()
	}
	for worker := 0; worker < 8; worker++ {
		<-done
	}
	if err := client.Close(context.Background()); err != nil || count.Load() != 4000 {
		t.Error(err, count.Load())
	}
	server.CloseClientConnections()
	for deadline := time.Now().Add(10 * time.Second); runtime.NumGoroutine() > before; {
		if time.Now().After(deadline) {
			t.Fatal("goroutines are left: ", runtime.NumGoroutine()-before)
		}
		runtime.Gosched()
	}
}

func TestAnEndInTheMiddleSendsWhatWasTakenAndRefusesTheRest(t *testing.T) {
	server, count := taking(t)
	client := New("sk_test_x", Options{URL: server.URL})
	var taken, refused atomic.Int64
	var work sync.WaitGroup
	for worker := 0; worker < 8; worker++ {
		work.Add(1)
		go func() {
			defer work.Done()
			for i := 0; i < 500; i++ {
				if err := client.Track("alice", "page_viewed", nil); err == nil {
					taken.Add(1)
				} else if errors.Is(err, ErrClosed) {
					refused.Add(1)
				}
			}
		}()
	}
	if err := client.Close(context.Background()); err != nil {
		t.Error(err)
	}
	work.Wait()
	if taken.Load() != count.Load() || taken.Load()+refused.Load() != 4000 {
		t.Error(taken.Load(), count.Load(), refused.Load())
	}
}

type wrapped struct{ http.RoundTripper }

func TestAProgramMayHaveReplacedTheUsualTransport(t *testing.T) {
	usual := http.DefaultTransport
	defer func() { http.DefaultTransport = usual }()
	http.DefaultTransport = wrapped{usual}
	server, count := taking(t)
	client := New("sk_test_x", Options{URL: server.URL})
	_ = client.Track("alice", "page_viewed", nil)
	if err := client.Close(context.Background()); err != nil || count.Load() != 1 {
		t.Error(err, count.Load())
	}
}

func TestAContextEndsAFlushAndASubscription(t *testing.T) {
	hanging := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // before that nobody notices that the client is gone
		<-r.Context().Done()
	}))
	defer hanging.Close()
	client := New("sk_test_x", Options{URL: hanging.URL})
	_ = client.Track("alice", "page_viewed", nil)
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	subscription, err := client.Subscribe(ctx, Filter{}, func(Change) {})
	if err != nil {
		t.Fatal(err)
	}
	if err := client.Flush(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	<-subscription.Done()
	if err := client.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	if _, err := client.Subscribe(context.Background(), Filter{}, func(Change) {}); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
}

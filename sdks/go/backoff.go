package persona

import (
	"errors"
	"math"
	"math/rand"
	"net/http"
	"strconv"
	"sync"
	"time"
)

const longestOrder = time.Hour // a server that asks for more is not believed

// Chance of our own: before Go 1.20 the shared source begins at the same place in every process.
var (
	chanceLock sync.Mutex
	chance     = rand.New(rand.NewSource(time.Now().UnixNano()))
)

// backoff is full jitter: a pause by chance between nothing and a bound that doubles with each failure up to a cap.
type backoff struct {
	base, cap time.Duration
	failures  int
}

func (b *backoff) next() time.Duration {
	bound := b.cap
	if b.failures < 30 && b.base<<b.failures < b.cap {
		bound = b.base << b.failures
	}
	b.failures++
	chanceLock.Lock()
	defer chanceLock.Unlock()
	return time.Duration(chance.Int63n(int64(bound))) + 1
}

func (b *backoff) succeeded() { b.failures = 0 }

// after is how long to wait: as long as Retry-After asks for, in either of its forms, else a pause of b.
func (b *backoff) after(header http.Header) time.Duration {
	value := header.Get("Retry-After")
	asked := time.Duration(0)
	if seconds, err := strconv.ParseFloat(value, 64); err == nil || errors.Is(err, strconv.ErrRange) {
		asked = time.Duration(math.Min(math.Max(seconds, 0), longestOrder.Seconds()) * float64(time.Second))
		if math.IsNaN(seconds) {
			asked = 0
		}
	} else if at, err := http.ParseTime(value); err == nil {
		asked = time.Until(at)
	}
	if asked <= 0 {
		return b.next()
	}
	if asked > longestOrder {
		return longestOrder
	}
	return asked
}

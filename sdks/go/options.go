package persona

import "time"

// Version of this package.
const Version = "0.1.0"

const (
	mostEvents     = 256       // in a request
	mostBytes      = 1_000_000 // of a request; the server takes 1,048,576
	mostEventBytes = 102_400
	envelope       = 256 // bytes around the events of a request

	ingestPath = "/api/v2/pipeline/ingest"
	streamPath = "/api/v2/pipeline/stream"
	configPath = "/api/v2/pipeline/config"
)

// Options of a client; the zero value of each means its default.
type Options struct {
	URL           string        // the server's address; http://127.0.0.1:8000
	FlushAt       int           // so many events leave at once; 100
	FlushInterval time.Duration // fewer leave after this time; 1 s
	MaxQueue      int           // events kept while the server does not take them; beyond it the newest are refused; 10,000
	MaxQueueBytes int           // their bytes as JSON, likewise; 32 MB
	Timeout       time.Duration // of one request; 10 s
	RetryBase     time.Duration // pauses after failures double from here, each by chance between nothing and that; 500 ms
	RetryCap      time.Duration // up to here; 30 s
	Watchdog      time.Duration // a stream on which nothing was heard for so long is opened again; 45 s
	Config        bool          // ask for the project's flags and sample rate, and heed the rate

	OnDrop  func(event, code string)   // an event was given up
	OnError func(code string)          // something an operator should know; the events are kept
	OnFlags func(flags map[string]any) // the project's flags, at first and with every change
	OnPanic func(recovered any)        // a callback panicked; without it, that goes to the standard log
}

func (o Options) withDefaults() Options {
	or(&o.URL, "http://127.0.0.1:8000")
	or(&o.FlushAt, 100)
	or(&o.FlushInterval, time.Second)
	or(&o.MaxQueue, 10_000)
	or(&o.MaxQueueBytes, 32<<20)
	or(&o.Timeout, 10*time.Second)
	or(&o.RetryBase, 500*time.Millisecond)
	or(&o.RetryCap, 30*time.Second)
	or(&o.Watchdog, 45*time.Second)
	if o.FlushAt > mostEvents {
		o.FlushAt = mostEvents
	}
	return o
}

func or[T comparable](value *T, usual T) {
	var zero T
	if *value == zero {
		*value = usual
	}
}

package persona

import "sync"

type waiting struct {
	name string
	body []byte
}

// queue holds events that wait to be sent, each encoded once. It is bounded; one sender takes from it, anybody adds.
type queue struct {
	lock            sync.Mutex
	most, mostBytes int
	fullAt          int // so many make a batch
	events          []waiting
	bytes           int
	ended           bool
	added, removed  int           // of all time: what a flush waits for
	changed         chan struct{} // closed and replaced when something leaves, when the first comes, when a batch is full
}

func newQueue(options Options) *queue {
	return &queue{
		most: options.MaxQueue, mostBytes: options.MaxQueueBytes, fullAt: options.FlushAt, changed: make(chan struct{}),
	}
}

// tell wakes all who wait; the lock is held.
func (q *queue) tell() {
	close(q.changed)
	q.changed = make(chan struct{})
}

// add fails with ErrFull or ErrClosed. To wake the sender for each event would cost more than the event.
func (q *queue) add(event waiting) error {
	q.lock.Lock()
	defer q.lock.Unlock()
	if q.ended {
		return ErrClosed
	}
	if len(q.events) >= q.most || q.bytes+len(event.body) > q.mostBytes {
		return ErrFull
	}
	q.events = append(q.events, event)
	q.bytes += len(event.body)
	q.added++
	if len(q.events) == 1 || len(q.events) == q.fullAt {
		q.tell()
	}
	return nil
}

// first is the oldest events that fit into one request. They stay until remove.
func (q *queue) first(most int) []waiting {
	q.lock.Lock()
	defer q.lock.Unlock()
	size, count := envelope, 0
	for count < len(q.events) && count < most && count < mostEvents {
		size += len(q.events[count].body) + 1
		if count > 0 && size > mostBytes {
			break
		}
		count++
	}
	return append([]waiting(nil), q.events[:count]...)
}

// remove says that the oldest count are done with.
func (q *queue) remove(count int) {
	q.lock.Lock()
	defer q.lock.Unlock()
	for place := range q.events[:count] {
		q.bytes -= len(q.events[place].body)
		q.events[place] = waiting{} // the array outlives it for a while
	}
	q.events = q.events[count:]
	q.removed += count
	q.tell()
}

// end takes nothing more, and gives up what is left.
func (q *queue) end() []waiting {
	q.lock.Lock()
	defer q.lock.Unlock()
	left := q.events
	q.ended, q.events, q.bytes = true, nil, 0
	q.removed += len(left)
	q.tell()
	return left
}

// now is what there is, and a channel that is closed when that has changed.
func (q *queue) now() (length, added, removed int, changed <-chan struct{}) {
	q.lock.Lock()
	defer q.lock.Unlock()
	return len(q.events), q.added, q.removed, q.changed
}

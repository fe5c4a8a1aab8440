package persona

import "sync"

type waiting struct {
	name string
	body []byte
}

// queue holds events that wait to be sent, each encoded once. It is bounded; one sender takes from it, anybody adds.
type queue struct {
	lock           sync.Mutex
	most           int
	events         []waiting
	added, removed int           // of all time: what a flush waits for
	changed        chan struct{} // closed and replaced with every change
}

func newQueue(most int) *queue {
	return &queue{most: most, changed: make(chan struct{})}
}

// tell wakes all who wait; the lock is held.
func (q *queue) tell() {
	close(q.changed)
	q.changed = make(chan struct{})
}

// add is false when it is full.
func (q *queue) add(event waiting) bool {
	q.lock.Lock()
	defer q.lock.Unlock()
	if len(q.events) >= q.most {
		return false
	}
	q.events = append(q.events, event)
	q.added++
	q.tell()
	return true
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
func (q *queue) remove(count int) []waiting {
	q.lock.Lock()
	defer q.lock.Unlock()
	if count > len(q.events) {
		count = len(q.events)
	}
	gone := append([]waiting(nil), q.events[:count]...)
	q.events = append([]waiting(nil), q.events[count:]...)
	q.removed += count
	q.tell()
	return gone
}

// now is what there is, and a channel that is closed when that has changed.
func (q *queue) now() (length, added, removed int, changed <-chan struct{}) {
	q.lock.Lock()
	defer q.lock.Unlock()
	return len(q.events), q.added, q.removed, q.changed
}

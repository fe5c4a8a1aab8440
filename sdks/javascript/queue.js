import { MOST_BYTES, MOST_EVENTS } from "./limits.js";

const ENVELOPE = 4_096; // bytes around the events of a request

// Events that wait to be sent, each encoded once: {name, id, body, size}. `changed` is called after every change.
export class Queue {
  constructor(most, changed = () => {}) {
    this.most = most;
    this.changed = changed;
    this.events = [];
    this.added = this.removed = 0; // of all time: what a flush waits for
  }

  get length() {
    return this.events.length;
  }

  // False when it is full: the newest are refused.
  add(event) {
    if (this.events.length >= this.most) return false;
    this.events.push(event);
    this.added++;
    this.changed();
    return true;
  }

  // The oldest events that fit into one request. They stay here until `remove`.
  first(most, bytes = MOST_BYTES) {
    let size = ENVELOPE, count = 0;
    while (count < Math.min(this.events.length, most, MOST_EVENTS)) {
      size += this.events[count].size + 1;
      if (count && size > bytes) break;
      count++;
    }
    return this.events.slice(0, count);
  }

  remove(batch) {
    const gone = new Set(batch);
    this.events = this.events.filter((event) => !gone.has(event));
    this.removed += batch.length;
    this.changed();
  }

  clear() {
    const left = this.events;
    this.remove(left);
    return left;
  }
}

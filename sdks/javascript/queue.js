import { MOST_BYTES, MOST_EVENTS } from "./limits.js";

const ENVELOPE = 4_096; // bytes around the events of a request

// Events that wait to be sent, each encoded once: {name, id, body, size}. `changed` is called after every change.
export class Queue {
  constructor(most, mostBytes, changed = () => {}) {
    Object.assign(this, { most, mostBytes, changed });
    this.events = [];
    this.bytes = 0;
    this.added = this.removed = 0; // of all time: what a flush waits for
  }

  get length() {
    return this.events.length;
  }

  // False when it is full: the newest are refused.
  add(event) {
    if (this.events.length >= this.most || this.bytes + event.size > this.mostBytes) return false;
    this.events.push(event);
    this.bytes += event.size;
    this.added++;
    this.changed();
    return true;
  }

  // The oldest events, but for those on their way, that fit into one request. They stay here until `remove`.
  first(most, flying = new Set(), bytes = MOST_BYTES) {
    const batch = [];
    let size = ENVELOPE;
    for (const event of this.events) {
      if (flying.has(event)) continue;
      size += event.size + 1;
      if (batch.length >= Math.min(most, MOST_EVENTS) || (batch.length && size > bytes)) break;
      batch.push(event);
    }
    return batch;
  }

  remove(batch) {
    const gone = new Set(batch), before = this.events.length;
    this.events = this.events.filter((event) => !gone.has(event));
    this.bytes = this.events.reduce((sum, { size }) => sum + size, 0);
    this.removed += before - this.events.length;
    this.changed();
  }

  clear() {
    const left = this.events;
    this.remove(left);
    return left;
  }
}

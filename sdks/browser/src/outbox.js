import { names, place } from "./places.js";

const SILENT = 30_000; // without locks: a tab that has not been heard of for so long is gone

// What one tab has tracked and not yet delivered, kept so that a tab which ends in the middle loses nothing: the next
// one on the same origin adopts it. Whatever is sent twice by that has the same ids and is stored once.
export class Outbox {
  constructor(prefix, tab) {
    this.prefix = prefix;
    this.mine = place(prefix + tab);
    this.lock = prefix + tab;
    const locks = navigator.locks;
    // Held for as long as this tab lives: the browser itself says who is gone.
    if (locks) locks.request(this.lock, () => new Promise(() => {}));
  }

  save(events) {
    if (events.length) this.mine.write({ at: Date.now(), events });
    else this.mine.forget();
  }

  // What tabs that are gone have left behind, oldest first.
  async adopt(take) {
    for (const name of names(this.prefix)) {
      if (name === this.lock) continue;
      if (navigator.locks) await navigator.locks.request(name, { ifAvailable: true }, (free) => free && this.move(name, take));
      else if (Date.now() - (place(name).read() || {}).at > SILENT) this.move(name, take);
    }
  }

  move(name, take) {
    const left = place(name).read();
    if (left && left.events) take(left.events);
    place(name).forget();
  }
}

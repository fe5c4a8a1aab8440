import { names, place } from "./places.js";

const SILENT = 150_000; // without locks: a tab that has said nothing for so long has crashed (timers in the back rest for a minute)
const BEAT = 20_000;
const ROOM = 2_000_000; // letters; browsers give an origin five million, and others keep things there too

// What one tab has tracked and not yet delivered, kept so that a tab which ends in the middle loses nothing: another one
// on the same origin adopts it, at once or when its page loads. Whatever is sent twice by that has the same ids and is
// stored once. take(events): gives back those for which there was no room.
export class Outbox {
  constructor(prefix, tab, take) {
    this.prefix = prefix;
    this.name = prefix + tab;
    this.mine = place(this.name);
    this.take = take;
    this.events = this.saved = [];
  }

  // The page is there (again). Holds a lock as long as it lives: the browser itself says who is gone.
  enter() {
    this.leaving = new AbortController();
    const { signal } = this.leaving;
    this.lock(this.name, () => new Promise((over) => (signal.aborted ? over() : signal.addEventListener("abort", over))), signal);
    this.watched = new Set([this.name]);
    if (!navigator.locks) this.beat = setInterval(() => (this.save(this.events), this.adopt()), BEAT);
    this.adopt();
  }

  // The page goes, perhaps to come back (the browser's back button): whoever is there may adopt what it leaves.
  leave() {
    clearInterval(this.beat);
    this.save(this.events, 0);
    if (this.leaving) this.leaving.abort();
    this.leaving = null;
  }

  // All for which there is room, the oldest first.
  save(events, at = Date.now()) {
    let room = ROOM;
    this.events = events;
    this.saved = events.filter(({ size }) => (room -= size) > 0);
    if (!this.saved.length) this.mine.forget();
    while (this.saved.length && !this.mine.write({ at, events: this.saved })) this.saved = this.saved.slice(0, this.saved.length >> 1);
  }

  // What another tab has adopted while this one was away.
  taken() {
    const kept = new Set((this.mine.read() || { events: [] }).events.map(({ id }) => id));
    return new Set(this.saved.map(({ id }) => id).filter((id) => !kept.has(id)));
  }

  // What tabs that are gone have left; a tab that is still there is waited for.
  adopt() {
    for (const name of names(this.prefix)) {
      if (navigator.locks) this.notice(name);
      else if (name !== this.name && Math.abs(Date.now() - (place(name).read() || {}).at) > SILENT) this.move(name);
    }
  }

  // Another tab has written: what it leaves when it goes is to be adopted.
  notice(name) {
    if (!name.startsWith(this.prefix) || !this.leaving || this.watched.has(name)) return;
    this.watched.add(name);
    this.lock(name, () => (this.watched.delete(name), this.move(name)), this.leaving.signal);
  }

  lock(name, act, signal) {
    if (!navigator.locks) return;
    navigator.locks.request(name, { signal }, act).catch(() => {}); // the page goes, or its frame may have no locks
  }

  // Mine first, then gone there: never in neither place.
  move(name) {
    const left = place(name).read();
    const rest = left && left.events ? this.take(left.events) : [];
    if (rest.length) place(name).write({ at: 0, events: rest });
    else place(name).forget();
  }

  // Nobody's any more.
  forgetAll() {
    names(this.prefix).forEach((name) => place(name).forget());
  }
}

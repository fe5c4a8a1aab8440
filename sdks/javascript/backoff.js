const LONGEST_ORDER = 3_600_000; // a server that asks for more is not believed

// Full jitter: a pause by chance between nothing and a bound that doubles with each failure up to a cap.
export class Backoff {
  constructor(base, cap) {
    this.base = base;
    this.cap = cap;
    this.failures = 0;
  }

  next() {
    const bound = Math.min(this.cap, this.base * 2 ** Math.min(this.failures++, 30));
    return Math.max(Math.random() * bound, 1);
  }

  succeeded() {
    this.failures = 0;
  }
}

// Milliseconds that a Retry-After header asks for, in either of its forms; 0 without one.
export const retryAfter = (value) => {
  if (!value) return 0;
  const asked = isNaN(value) ? Date.parse(value) - Date.now() : value * 1000;
  return Math.min(Math.max(asked || 0, 0), LONGEST_ORDER);
};

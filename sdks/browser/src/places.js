// Where a browser remembers: localStorage or sessionStorage, or memory where that is forbidden, full, or not yet agreed to.
const memory = {};

const storage = (area) => {
  try {
    return window[area];
  } catch (error) { // a sandboxed frame, or the reader forbids it
    return null;
  }
};

// `allowed()` says whether anything may be left on the device.
export const place = (name, allowed = () => true, area = "localStorage") => ({
  read() {
    if (name in memory) return memory[name]; // newer than what could not be overwritten
    try {
      return JSON.parse(storage(area).getItem(name));
    } catch (error) {
      return null;
    }
  },
  // False when it was for memory alone although it might be on the device.
  write(value) {
    memory[name] = value;
    if (!allowed()) return true;
    try {
      storage(area).setItem(name, JSON.stringify(value));
      return delete memory[name];
    } catch (error) {
      return false;
    }
  },
  forget() {
    delete memory[name];
    try {
      storage(area).removeItem(name);
    } catch (error) { // it was in memory alone
    }
  },
});

// Everything that begins so, on the device or in memory.
export const names = (prefix) => {
  let kept = [];
  try {
    kept = Object.keys(storage("localStorage"));
  } catch (error) { // memory alone
  }
  return [...new Set([...kept, ...Object.keys(memory)])].filter((name) => name.startsWith(prefix));
};

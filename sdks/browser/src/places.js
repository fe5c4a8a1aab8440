// Where a browser remembers: localStorage, or memory where that is forbidden or full. Names are per key, so that two
// projects on one page do not meet.
const memory = {};

const storage = () => {
  try {
    return window.localStorage;
  } catch (error) { // a sandboxed frame, or the reader forbids it
    return null;
  }
};

export const place = (name) => ({
  read() {
    try {
      const text = storage().getItem(name);
      return text === null ? memory[name] || null : JSON.parse(text);
    } catch (error) {
      return memory[name] || null;
    }
  },
  write(value) {
    try {
      storage().setItem(name, JSON.stringify(value));
      delete memory[name];
    } catch (error) {
      memory[name] = value;
    }
  },
  forget() {
    delete memory[name];
    try {
      storage().removeItem(name);
    } catch (error) { // it was in memory alone
    }
  },
});

export const names = (prefix) => {
  try {
    return Object.keys(storage()).filter((name) => name.startsWith(prefix));
  } catch (error) {
    return [];
  }
};

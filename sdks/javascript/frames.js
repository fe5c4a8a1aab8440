import { MOST_ANSWER } from "./limits.js";

// Server-sent events, as the HTML standard defines them: text in pieces of any size, frames out.
// A frame that no empty line has ended is never given; `endless` says that one will not be.
export class Parser {
  constructor() {
    this.text = "";
    this.lines = [];
    this.held = 0; // letters in them
  }

  feed(piece) {
    const frames = [], end = /\r\n|\n|\r(?=[^])/g; // a CR at the very end may be half of the first
    end.lastIndex = Math.max(this.text.length - 1, 0);
    this.text += piece;
    let start = 0, found;
    while ((found = end.exec(this.text))) {
      const line = this.text.slice(start, found.index);
      start = end.lastIndex;
      this.held += line.length;
      if (line) this.lines.push(line);
      else if (this.lines.length) {
        frames.push(toFrame(this.lines));
        this.lines = [];
        this.held = 0;
      }
    }
    this.text = this.text.slice(start);
    return frames;
  }

  // Larger than any frame of the server's, and no end of it.
  get endless() {
    return this.held + this.text.length > MOST_ANSWER;
  }
}

const toFrame = (lines) => {
  const frame = { event: "message", id: null };
  const data = [];
  for (const line of lines) {
    const [, name, value] = /^([^:]*):? ?([^]*)$/.exec(line);
    if (name === "data") data.push(value);
    else if (name === "event") frame.event = value;
    else if (name === "id" && !value.includes("\0")) frame.id = value;
  }
  frame.data = data.join("\n");
  return frame;
};

// Server-sent events, as the HTML standard defines them: text in pieces of any size, frames out.
// A frame that no empty line has ended is never given.
export class Parser {
  constructor() {
    this.text = "";
    this.lines = [];
  }

  feed(piece) {
    const frames = [];
    this.text += piece;
    let end;
    // A CR at the very end may be half of the second.
    while ((end = /\r\n|\n|\r(?=[^])/.exec(this.text))) {
      const line = this.text.slice(0, end.index);
      this.text = this.text.slice(end.index + end[0].length);
      if (line) this.lines.push(line);
      else if (this.lines.length) {
        frames.push(toFrame(this.lines));
        this.lines = [];
      }
    }
    return frames;
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

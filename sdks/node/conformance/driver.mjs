// Plays conformance cases with the Node SDK: a case a line on standard input, a line of what was heard for each.
import { createInterface } from "node:readline";
import { play } from "../../conformance/player.js";
import { Persona } from "../src/index.js";

const STUCK = 3;
const start = (key, options) => new Persona(key, options);

for await (const line of createInterface({ input: process.stdin })) {
  const heard = await play(JSON.parse(line), start).catch((error) => {
    console.error(error);
    process.exit(STUCK);
  });
  process.stdout.write(JSON.stringify(heard) + "\n");
}

// node types.mjs OWN TARGET...: the types that the packages share, and a package's own, as one file that needs no other.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";

const [own, ...targets] = process.argv.slice(2);
const types = readFileSync(new URL("types.d.ts", import.meta.url), "utf8") + "\n" + readFileSync(own, "utf8");
for (const target of targets) {
  mkdirSync(dirname(target), { recursive: true });
  writeFileSync(target, types);
}

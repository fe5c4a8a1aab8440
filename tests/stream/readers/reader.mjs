// The npm package `eventsource`, as its documentation shows it: prints the id of each change, comes back by itself.
import {EventSource} from "eventsource";

const [address, key] = process.argv.slice(2);
const withKey = (input, init) => fetch(input, {...init, headers: {...init.headers, Authorization: `Bearer ${key}`}});
const source = new EventSource(address, {fetch: withKey});
source.addEventListener("segment.updated", (frame) => console.log(frame.lastEventId));

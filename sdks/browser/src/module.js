// import { persona } from "@persona/browser"
export { persona, persona as default } from "./persona.js";

// The file for <script src>: makes window.persona, and does what a snippet has written down meanwhile.
import { persona } from "./persona.js";

const snippet = window.persona && window.persona.q;
window.persona = persona;
(snippet || []).forEach(([deed, given]) => persona[deed](...given));

"""How each kind of receiver is spoken to: one pure module each, with the shape of delivery.outgoing.Transport."""

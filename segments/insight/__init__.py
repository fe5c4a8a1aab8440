"""Looking at personas without moving anybody: members now, why, as of then, what if. Nothing in here writes."""

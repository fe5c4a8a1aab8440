module bench

go 1.19

require persona.dev/go v0.1.0

replace persona.dev/go => ../../../sdks/go

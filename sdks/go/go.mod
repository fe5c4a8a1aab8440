module persona.dev/go

go 1.19

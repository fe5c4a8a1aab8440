package persona

import (
	"errors"
	"strings"
	"unicode/utf8"
)

// frame is a server-sent event; its id is empty when it had none.
type frame struct {
	event, data, id string
}

const byteOrderMark = "\uFEFF"

var errEndless = errors.New("a frame without end")

// parser takes pieces of any size. A frame that no empty line has ended is never given.
type parser struct {
	text  string
	lines []string
	held  int  // bytes in them
	begun bool // a mark of the byte order may stand before the first line alone
}

// feed fails when a frame is larger than any of the server's, and has no end.
func (p *parser) feed(piece []byte) (frames []frame, err error) {
	p.text += string(piece)
	for {
		line, ok := p.line()
		if !ok {
			break
		}
		if !p.begun {
			line, p.begun = strings.TrimPrefix(line, byteOrderMark), true
		}
		p.held += len(line)
		if line != "" {
			p.lines = append(p.lines, line)
		} else if len(p.lines) > 0 {
			frames = append(frames, toFrame(p.lines))
			p.lines, p.held = nil, 0
		}
	}
	if p.held+len(p.text) > mostAnswer {
		err = errEndless
	}
	return frames, err
}

// line is the next whole one, ended by LF, CR LF or CR; a CR at the very end may be half of the second.
func (p *parser) line() (string, bool) {
	at := strings.IndexAny(p.text, "\r\n")
	if at < 0 || p.text[at] == '\r' && at == len(p.text)-1 {
		return "", false
	}
	line, width := p.text[:at], 1
	if strings.HasPrefix(p.text[at:], "\r\n") {
		width = 2
	}
	p.text = p.text[at+width:]
	if !utf8.ValidString(line) {
		line = strings.ToValidUTF8(line, "\uFFFD")
	}
	return line, true
}

func toFrame(lines []string) frame {
	f := frame{event: "message"}
	var data []string
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch {
		case name == "data":
			data = append(data, value)
		case name == "event":
			f.event = value
		case name == "id" && !strings.Contains(value, "\x00"):
			f.id = value
		}
	}
	f.data = strings.Join(data, "\n")
	return f
}

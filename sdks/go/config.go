package persona

import (
	"context"
	"encoding/json"
	"io"
	"math"
	"net/http"
	"strings"
	"time"
)

const (
	usualRefresh   = 45 * time.Second
	longestRefresh = 24 * time.Hour
)

type configuration struct {
	Flags        map[string]any `json:"flags"`
	Sampling     any            `json:"sampling"`
	RefreshAfter any            `json:"refreshAfter"` // seconds
}

func (c configuration) refresh() time.Duration {
	if seconds, ok := c.RefreshAfter.(float64); ok && seconds > 0 {
		return time.Duration(math.Min(seconds, longestRefresh.Seconds()) * float64(time.Second))
	}
	return usualRefresh
}

// Flags of the project as last heard; empty before, and without Options.Config.
func (c *Client) Flags() map[string]any {
	flags := map[string]any{}
	for name, value := range c.known.Load().(configuration).Flags {
		flags[name] = value
	}
	return flags
}

// rate is the share of 1 of such events that is sent: of the first rule that names it, else that of all.
func (c configuration) rate(name string) float64 {
	rules, _ := c.Sampling.([]any)
	for _, one := range rules {
		rule, _ := one.(map[string]any)
		pattern, named := rule["event"].(string)
		rate, rated := rule["rate"].(float64)
		if named && rated && names(pattern, name) {
			return rate
		}
	}
	if rate, ok := c.Flags["sampleRate"].(float64); ok {
		return rate
	}
	return 1
}

// names: "page_*" is whatever begins so.
func names(pattern, name string) bool {
	return pattern == name || strings.HasSuffix(pattern, "*") && strings.HasPrefix(name, strings.TrimSuffix(pattern, "*"))
}

// follow asks for the project's configuration again and again.
func (c *Client) follow(ctx context.Context) {
	etag, refresh := "", usualRefresh
	for ctx.Err() == nil {
		if known, tag, ok := c.ask(ctx, etag); ok {
			etag = tag
			c.known.Store(known)
			refresh = known.refresh()
			if c.options.OnFlags != nil {
				c.guard(func() { c.options.OnFlags(c.Flags()) })
			}
		}
		rest(ctx, refresh)
	}
}

// ask is false when there is no answer, or nothing new in it: what was known goes on to hold.
func (c *Client) ask(ctx context.Context, etag string) (known configuration, tag string, ok bool) {
	ctx, cancel := context.WithTimeout(ctx, c.options.Timeout)
	defer cancel()
	header := http.Header{}
	if etag != "" {
		header.Set("If-None-Match", etag)
	}
	response, err := c.do(ctx, http.MethodGet, configPath, nil, header)
	if err != nil {
		return known, "", false
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, mostAnswer))
	if err != nil || response.StatusCode != http.StatusOK || json.Unmarshal(text, &known) != nil || known.Flags == nil {
		return known, "", false
	}
	return known, response.Header.Get("ETag"), true
}

func rest(ctx context.Context, duration time.Duration) {
	timer := time.NewTimer(duration)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

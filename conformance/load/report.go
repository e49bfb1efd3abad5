package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"text/tabwriter"
	"time"
)

// report is the result of a run, in the units that people compare.
type report struct {
	Directory       string             `json:"directory"`
	Clients         int                `json:"clients"`
	Accounts        int                `json:"accounts"`
	NewConnections  bool               `json:"new_connections"`
	Finished        int                `json:"orders_finished"`
	Failed          int                `json:"orders_failed"`
	Seconds         float64            `json:"seconds"`
	PerSecond       float64            `json:"orders_per_second"`
	Requests        int                `json:"requests"`
	RequestsPerSec  float64            `json:"requests_per_second"`
	RequestsPerDone float64            `json:"requests_per_order"`
	BadNonces       int                `json:"bad_nonces_retried"`
	Steps           map[string]latency `json:"steps"`
	Drift           drift              `json:"drift"`
	Errors          map[string]int     `json:"errors"`
	Server          *serverCost        `json:"server,omitempty"`
}

// serverCost divides what the server process used among the finished orders.
type serverCost struct {
	CPUPerOrder    float64 `json:"cpu_ms_per_order"`
	UserPerOrder   float64 `json:"user_ms_per_order"`
	SystemPerOrder float64 `json:"system_ms_per_order"`
	Cores          float64 `json:"cores_busy"`
	WritesPerOrder float64 `json:"written_bytes_per_order"` // -1: not visible to this user
	RSSStart       int64   `json:"rss_start_bytes"`
	RSSPeak        int64   `json:"rss_peak_bytes"`
	RSSEnd         int64   `json:"rss_end_bytes"`
	AnonStart      int64   `json:"rss_anon_start_bytes"`
	AnonPeak       int64   `json:"rss_anon_peak_bytes"`
	AnonEnd        int64   `json:"rss_anon_end_bytes"`
}

func (m *measurement) report(recorders []*recorder, clients []*client, cost *processCost) report {
	r := report{
		Directory:      m.config.directory,
		Clients:        m.config.clients,
		Accounts:       m.config.accounts,
		NewConnections: m.config.newConnections,
		Seconds:        m.elapsed.Seconds(),
		Steps:          map[string]latency{},
		Errors:         map[string]int{},
	}
	var done []time.Duration
	for _, one := range recorders {
		done = append(done, one.done...)
		for kind, n := range one.errors {
			r.Errors[kind] += n
			r.Failed += n
		}
	}
	for s := range steps {
		var all []uint32
		for _, one := range recorders {
			all = append(all, one.times[s]...)
		}
		r.Steps[s.String()] = summarize(all)
	}
	for _, c := range clients {
		r.Requests += c.requests
		r.BadNonces += c.badNonces
	}
	r.Finished = len(done)
	r.PerSecond = perSecond(len(done), m.elapsed)
	r.RequestsPerSec = perSecond(r.Requests, m.elapsed)
	r.RequestsPerDone = each(float64(r.Requests), len(done))
	r.Drift = driftOf(done)
	if cost != nil {
		r.Server = costOf(*cost, len(done), m.elapsed)
	}
	return r
}

func costOf(c processCost, orders int, elapsed time.Duration) *serverCost {
	cpu := c.End.cpu() - c.Start.cpu()
	s := &serverCost{
		CPUPerOrder:    each(milliseconds(cpu), orders),
		UserPerOrder:   each(milliseconds(c.End.UserCPU-c.Start.UserCPU), orders),
		SystemPerOrder: each(milliseconds(c.End.SystemCPU-c.Start.SystemCPU), orders),
		Cores:          cpu.Seconds() / elapsed.Seconds(),
		WritesPerOrder: -1,
		RSSStart:       c.Start.RSS, RSSPeak: c.Peak.RSS, RSSEnd: c.End.RSS,
		AnonStart: c.Start.AnonRSS, AnonPeak: c.Peak.AnonRSS, AnonEnd: c.End.AnonRSS,
	}
	if c.Start.WriteBytes >= 0 && c.End.WriteBytes >= 0 {
		s.WritesPerOrder = each(float64(c.End.WriteBytes-c.Start.WriteBytes), orders)
	}
	return s
}

func each(total float64, orders int) float64 {
	if orders == 0 {
		return 0
	}
	return total / float64(orders)
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func (r report) print(w io.Writer) error {
	connections := "keep-alive"
	if r.NewConnections {
		connections = "new connection per request"
	}
	fmt.Fprintf(w, "%s, %d clients, %d accounts, %s\n\n", r.Directory, r.Clients, r.Accounts, connections)
	fmt.Fprintf(w, "%d orders in %.1f s: %.1f orders/s, %.1f requests/s, %.1f requests per order\n",
		r.Finished, r.Seconds, r.PerSecond, r.RequestsPerSec, r.RequestsPerDone)
	if r.Drift.Window > 0 {
		fmt.Fprintf(w, "first %d orders %.1f/s, last %d orders %.1f/s: ratio %.2f\n",
			r.Drift.Window, r.Drift.First, r.Drift.Window, r.Drift.Last, r.Drift.Ratio)
	}
	fmt.Fprintln(w)

	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "step\tcount\tp50 ms\tp90 ms\tp99 ms\tmax ms\t")
	for s := range steps {
		l := r.Steps[s.String()]
		fmt.Fprintf(t, "%s\t%d\t%.2f\t%.2f\t%.2f\t%.2f\t\n", s, l.Count, l.P50, l.P90, l.P99, l.Max)
	}
	if err := t.Flush(); err != nil {
		return fmt.Errorf("print the report: %w", err)
	}

	fmt.Fprintf(w, "\nfailed %d, nonces refused and tried again %d\n", r.Failed, r.BadNonces)
	for _, kind := range slices.Sorted(maps.Keys(r.Errors)) {
		fmt.Fprintf(w, "  %6d  %s\n", r.Errors[kind], kind)
	}
	if s := r.Server; s != nil {
		fmt.Fprintf(w, "\nserver: %.2f ms CPU per order (%.2f user, %.2f system), %.2f cores busy\n",
			s.CPUPerOrder, s.UserPerOrder, s.SystemPerOrder, s.Cores)
		fmt.Fprintf(w, "server: RSS %s start, %s peak, %s end; anonymous %s start, %s peak, %s end\n",
			mib(s.RSSStart), mib(s.RSSPeak), mib(s.RSSEnd), mib(s.AnonStart), mib(s.AnonPeak), mib(s.AnonEnd))
		if s.WritesPerOrder >= 0 {
			fmt.Fprintf(w, "server: %.1f KiB written per order\n", s.WritesPerOrder/1024)
		} else {
			fmt.Fprintln(w, "server: bytes written not visible (run as the server's user, or as root)")
		}
	}
	return nil
}

func mib(bytes int64) string { return fmt.Sprintf("%.1f MiB", float64(bytes)/(1<<20)) }

package admin

import (
	"context"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"acmebridge/acme/engine"
	"acmebridge/backends"
)

// MetricsConfig says what is measured.
type MetricsConfig struct {
	Engine *engine.Engine
	Nonces func() Nonces
	// Ready reports whether /readyz says yes.
	Ready func() bool
	// Connections returns how many connections to the ACME server are open,
	// and how many were refused since the start.
	Connections func() (open int, refused int64)
	// Limited returns how often each limit refused since the start, by its name
	// in the configuration; Shed how often the front put a request off.
	Limited func() map[string]int64
	Shed    func() int64
	Version string
	// Trees are those of trust frameworks that issue here; nil is none.
	Trees func() []Tree
}

// Tree is how long a tree of a trust framework can go on as it is.
type Tree struct {
	Backend, Tree string
	// Covered is until when certificates of full validity can be issued.
	Covered time.Time
	// RootList is until when the list of its root is good; zero when there is none.
	RootList time.Time
	// Alarms is what people have to do, Urgent what of that cannot wait.
	Alarms, Urgent int
}

// Nonces counts what became of nonces since the start (DN-4).
type Nonces struct {
	Issued, Redeemed               uint64
	Malformed, Foreign, Spent, Old uint64 // why they were refused
	Remembered                     int
}

// Metrics returns the handler of /metrics. All labels are from closed sets:
// nothing that a client chooses becomes one (LG-4).
func Metrics(cfg MetricsConfig) http.Handler {
	r := prometheus.NewRegistry()
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), newCollector(cfg))
	return promhttp.HandlerFor(r, promhttp.HandlerOpts{MaxRequestsInFlight: 4, Timeout: 10 * time.Second})
}

// collector reads the counters when it is asked; nothing is counted twice.
type collector struct {
	MetricsConfig
	counters []counter
	gauges   map[string]*prometheus.Desc
}

type counter struct {
	desc *prometheus.Desc
	read func() float64
}

func newCollector(cfg MetricsConfig) *collector {
	c := &collector{MetricsConfig: cfg, gauges: map[string]*prometheus.Desc{}}
	n := &cfg.Engine.Counters
	for _, x := range []struct {
		name, help string
		value      *atomic.Int64
	}{
		{"orders_created_total", "Orders placed.", &n.OrdersCreated},
		{"orders_attached_total", "Orders that share the certificate of an earlier one.", &n.OrdersAttached},
		{"orders_valid_total", "Orders that ended with a certificate.", &n.OrdersValid},
		{"orders_invalid_total", "Orders that ended without one.", &n.OrdersInvalid},
		{"validations_total", "Attempts at challenges.", &n.Validations},
		{"validations_failed_total", "Attempts at challenges that failed.", &n.ValidationsFailed},
		{"submissions_total", "Requests to CAs.", &n.Submissions},
		{"quarantined_total", "Certificates from CAs that were not what was ordered.", &n.Quarantined},
		{"jobs_parked_total", "Jobs that were parked for a person.", &n.Parked},
		{"jobs_rescued_total", "Jobs that an earlier run had left and this one resumed.", &n.Rescued},
		{"revocations_total", "Revocations accepted.", &n.Revocations},
		{"orders_stopped_total", "Orders and finalizations put off because nothing may be bought at their CA now.", &n.Stopped},
		{"step_failures_total", "Steps that failed and are tried again.", &n.StepFailures},
	} {
		c.counters = append(c.counters, counter{desc(x.name, x.help), func() float64 { return float64(x.value.Load()) }})
	}
	for name, help := range map[string]string{
		"steps_waiting":    "Steps that wait for their turn.",
		"steps_running":    "Steps that run.",
		"jobs":             "Stored jobs.",
		"jobs_parked":      "Jobs that wait for a person; order list --parked shows them.",
		"orphans":          "Requests that a CA accepted after their order had ended, since the start; cancel or revoke them there.",
		"ready":            "1 when the server takes work.",
		"connections_open": "Open connections to the ACME server.",
		"nonces_kept":      "Spent nonces that are remembered.",
	} {
		c.gauges[name] = desc(name, help)
	}
	c.gauges["connections_refused_total"] = desc("connections_refused_total", "Connections refused because too many were open.")
	c.gauges["nonces_issued_total"] = desc("nonces_issued_total", "Nonces issued.")
	c.gauges["nonces_redeemed_total"] = desc("nonces_redeemed_total", "Nonces accepted.")
	c.gauges["nonces_refused_total"] = desc("nonces_refused_total", "Nonces refused.", "reason")
	c.gauges["limited_total"] = desc("limited_total", "Requests refused by a limit.", "limit")
	c.gauges["shed_total"] = desc("shed_total", "Requests put off because there was too much to do.")
	c.gauges["issuer_covers_until_seconds"] = desc("issuer_covers_until_seconds", "Until when the issuers of a tree can sign certificates of full validity, in Unix time.", "backend", "tree")
	c.gauges["root_list_until_seconds"] = desc("root_list_until_seconds", "Until when the revocation list of the root of a tree is good, in Unix time; 0 when there is none.", "backend", "tree")
	c.gauges["ceremonies_due"] = desc("ceremonies_due", "What people have to do for a tree, such as rotating its issuer.", "backend", "tree", "urgent")
	c.gauges["ca_finding"] = desc("ca_finding", "1 while the last look at a CA stands that found something of this kind.", "backend", "kind")
	c.gauges["ca_stops"] = desc("ca_stops", "What is not bought at a CA because of what was found: 0 nothing, 1 new orders, 2 everything.", "backend")
	c.gauges["ca_balance"] = desc("ca_balance", "Certificates that are left to buy, when the CA was last looked at.", "backend")
	c.gauges["ca_orphans"] = desc("ca_orphans", "Requests of ours at a CA that nothing here knows of; 'backend show' lists them.", "backend")
	c.gauges["ca_seen_seconds"] = desc("ca_seen_seconds", "When a CA was last looked at with success, in Unix time.", "backend")
	c.gauges["build_info"] = desc("build_info", "1, with the version of the program.", "version")
	return c
}

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("acmebridge_"+name, help, labels, nil)
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	for _, x := range c.counters {
		ch <- x.desc
	}
	for _, d := range c.gauges {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	for _, x := range c.counters {
		ch <- prometheus.MustNewConstMetric(x.desc, prometheus.CounterValue, x.read())
	}
	gauge := func(name string, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(c.gauges[name], prometheus.GaugeValue, v, labels...)
	}
	count := func(name string, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(c.gauges[name], prometheus.CounterValue, v, labels...)
	}
	waiting, running := c.Engine.Depth()
	gauge("steps_waiting", float64(waiting))
	gauge("steps_running", float64(running))
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if all, parked, err := c.Engine.Operator().Jobs(ctx); err == nil {
		gauge("jobs", float64(all))
		gauge("jobs_parked", float64(parked))
	}
	gauge("orphans", float64(c.Engine.Counters.Orphans.Load()))
	ready := 0.0
	if c.Ready() {
		ready = 1
	}
	gauge("ready", ready)
	open, refused := c.Connections()
	gauge("connections_open", float64(open))
	count("connections_refused_total", float64(refused))
	if c.Limited != nil {
		for name, n := range c.Limited() {
			count("limited_total", float64(n), name)
		}
	}
	if c.Trees != nil {
		for _, t := range c.Trees() {
			gauge("issuer_covers_until_seconds", float64(t.Covered.Unix()), t.Backend, t.Tree)
			until := 0.0
			if !t.RootList.IsZero() {
				until = float64(t.RootList.Unix())
			}
			gauge("root_list_until_seconds", until, t.Backend, t.Tree)
			gauge("ceremonies_due", float64(t.Alarms-t.Urgent), t.Backend, t.Tree, "false")
			gauge("ceremonies_due", float64(t.Urgent), t.Backend, t.Tree, "true")
		}
	}
	shed := c.Engine.Counters.Shed.Load()
	if c.Shed != nil {
		shed += c.Shed()
	}
	count("shed_total", float64(shed))
	for _, s := range c.Engine.Standings() {
		for _, kind := range backends.FindingKinds() {
			found := 0.0
			if s.Has(kind) {
				found = 1
			}
			gauge("ca_finding", found, s.Backend, string(kind))
		}
		gauge("ca_stops", float64(s.Stops()), s.Backend)
		gauge("ca_orphans", float64(len(s.Orphans)), s.Backend)
		if s.Balance != nil {
			gauge("ca_balance", float64(*s.Balance), s.Backend)
		}
		if !s.At.IsZero() {
			gauge("ca_seen_seconds", float64(s.At.Unix()), s.Backend)
		}
	}
	s := c.Nonces()
	gauge("nonces_kept", float64(s.Remembered))
	count("nonces_issued_total", float64(s.Issued))
	count("nonces_redeemed_total", float64(s.Redeemed))
	count("nonces_refused_total", float64(s.Malformed), "malformed")
	count("nonces_refused_total", float64(s.Foreign), "foreign")
	count("nonces_refused_total", float64(s.Spent), "spent")
	count("nonces_refused_total", float64(s.Old), "old")
	gauge("build_info", 1, c.Version)
}

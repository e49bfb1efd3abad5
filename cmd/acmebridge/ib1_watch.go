package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"
)

const (
	// ib1Look is how often the folders of frameworks are looked at for what a
	// ceremony has changed, and ib1Remind how often what is due is said again.
	ib1Look   = 5 * time.Second
	ib1Remind = 24 * time.Hour
)

// watchIB1 takes up what ceremonies change in the folders while the server runs,
// and says in the log what is due: before an issuer can no longer cover the full
// validity of a member's certificate, somebody has to gather.
func (s *service) watchIB1(ctx context.Context) {
	if len(s.ib1) == 0 {
		return
	}
	w := ib1Watch{service: s, generations: map[string]int64{}, said: map[string]time.Time{}}
	for name, ca := range s.ib1 {
		w.generations[name] = ca.Generation() // the lists of these are made at the start
	}
	tick := time.NewTicker(ib1Look)
	defer tick.Stop()
	for {
		w.look(ctx)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

type ib1Watch struct {
	*service
	generations map[string]int64     // of each folder, when its lists were asked for
	said        map[string]time.Time // when each sentence was said last
}

func (w *ib1Watch) look(ctx context.Context) {
	for _, name := range slices.Sorted(maps.Keys(w.ib1)) {
		ca := w.ib1[name]
		_, _ = ca.Refresh() // what fails is among the alarms
		if g := ca.Generation(); g != w.generations[name] {
			// A new issuer has certificates at once, so it needs a list at once.
			if err := w.engine.Operator().Publish(ctx); err != nil {
				w.log.Error("cannot ask for the revocation lists of a changed framework", "event", "ib1.publish", "backend", name, "cause", err)
			} else {
				w.generations[name] = g
				w.log.Info("the folder of the framework was changed and is read again", "event", "ib1.changed", "backend", name)
			}
		}
		for _, a := range ca.Alarms() {
			key := fmt.Sprintf("%s %v %s", name, a.Urgent, a.Text)
			now := w.now()
			if at, ok := w.said[key]; ok && now.Sub(at) < ib1Remind {
				continue
			}
			w.said[key] = now
			log := w.log.Warn
			if a.Urgent {
				log = w.log.Error
			}
			log(a.Text, "event", "ib1.due", "backend", name, "tree", string(a.Tree), "due", a.Due)
		}
	}
}

package online

import (
	"fmt"
	"slices"
	"time"

	"acmebridge/backends/ib1"
)

// Alarm says that somebody has to do something for a tree.
type Alarm struct {
	Tree ib1.Tree
	ib1.Alarm
}

// rootListNotice is how long before the list of a root ends the next one is
// asked for: its key is offline.
const rootListNotice = 30 * 24 * time.Hour

// Alarms says what the trees need at this moment, the most urgent first.
func (c *CA) Alarms() []Alarm {
	now, s := c.cfg.Now(), c.current()
	var all []Alarm
	c.mu.Lock()
	trouble := c.trouble
	c.mu.Unlock()
	if trouble != nil {
		all = append(all, Alarm{"", ib1.Alarm{Urgent: true, Due: now, Text: "the folder cannot be read, so what was changed in it has no effect: " + trouble.Error()}})
	}
	for i := range s.trees {
		t := &s.trees[i]
		for _, a := range s.framework.Alarms(t.name, t.root.Certificate(), c.covering(t), now) {
			all = append(all, Alarm{t.name, a})
		}
		how := fmt.Sprintf("sign one where the key of the root is, with 'ib1 crl sign --issuer root', and import it with 'ib1 crl import --tree %s'", t.name)
		switch l := t.rootList; {
		case l == nil:
			all = append(all, Alarm{t.name, ib1.Alarm{Urgent: true, Due: now, Text: fmt.Sprintf("there is no revocation list of the root of the %s tree, so who checks whole chains refuses every certificate: %s", t.name, how)}})
		case now.Add(rootListNotice).After(l.next):
			all = append(all, Alarm{t.name, ib1.Alarm{Urgent: now.Add(24 * time.Hour).After(l.next), Due: l.next, Text: fmt.Sprintf("the revocation list of the root of the %s tree ends on %s: %s", t.name, l.next.UTC().Format(time.RFC3339), how)}})
		}
	}
	slices.SortStableFunc(all, func(a, b Alarm) int { return a.Due.Compare(b.Due) })
	return all
}

// RootLists is until when the list of the root of each tree is good; zero when
// there is none.
func (c *CA) RootLists() map[ib1.Tree]time.Time {
	all := map[ib1.Tree]time.Time{}
	for _, t := range c.current().trees {
		all[t.name] = time.Time{}
		if t.rootList != nil {
			all[t.name] = t.rootList.next
		}
	}
	return all
}

// Covered is until when certificates of full validity can be issued in a tree.
func (c *CA) Covered() map[ib1.Tree]time.Time {
	all := map[ib1.Tree]time.Time{}
	s := c.current()
	for i := range s.trees {
		t := &s.trees[i]
		all[t.name] = s.framework.Covered(t.name, c.covering(t), c.cfg.Now())
	}
	return all
}

package ocsp

import (
	"sync"
	"time"
)

// allowance is so many in a second, and a number of them at once.
type allowance struct {
	mu         sync.Mutex
	rate, most float64
	left       float64
	at         time.Time
}

func newAllowance(rate, atOnce int) *allowance {
	return &allowance{rate: float64(rate), most: float64(atOnce), left: float64(atOnce)}
}

func (a *allowance) take(now time.Time) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if passed := now.Sub(a.at); passed > 0 {
		a.left = min(a.most, a.left+passed.Seconds()*a.rate)
	}
	a.at = now
	if a.left < 1 {
		return false
	}
	a.left--
	return true
}

// budget bounds the signatures of one CA for answers that are kept. Without it,
// whoever asks for more certificates in turn than are kept has one signed for
// every question.
type budget struct {
	// recent is for states that are recent: nobody can have been given an answer
	// for long, and the holder of a new certificate waits for it. There are only
	// so many of those, so that those who ask for all the others do not get at it.
	recent *allowance
	others *allowance
}

// atOnce is for how many seconds an allowance that was left alone lasts: after
// a start, nothing is kept and everybody asks.
const atOnce = 10

func newBudget(rate int) *budget {
	return &budget{newAllowance(rate, atOnce*rate), newAllowance(rate, atOnce*rate)}
}

func (b *budget) take(recent bool, now time.Time) bool {
	return recent && b.recent.take(now) || b.others.take(now)
}

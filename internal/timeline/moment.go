package timeline

import "time"

// A moment is a time of the wall clock, which is all that packets bear, in
// nanoseconds since 1970: [time.Time] costs a tracker a third of its speed. 0 is
// no moment.
type moment int64

func momentOf(t time.Time) moment { return max(moment(t.UnixNano()), 1) }

func (m moment) time() time.Time {
	if m == 0 {
		return time.Time{}
	}
	return time.Unix(0, int64(m))
}

// since is how long after another moment this is.
func (m moment) since(other moment) time.Duration { return time.Duration(m - other) }

func (m moment) plus(d time.Duration) moment { return m + moment(d) }

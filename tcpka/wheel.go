package tcpka

import "time"

// What kernels are built with: CONFIG_HZ of kernel/Kconfig.hz is 100, 250, 300
// or 1000, and some architectures take less or more.
const (
	MinHZ = 24
	MaxHZ = 1200
)

// A wheel is the kernel's timer wheel, by its ticks (jiffies) a second. A timer
// on it never fires early. It fires late by up to a granule, which grows with
// the distance: eight times at every level (kernel/time/timer.c).
type wheel int

func (w wheel) jiffy() time.Duration { return time.Second / time.Duration(w) }

// jiffies rounds up, as the kernel does (msecs_to_jiffies).
func (w wheel) jiffies(d time.Duration) int64 {
	return (int64(d)*int64(w) + int64(time.Second) - 1) / int64(time.Second)
}

func (w wheel) duration(jiffies int64) time.Duration {
	return time.Duration(jiffies * int64(time.Second) / int64(w))
}

// level0 is how many jiffies the finest level reaches: LVL_START(1).
const level0 = 63

// granuleJiffies is LVL_GRAN of the level for a timer so far away
// (calc_wheel_index).
func granuleJiffies(distance int64) int64 {
	g := int64(1)
	for distance >= level0*g {
		g *= 8
	}
	return g
}

// granule is by how much a timer that is set for d may be late.
func (w wheel) granule(d time.Duration) time.Duration {
	return w.duration(granuleJiffies(w.jiffies(d)))
}

// after is when a timer set for d fires: at the first tick of its level that is
// later.
func (w wheel) after(d time.Duration) Window { return Window{d, d + w.granule(d)} }

// locked is when a timer fires that is set for d at a tick of the granule of
// that timer, as one is that sets itself again.
func (w wheel) locked(d, granule time.Duration) Window {
	g := w.jiffies(granule)
	exact := w.duration((w.jiffies(d)/g + 1) * g)
	return Window{exact, exact}
}

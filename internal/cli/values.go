package cli

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"kax/internal/times"
	"kax/tcpka"
)

// parseDuration takes Go's form (1m30s) or bare seconds (90, 2.5), as sysctl
// and curl do.
func parseDuration(s string) (time.Duration, error) {
	if d, err := time.ParseDuration(s); err == nil {
		return d, nil
	}
	seconds, err := strconv.ParseFloat(s, 64)
	if err != nil || math.Abs(seconds) > math.MaxInt64/1e9 || strings.Trim(s, "+-.0123456789") != "" {
		return 0, errors.New("must be a duration like 1m30s, or seconds like 90")
	}
	return time.Duration(math.Round(seconds * 1e9)), nil
}

func notNegative(d time.Duration) error {
	if d < 0 {
		return errors.New("must not be negative")
	}
	return nil
}

func positive(d time.Duration) error {
	if d <= 0 {
		return errors.New("must be above 0")
	}
	return nil
}

// value is a flag that parses and checks what it is given. It implements
// pflag.Value.
type value struct {
	set  func(string) error
	get  func() string
	kind string
}

func (v value) Set(s string) error { return v.set(s) }
func (v value) String() string {
	if v.get == nil {
		return ""
	}
	return v.get()
}
func (v value) Type() string { return v.kind }

// duration is a time span that check agrees to.
func duration(d *time.Duration, check func(time.Duration) error) value {
	return value{
		kind: "duration",
		get: func() string {
			if *d == 0 {
				return "" // no default to show
			}
			return times.Clock(*d)
		},
		set: func(s string) error {
			v, err := parseDuration(s)
			if err != nil {
				// A range says more than the form does.
				if r := (*tcpka.RangeError)(nil); errors.As(check(-1), &r) {
					return plainly(r)
				}
				return err
			}
			if err := check(v); err != nil {
				return plainly(err)
			}
			*d = v
			return nil
		},
	}
}

// durations is a list of time spans.
func durations(ds *[]time.Duration) value {
	return value{
		kind: "duration,...",
		get: func() string {
			texts := make([]string, len(*ds))
			for i, d := range *ds {
				texts[i] = times.Clock(d)
			}
			return strings.Join(texts, ",")
		},
		set: func(s string) (err error) {
			*ds, err = commas(s, func(d *time.Duration) value { return duration(d, notNegative) })
			return err
		},
	}
}

// commas reads a comma-separated list, each part as one of them is read.
func commas[T any](s string, one func(*T) value) ([]T, error) {
	var list []T
	for part := range strings.SplitSeq(s, ",") {
		var v T
		err := one(&v).set(strings.TrimSpace(part))
		if err != nil && part != s {
			err = fmt.Errorf("%q: %w", part, err)
		}
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	return list, nil
}

func probes(n *int) value {
	return value{
		kind: "count",
		get:  func() string { return strconv.Itoa(*n) },
		set: func(s string) error {
			v, err := strconv.Atoi(s)
			if err != nil {
				v = 0 // out of range, like anything that is no number
			}
			if err := tcpka.CheckCount(v); err != nil {
				return plainly(err)
			}
			*n = v
			return nil
		},
	}
}

// plainly leaves the name and value out of a range error: pflag says them.
func plainly(err error) error {
	if r := (*tcpka.RangeError)(nil); errors.As(err, &r) {
		return errors.New("must be " + r.Want)
	}
	return err
}

// oneOf is a word out of a few.
func oneOf[T ~string](p *T, allowed ...T) value {
	names := make([]string, len(allowed))
	for i, a := range allowed {
		names[i] = string(a)
	}
	list := strings.Join(names, "|")
	return value{
		kind: list,
		get:  func() string { return string(*p) },
		set: func(s string) error {
			for _, a := range allowed {
				if s == string(a) {
					*p = a
					return nil
				}
			}
			return fmt.Errorf("must be one of %s", list)
		},
	}
}

// listOf is a comma-separated list of words out of a few.
func listOf(p *[]string, kind string, allowed []string) value {
	return value{
		kind: kind,
		get:  func() string { return strings.Join(*p, ",") },
		set: func(s string) error {
			words, err := commas(s, func(p *string) value { return oneOf(p, allowed...) })
			*p = append(*p, words...)
			return err
		},
	}
}

// port is a TCP port that something may have.
func port(p *uint16) value {
	return value{
		kind: "port",
		get: func() string {
			if *p == 0 {
				return "" // there is no default
			}
			return strconv.Itoa(int(*p))
		},
		set: func(s string) error {
			n, err := strconv.ParseUint(s, 10, 16)
			if err != nil || n == 0 {
				return errors.New("must be a port from 1 to 65535")
			}
			*p = uint16(n)
			return nil
		},
	}
}

// ports are what port takes, and may be given one by one.
func ports(ps *[]uint16) value {
	return value{
		kind: "port",
		get:  func() string { return "" },
		set: func(s string) error {
			more, err := commas(s, port)
			*ps = append(*ps, more...)
			return err
		},
	}
}

// number is a whole number that is not below least.
func number(n *int, least int) value {
	return value{
		kind: "number",
		get: func() string {
			if *n == 0 {
				return "" // there is no default
			}
			return strconv.Itoa(*n)
		},
		set: func(s string) error {
			v, err := strconv.Atoi(s)
			if err != nil || v < least || v > math.MaxInt32 {
				return fmt.Errorf("must be a whole number from %d on", least)
			}
			*n = v
			return nil
		},
	}
}

package tcpka_test

import (
	"errors"
	"syscall"
	"testing"
	"time"

	"kax/tcpka"
)

func TestValidate(t *testing.T) {
	for _, tt := range []struct {
		name  string
		set   tcpka.Settings
		wrong string // the field at fault, or ""
	}{
		{"nothing", tcpka.Settings{}, ""},
		{"all", tcpka.Settings{Enabled: true, Idle: time.Minute, Interval: time.Second, Count: 9, UserTimeout: time.Second}, ""},

		{"idle 1s", tcpka.Settings{Idle: time.Second}, ""},
		{"idle 32767s", tcpka.Settings{Idle: 32767 * time.Second}, ""},
		{"idle 32768s", tcpka.Settings{Idle: 32768 * time.Second}, "keepidle"},
		{"idle 1500ms", tcpka.Settings{Idle: 1500 * time.Millisecond}, "keepidle"},
		{"idle 1ns", tcpka.Settings{Idle: 1}, "keepidle"},
		{"idle -1s", tcpka.Settings{Idle: -time.Second}, "keepidle"},

		{"interval 1s", tcpka.Settings{Interval: time.Second}, ""},
		{"interval 32767s", tcpka.Settings{Interval: 32767 * time.Second}, ""},
		{"interval 32768s", tcpka.Settings{Interval: 32768 * time.Second}, "keepintvl"},
		{"interval 1500ms", tcpka.Settings{Interval: 1500 * time.Millisecond}, "keepintvl"},
		{"interval -1s", tcpka.Settings{Interval: -time.Second}, "keepintvl"},

		{"count 1", tcpka.Settings{Count: 1}, ""},
		{"count 127", tcpka.Settings{Count: 127}, ""},
		{"count 128", tcpka.Settings{Count: 128}, "keepcnt"},
		{"count -1", tcpka.Settings{Count: -1}, "keepcnt"},

		{"user timeout 1ms", tcpka.Settings{UserTimeout: time.Millisecond}, ""},
		{"largest user timeout", tcpka.Settings{UserTimeout: tcpka.MaxUserTimeout}, ""},
		{"user timeout 2147483648ms", tcpka.Settings{UserTimeout: 2147483648 * time.Millisecond}, "user timeout"},
		{"user timeout 1500us", tcpka.Settings{UserTimeout: 1500 * time.Microsecond}, "user timeout"},
		{"user timeout -1ms", tcpka.Settings{UserTimeout: -time.Millisecond}, "user timeout"},
	} {
		t.Run(tt.name, func(t *testing.T) { checkRange(t, tt.set.Validate(), tt.wrong) })
	}
}

// A zero is "leave it" in Settings, and no value of its own.
func TestCheck(t *testing.T) {
	checkRange(t, tcpka.CheckTime("keepidle", 0), "keepidle")
	checkRange(t, tcpka.CheckTime("keepintvl", tcpka.MinTime), "")
	checkRange(t, tcpka.CheckCount(0), "keepcnt")
	checkRange(t, tcpka.CheckCount(tcpka.MaxCount), "")
	checkRange(t, tcpka.CheckUserTimeout(0), "")
}

func TestValidateNamesEveryField(t *testing.T) {
	err := tcpka.Settings{Idle: -1, Interval: -1, Count: -1, UserTimeout: -2}.Validate()
	const want = `keepidle -1ns: must be a whole number of seconds from 1 to 32767
keepintvl -1ns: must be a whole number of seconds from 1 to 32767
keepcnt -1: must be from 1 to 127
user timeout -2ns: must be whole milliseconds, from 0 to 2147483647`
	if err == nil || err.Error() != want {
		t.Errorf("got:\n%v\nwant:\n%s", err, want)
	}
}

// checkRange wants a RangeError for field, or no error where field is empty.
func checkRange(t *testing.T, err error, field string) {
	t.Helper()
	if field == "" {
		if err != nil {
			t.Errorf("error %v, want none", err)
		}
		return
	}
	r := (*tcpka.RangeError)(nil)
	if !errors.As(err, &r) || r.Field != field {
		t.Fatalf("error %v, want a RangeError for %s", err, field)
	}
	if !errors.Is(err, syscall.EINVAL) {
		t.Errorf("%v is not EINVAL", err)
	}
	if errors.Is(err, syscall.ENOTCONN) {
		t.Errorf("%v is any errno", err)
	}
}

func TestSettingsString(t *testing.T) {
	for _, tt := range []struct {
		set  tcpka.Settings
		want string
	}{
		{tcpka.Settings{}, "off"},
		{tcpka.Settings{Idle: time.Second, Count: 3}, "off"},
		{tcpka.Settings{Enabled: true}, "on"},
		{tcpka.Settings{Enabled: true, Idle: time.Second, Interval: time.Second, Count: 3}, "on, idle 1s, interval 1s, count 3"},
		{tcpka.Settings{Enabled: true, Count: 3}, "on, count 3"},
		{tcpka.Settings{Enabled: true, Idle: 2 * time.Hour, UserTimeout: 1500 * time.Millisecond}, "on, idle 2h, user timeout 1.5s"},
	} {
		if got := tt.set.String(); got != tt.want {
			t.Errorf("%#v: %q, want %q", tt.set, got, tt.want)
		}
	}
}

func TestKindNames(t *testing.T) {
	seen := make(map[string]tcpka.Kind)
	for k := tcpka.Ack; k <= tcpka.RST; k++ {
		name := k.String()
		if before, ok := seen[name]; ok || name == "" {
			t.Errorf("kinds %d and %d are both called %q", before, k, name)
		}
		seen[name] = k
	}
}

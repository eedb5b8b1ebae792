package cli

import (
	"bufio"
	"bytes"
	"strings"
	"testing"
	"unicode"

	"kax/internal/view"
)

// Whatever is read as records of another run: no panic, and nothing reaches a
// terminal raw.
func FuzzReplay(f *testing.F) {
	for _, seed := range []string{
		`{"header":{"schema":1,"version":"devel","command":"demo","started":"2026-11-26T05:24:42Z","source":"af_packet","settings":{"server":"127.0.0.1:3000","client_tcp":{"asked":{"keepalive":true,"keepidle":1},"effective":{"keepalive":true,"keepidle":1,"keepintvl":1,"keepcnt":9}},"http":{"requests":2,"pause":[1],"reuse":true},"hz":250}}}`,
		`{"event":{"at":1.1,"conn":1,"lane":"tcp","kind":"probe","side":"client","idle":1.1,"nth":1,"packet":7,"due":{"earliest":1,"latest":1.03},"segment":{"seq":1,"ack":1,"len":0,"flags":["ACK"],"window":512}}}` + "\n" +
			`{"event":{"at":1.1,"conn":1,"lane":"http","kind":"response","side":"server","packet":7,"response":{"status":200,"connection":"keep-alive","keep_alive":"timeout=5"},"note":"x"}}`,
		`{"conn":{"id":1,"client":"127.0.0.1:40000","server":"127.0.0.1:3000","requests":2,"reused":1,"probes":1,"answered":1,"closed_by":"server","close":"fin","opened":0,"ended":5}}` + "\n" +
			`{"summary":{"packets":9,"connections":1,"requests":2,"reused":1,"events":{"probe":1},"answered":1,"kernel_probes":1,"verdicts":["a sentence"],"proofs":[{"packets":[7],"conns":[1]}]}}`,
		`{"step":{"at":1,"name":"without","text":"no probes"}}` + "\n" + `{"death":{"at":5.1,"conn":1,"errno":"ETIMEDOUT","text":"x","poll":["IN"],"then":"end of file","unanswered":3}}`,
		`{"lab":{"name":"nat","question":"who?","held":true,"checks":[{"text":"yes","held":true}],"kernel":{"client":{"TCPKeepAlive":3}}}}`,
		`{"exchange":{"at":0,"n":1,"method":"GET","url":"http://h/\u001b[2J","conn":1,"why":"first","status":200}}` + "\n" + `{"hint":"x"}`,
		"{\"event\":{\"conn\":-1,\"lane\":\"\u202e\",\"kind\":\"\\u001b[0m\",\"side\":\"x\",\"at\":-9e300}}",
		`{"idle":{"url":"http://a/","how":"fin","timeout":2}}` + "\n" + `{"race":{"url":"u","methods":[{"method":"GET"},{"method":"POST","offsets":[{"offset":1}]}]}}`,
		"{\"header\":{\"started\":\"\xff\x7f-11-26T05:24:42Z\"}}", // package time quotes a DEL as it is
		"{}\n{}", "{", "{\"event\":null}", "",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, records []byte) {
		for _, show := range []func(b *bytes.Buffer) view.View{
			func(b *bytes.Buffer) view.View { return view.NewLanes(b, view.Options{Width: 80}) },
			func(b *bytes.Buffer) view.View {
				return view.NewLanes(b, view.Options{Width: 60, Summary: true, TCPOnly: true})
			},
			func(b *bytes.Buffer) view.View { return view.NewList(b, view.Options{Width: 80}) },
			func(b *bytes.Buffer) view.View { return view.NewDetails(b, view.Options{Width: 80}) },
			func(b *bytes.Buffer) view.View { return view.NewLabs(b, view.Options{Width: 80}) },
			func(b *bytes.Buffer) view.View { return view.NewJSON(b, view.Options{}) },
		} {
			var out bytes.Buffer
			r := reading{
				in:       &input{Reader: bufio.NewReader(bytes.NewReader(records)), name: "records"},
				sink:     &sink{views: []view.View{show(&out)}, stop: func(error) {}},
				progress: new(readProgress),
			}
			err := r.replay(t.Context())
			text := out.String()
			if err != nil {
				text += inWords(err)
			}
			if i := strings.IndexFunc(text, func(c rune) bool { return c != '\n' && (unicode.IsControl(c) || unicode.Is(unicode.Bidi_Control, c)) }); i >= 0 {
				t.Errorf("raw %q in %q", text[i:min(i+4, len(text))], text[max(0, i-40):min(i+40, len(text))])
			}
		}
	})
}

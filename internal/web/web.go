// Package web shows records in a browser: as a report, one file that needs
// nothing else, and as a page that runs experiments and shows them as they go. Both
// are plain HTML, CSS and JavaScript, in the folder page, with one renderer.
package web

import (
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"strings"
)

//go:embed page
var page embed.FS

// renderer are the scripts that both have, in the order in which they need each
// other; then come those of the report, and of the page.
var (
	renderer  = []string{"model.js", "words.js", "axis.js", "shapes.js", "timeline.js", "details.js", "table.js", "view.js"}
	scripts   = append(renderer[:len(renderer):len(renderer)], "report.js")
	uiScripts = append(renderer[:len(renderer):len(renderer)], "feed.js", "predict.js", "form.js", "ui.js")
)

func read(name string) string {
	b, err := page.ReadFile("page/" + name)
	if err != nil {
		panic(err) // it is in the binary, or the name is wrong
	}
	return string(b)
}

// shell is the report without data: what stands before the records, and after
// everything. The policy lets run what is named by its hash, and nothing else:
// nothing is loaded, and what a record may smuggle in does not run.
func shell() (before, after string) {
	style := read("style.css")
	var code strings.Builder
	sources := ""
	for _, name := range scripts {
		text := read(name)
		code.WriteString("<script>" + text + "</script>\n")
		sources += " " + source(text)
	}
	text := strings.NewReplacer(
		"{{policy}}", "default-src 'none'; style-src "+source(style)+"; script-src"+sources+"; base-uri 'none'; form-action 'none'",
		"{{style}}", style,
		"{{scripts}}", code.String(),
		"{{what}}", read("what.html"), "{{picture}}", read("picture.html"), "{{tables}}", read("tables.html"),
	).Replace(read("report.html"))
	before, after, _ = strings.Cut(text, "{{data}}")
	return before, after
}

// source names an inline script or style in a Content-Security-Policy.
func source(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

// uiPage is the page that is served; what it needs it asks for.
func uiPage() string {
	var code strings.Builder
	for _, name := range uiScripts {
		code.WriteString(`<script src="` + name + `"></script>` + "\n")
	}
	return strings.NewReplacer("{{scripts}}", code.String(),
		"{{what}}", read("what.html"), "{{picture}}", read("picture.html"), "{{tables}}", read("tables.html")).Replace(read("ui.html"))
}

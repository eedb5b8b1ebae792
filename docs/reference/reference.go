// Package reference holds the pages of this folder, for kax explain to print.
package reference

import (
	"embed"
	"slices"
	"strings"
)

//go:embed *.md
var pages embed.FS

// A Topic is a page.
type Topic struct {
	Name  string // the file's, without .md
	Title string
	Text  string // Markdown
}

// Topics returns all pages but the list of them, by name.
func Topics() []Topic {
	files, err := pages.ReadDir(".")
	if err != nil {
		panic(err) // embedded
	}
	var all []Topic
	for _, f := range files {
		name := strings.TrimSuffix(f.Name(), ".md")
		if name == "README" {
			continue
		}
		text, err := pages.ReadFile(f.Name())
		if err != nil {
			panic(err)
		}
		title, _, _ := strings.Cut(strings.TrimPrefix(string(text), "# "), "\n")
		all = append(all, Topic{name, title, string(text)})
	}
	slices.SortFunc(all, func(a, b Topic) int { return strings.Compare(a.Name, b.Name) })
	return all
}

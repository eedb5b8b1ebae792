package cli

import (
	"fmt"
	"io"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// version is the module's, or that of the commit it was built from.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	v := info.Main.Version
	if v == "" || v == "(devel)" {
		v = "devel"
	}
	return v
}

func (a *app) versionLine() string {
	return fmt.Sprintf("kax %s %s %s/%s\n", a.version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
}

func (a *app) versionCmd() *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "print the version of kax and of Go",
		Example: "  kax version",
		Args:    atMost(0),
		RunE: a.run(func(*cobra.Command, []string) error {
			_, err := io.WriteString(a.stdout, a.versionLine())
			return err
		}),
	}
}

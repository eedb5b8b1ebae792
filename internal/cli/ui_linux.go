package cli

import (
	"os/exec"
	"syscall"
)

// endWithParent asks a child to end when the thread that has started it is gone,
// however that came (PR_SET_PDEATHSIG(2const)). A thread of Go stays as long as the
// program, unless a goroutine ends that has locked it; then the child ends early.
func endWithParent(c *exec.Cmd) { c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM} }

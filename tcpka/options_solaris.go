package tcpka

// netinet/tcp.h of illumos and Solaris 11.4; x/sys has no names for them.
const (
	optIdle        = 0x22
	optCount       = 0x23
	optInterval    = 0x24
	optUserTimeout = 0
)

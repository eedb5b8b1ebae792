package timeline

// LabSettings are those of a lab.
type LabSettings struct {
	Lab      string   `json:"lab"`
	Question string   `json:"question"`
	Topology string   `json:"topology"` // a drawing, of lines
	Runs     []LabRun `json:"runs"`
}

// LabRun is one of the runs that a lab compares.
type LabRun struct {
	Name      string     `json:"name"`
	Text      string     `json:"text,omitempty"` // what is different about it
	ClientTCP *Keepalive `json:"client_tcp,omitempty"`
	ServerTCP *Keepalive `json:"server_tcp,omitempty"`
}

// Lab is a lab, and what it has shown where it was run.
type Lab struct {
	Name     string `json:"name"`
	Question string `json:"question"`
	*LabResult
}

// LabResult is what a lab has shown.
type LabResult struct {
	Held   bool                      `json:"held"`   // every check has
	Checks []Check                   `json:"checks"` // what the lab teaches, with this run's numbers
	Kernel map[string]map[string]int `json:"kernel"` // counters of each host, by how much they rose
	Lasted Seconds                   `json:"lasted"`
	Error  string                    `json:"error,omitempty"`  // why it could not be run to its end
	Unable bool                      `json:"unable,omitempty"` // because this machine lacks something
}

// Check is one sentence that the run bears out, or contradicts.
type Check struct {
	Text string `json:"text"`
	Held bool   `json:"held"`
}

// Contradicted are the sentences that did not hold.
func (r *LabResult) Contradicted() []string {
	var out []string
	for _, c := range r.Checks {
		if !c.Held {
			out = append(out, c.Text)
		}
	}
	return out
}

package sim

import "time"

// repeat injects a fault so many times, with random pauses.
func (r *Run) repeat(times int, fault func()) {
	if light {
		times = min(times, countedFaults)
	}
	for range times {
		r.Between(500*time.Millisecond, 4*time.Second)
		r.Faults++
		fault()
	}
}

// crash ends a machine's process, and starts the next after a while.
func (r *Run) crash(m *Machine, how func()) {
	if m.Down() {
		return
	}
	how()
	r.Between(100*time.Millisecond, 3*time.Second)
	m.PowerOn()
}

func (r *Run) powerLoss(m *Machine) {
	seed := r.Rand.Uint64()
	r.crash(m, func() { m.PowerLoss(seed) })
}

func (r *Run) pause(m *Machine, most time.Duration) {
	m.Pause()
	r.Between(most/10, most)
	m.Resume()
}

func (r *Run) jumpClock(m *Machine) {
	jumps := []time.Duration{time.Hour, -time.Hour, 365 * 24 * time.Hour, -365 * 24 * time.Hour, time.Minute, -time.Minute}
	m.JumpClock(jumps[r.Rand.IntN(len(jumps))])
}

// disturbNetwork does one of what happens on networks, to two hosts.
func (r *Run) disturbNetwork() {
	a, b := r.twoHosts()
	switch r.Rand.IntN(5) {
	case 0:
		for range 1 + r.Rand.IntN(4) {
			r.Network.Reset(a)
		}
	case 1:
		r.Network.Cut(a, b)
		r.Between(time.Second, 10*time.Second)
		r.Network.Heal(a, b)
	case 2:
		r.Network.Isolate(a, r.Network.Hosts()...)
		r.Between(time.Second, 10*time.Second)
		r.Network.HealAll()
	case 3:
		loss := []float64{0.01, 0.1, 0.3}[r.Rand.IntN(3)]
		r.conditionAll(Conditions{Latency: time.Millisecond, Jitter: 20 * time.Millisecond, Loss: loss})
		r.Between(time.Second, 5*time.Second)
		r.Network.HealAll()
	case 4:
		r.conditionAll(Conditions{Latency: 100 * time.Millisecond, Jitter: 50 * time.Millisecond, BytesPerSecond: 1 << 20})
		r.Between(time.Second, 5*time.Second)
		r.Network.HealAll()
	}
}

// twoHosts draws a machine and another host.
func (r *Run) twoHosts() (a, b *Host) {
	hosts := r.Network.Hosts()
	a, b = r.Pick().Host, hosts[r.Rand.IntN(len(hosts))]
	for a == b {
		b = hosts[r.Rand.IntN(len(hosts))]
	}
	if chance(r.Rand, 2) {
		return b, a
	}
	return a, b
}

func (r *Run) conditionAll(c Conditions) {
	hosts := r.Network.Hosts()
	for _, from := range hosts {
		for _, to := range hosts {
			if from != to {
				r.Network.Condition(from, to, c)
			}
		}
	}
}

// disturbDisk makes a disk slow, full or faulty for a while.
func (r *Run) disturbDisk(m *Machine) {
	restart := chance(r.Rand, 2) // who starts again finds out what a disk has kept
	switch r.Rand.IntN(3) {
	case 0:
		m.SlowDisk(time.Duration(1+r.Rand.IntN(2000)) * time.Millisecond)
	case 1:
		m.FillDisk()
	case 2:
		m.FailSync()
		restart = true // until then the log is offline
	}
	r.Between(500*time.Millisecond, 5*time.Second)
	m.WellDisk()
	if restart {
		r.crash(m, m.Kill)
	}
}

// anything injects any fault, and where there are several machines changes what they are for.
func (r *Run) anything() {
	m := r.Pick()
	kinds := 8
	if len(r.Machines) > 1 {
		kinds = 10
	}
	switch r.Rand.IntN(kinds) {
	case 0, 1:
		r.crash(m, m.Kill)
	case 2, 3:
		r.powerLoss(m)
	case 4:
		r.disturbNetwork()
	case 5:
		r.disturbDisk(m)
	case 6:
		r.pause(m, 10*time.Second)
	case 7:
		r.jumpClock(m)
	case 8:
		r.resize()
	case 9:
		r.changeVoters()
	}
}

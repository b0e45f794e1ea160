package config

import (
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Listener is an address with the name under which it is configured.
type Listener struct {
	Name     string // in capitals
	Host     string // without brackets. "": every address, or when advertised, the name of this machine
	Port     int    // 0: one that is free
	Security string // PLAINTEXT
	// Reached is for what is advertised: each client is told the address by which it has reached the node. Nobody has said
	// another one, and Host is only this machine's name for itself.
	Reached bool
}

func (l Listener) String() string {
	return l.Name + "://" + net.JoinHostPort(l.Host, strconv.Itoa(l.Port))
}

// Address returns host:port.
func (l Listener) Address() string { return net.JoinHostPort(l.Host, strconv.Itoa(l.Port)) }

const plaintext = "PLAINTEXT"

var (
	listenerName      = regexp.MustCompile(`^[A-Z0-9_.-]+$`)
	securityProtocols = []string{plaintext, "SSL", "SASL_PLAINTEXT", "SASL_SSL"}
)

// ParseListener reads NAME://host:port. The host may be empty, an IPv6 address stands in brackets.
func ParseListener(text string) (Listener, error) {
	name, address, ok := strings.Cut(text, "://")
	if !ok {
		return Listener{}, fmt.Errorf("listener %q is not of the form NAME://host:port", text)
	}
	name = strings.ToUpper(strings.TrimSpace(name))
	if !listenerName.MatchString(name) {
		return Listener{}, fmt.Errorf("listener %q: a name is made of A-Z, 0-9, _ . - only", text)
	}
	host, port, err := net.SplitHostPort(strings.TrimSpace(address))
	if err != nil {
		return Listener{}, fmt.Errorf("listener %q is not of the form NAME://host:port", text)
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return Listener{}, fmt.Errorf("listener %q: the port is not a number from 0 to 65535", text)
	}
	return Listener{Name: name, Host: host, Port: int(number)}, nil
}

func parseListeners(texts []string) ([]Listener, error) {
	var listeners []Listener
	for _, text := range texts {
		if text == "" {
			continue
		}
		l, err := ParseListener(text)
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(listeners, func(o Listener) bool { return o.Name == l.Name }) {
			return nil, fmt.Errorf("listener %s is there twice", l.Name)
		}
		listeners = append(listeners, l)
	}
	return listeners, nil
}

// checkPorts refuses two listeners on one port, unless one is for IPv4 and the other for IPv6.
func checkPorts(listeners []Listener) error {
	for i, a := range listeners {
		for _, b := range listeners[:i] {
			if a.Port == b.Port && a.Port != 0 && !oneOfEachFamily(a.Host, b.Host) && (a.Host == b.Host || wide(a) || wide(b)) {
				return fmt.Errorf("listeners %s and %s share port %d", b.Name, a.Name, a.Port)
			}
		}
	}
	return nil
}

func wide(l Listener) bool { return l.Host == "" || l.Host == "0.0.0.0" || l.Host == "::" }

func oneOfEachFamily(a, b string) bool {
	x, errX := netip.ParseAddr(a)
	y, errY := netip.ParseAddr(b)
	return errX == nil && errY == nil && x.Is4() != y.Is4()
}

// parseProtocols reads NAME:PROTOCOL pairs.
func parseProtocols(text string) (map[string]string, error) {
	protocols := make(map[string]string)
	for _, pair := range splitList(strings.TrimSpace(text)) {
		if pair == "" {
			continue
		}
		name, protocol, ok := strings.Cut(pair, ":")
		name, protocol = strings.ToUpper(strings.TrimSpace(name)), strings.ToUpper(strings.TrimSpace(protocol))
		if !ok || !slices.Contains(securityProtocols, protocol) {
			return nil, fmt.Errorf("listener.security.protocol.map: %q is not NAME:PROTOCOL with one of %s",
				pair, strings.Join(securityProtocols, ", "))
		}
		protocols[name] = protocol
	}
	return protocols, nil
}

// secure gives each listener its protocol. Those of controllers and proxies are PLAINTEXT when nothing else is said.
func secure(listeners []Listener, protocols map[string]string, controllers, proxies []string, mapped bool) error {
	for i := range listeners {
		l := &listeners[i]
		protocol, ok := protocols[l.Name]
		if !ok && (!mapped && slices.Contains(controllers, l.Name) || slices.Contains(proxies, l.Name)) {
			protocol, ok = plaintext, true
		}
		if !ok {
			return fmt.Errorf("listener %s has no security protocol: add %s:PLAINTEXT to listener.security.protocol.map",
				l.Name, l.Name)
		}
		if protocol != plaintext {
			return fmt.Errorf("listener %s is %s: TLS and SASL are not there yet, only PLAINTEXT is", l.Name, protocol)
		}
		l.Security = protocol
	}
	return nil
}

// advertise returns what clients are told: what is advertised, else the listeners but for those of controllers.
func advertise(listeners []Listener, texts, controllers []string) ([]Listener, error) {
	advertised, err := parseListeners(texts)
	if err != nil {
		return nil, fmt.Errorf("advertised.listeners: %w", err)
	}
	given := len(advertised) > 0
	if !given {
		advertised = slices.Clone(listeners)
	}
	advertised = slices.DeleteFunc(advertised, func(l Listener) bool { return slices.Contains(controllers, l.Name) })
	for i := range advertised {
		a := &advertised[i]
		at := slices.IndexFunc(listeners, func(l Listener) bool { return l.Name == a.Name })
		if at < 0 {
			return nil, fmt.Errorf("advertised.listeners: there is no listener %s", a.Name)
		}
		a.Security = listeners[at].Security
		switch {
		case !given && wide(*a):
			a.Host, a.Reached = "", true
		case a.Host == "0.0.0.0" || a.Host == "::":
			return nil, fmt.Errorf("clients cannot connect to %s: set advertised.listeners=%s://<name of this machine>:%d",
				a.Host, a.Name, a.Port)
		}
	}
	return advertised, nil
}

// checkProxies refuses proxies that are not there, or have another part to play.
func checkProxies(listeners []Listener, proxies, controllers []string) error {
	for _, name := range proxies {
		switch {
		case !slices.ContainsFunc(listeners, func(l Listener) bool { return l.Name == name }):
			return fmt.Errorf("proxy.listener.names: there is no listener %s", name)
		case slices.Contains(controllers, name):
			return fmt.Errorf("listener %s is in proxy.listener.names and in controller.listener.names: it is one or the other", name)
		}
	}
	return nil
}

//go:build cgo

package reqbus

import (
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
)

// ConnLimits bound connections in all and per client address; several handlers may share one. The zero value allows 100
// in all and 20 per address.
type ConnLimits struct {
	// Total is how many in all; 0 is 100, less is no bound.
	Total int
	// PerAddress is how many per address; 0 is 20, less is no bound.
	PerAddress int

	mu        sync.Mutex
	total     int
	addresses map[netip.Addr]int
}

// reserve takes a place; false if there is none.
func (l *ConnLimits) reserve(address netip.Addr) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if most := orDefault(l.Total, 100); most > 0 && l.total >= most {
		return false
	}
	if most := orDefault(l.PerAddress, 20); most > 0 && l.addresses[address] >= most {
		return false
	}
	if l.addresses == nil {
		l.addresses = make(map[netip.Addr]int)
	}
	l.total++
	l.addresses[address]++
	return true
}

func (l *ConnLimits) release(address netip.Addr) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.total--
	if l.addresses[address]--; l.addresses[address] == 0 {
		delete(l.addresses, address)
	}
}

// Connections is how many there are now.
func (l *ConnLimits) Connections() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.total
}

func orDefault(number, otherwise int) int {
	if number == 0 {
		return otherwise
	}
	return number
}

// ParseTrustedProxies reads a list of addresses and prefixes, separated by commas. Bad entries are told; the good ones
// hold all the same.
func ParseTrustedProxies(list string) (proxies []netip.Prefix, bad []string) {
	for _, entry := range strings.Split(list, ",") {
		entry = strings.TrimSpace(entry)
		if entry == "" {
			continue
		}
		if prefix, err := netip.ParsePrefix(entry); err == nil {
			proxies = append(proxies, prefix.Masked())
		} else if address, err := netip.ParseAddr(entry); err == nil {
			address = address.Unmap()
			proxies = append(proxies, netip.PrefixFrom(address, address.BitLen()))
		} else {
			bad = append(bad, entry)
		}
	}
	return proxies, bad
}

// peerOf is who is at the other end of the connection.
func peerOf(r *http.Request) netip.Addr {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = strings.Trim(r.RemoteAddr, "[]")
	}
	address, _ := netip.ParseAddr(host)
	return address.Unmap().WithZone("")
}

func isTrusted(proxies []netip.Prefix, peer netip.Addr) bool {
	for _, proxy := range proxies {
		if proxy.Contains(peer) {
			return true
		}
	}
	return false
}

// clientOf is the leftmost forwarded address if a trusted proxy says it, else the peer.
func clientOf(r *http.Request, proxies []netip.Prefix) netip.Addr {
	peer := peerOf(r)
	if !isTrusted(proxies, peer) {
		return peer
	}
	first, _, _ := strings.Cut(r.Header.Get("X-Forwarded-For"), ",")
	if address, err := netip.ParseAddr(strings.Trim(strings.TrimSpace(first), "[]")); err == nil {
		return address.Unmap().WithZone("")
	}
	return peer
}

// hostOf is the host that the client asked for: the forwarded one if a trusted proxy says it.
func hostOf(r *http.Request, proxies []netip.Prefix) string {
	if isTrusted(proxies, peerOf(r)) {
		if first, _, _ := strings.Cut(r.Header.Get("X-Forwarded-Host"), ","); strings.TrimSpace(first) != "" {
			return strings.TrimSpace(first)
		}
	}
	return r.Host
}

// hostname is a host without its port.
func hostname(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	return strings.ToLower(strings.Trim(host, "[]"))
}

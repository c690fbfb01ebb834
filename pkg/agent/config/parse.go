// SPDX-License-Identifier: Apache-2.0

package config

import (
	"fmt"
	"log/slog"
	"math"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// expected is the error of a value of the wrong form. Its text is the form that the setting needs.
type expected string

func (e expected) Error() string { return string(e) }

// partial is the error of a value of which only a part has an effect.
type partial string

func (p partial) Error() string { return string(p) }

const (
	// minMTU is the smallest MTU of an IPv4 link (RFC 791), minMTUv6 that of an IPv6 link (RFC 8200).
	minMTU, minMTUv6 = 68, 1280
	maxMTU           = 65535
	// maxInterfaceName is the maximum length of the name of an interface in the kernel.
	maxInterfaceName = 15
)

func whole(high int) func(string) (int, error) {
	return func(text string) (int, error) {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > high {
			return 0, expected(fmt.Sprintf("a whole number from 1 to %d", high))
		}
		return n, nil
	}
}

func mtu(low int) func(string) (int, error) {
	return func(text string) (int, error) {
		n, err := strconv.Atoi(text)
		if err != nil || n != 0 && (n < low || n > maxMTU) {
			return 0, expected(fmt.Sprintf("0, or an MTU from %d to %d", low, maxMTU))
		}
		return n, nil
	}
}

func port(text string) (uint16, error) {
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil || n == 0 {
		return 0, expected("a port from 1 to 65535")
	}
	return uint16(n), nil
}

func portRange(text string) (PortRange, error) {
	low, high, isRange := strings.Cut(text, ":")
	if !isRange {
		high = low
	}
	first, errLow := port(low)
	last, errHigh := port(high)
	if errLow != nil || errHigh != nil || first > last {
		return PortRange{}, expected("a port, or a range such as 32768:60999")
	}
	return PortRange{first, last}, nil
}

func boolean(text string) (bool, error) {
	switch strings.ToLower(text) {
	case "true", "1", "yes", "y", "t":
		return true, nil
	case "false", "0", "no", "n", "f":
		return false, nil
	}
	return false, expected("true or false")
}

func force(text string) (Force, error) {
	on, err := boolean(text)
	switch {
	case err != nil:
		return "", err
	case on:
		return On, nil
	}
	return Off, nil
}

func oneOf[T ~string](values ...T) func(string) (T, error) {
	return func(text string) (T, error) {
		names := make([]string, len(values))
		for i, v := range values {
			if strings.EqualFold(text, string(v)) {
				return v, nil
			}
			names[i] = string(v)
		}
		return "", expected("one of " + strings.Join(names, ", "))
	}
}

// choice parses one of two names and reports whether it is the second.
func choice(no, yes string) func(string) (bool, error) {
	parse := oneOf(no, yes)
	return func(text string) (bool, error) {
		got, err := parse(text)
		return got == yes, err
	}
}

func enabled(text string) (bool, error) { return choice("Disabled", "Enabled")(text) }

// duration parses a duration of Go, or a number of seconds.
func duration(text string) (time.Duration, error) {
	const want = expected(`a duration such as "90s", or a number of seconds`)
	if seconds, err := strconv.ParseFloat(text, 64); err == nil {
		// The comparisons are false for NaN.
		if !(seconds >= 0 && seconds < math.MaxInt64/float64(time.Second)) {
			return 0, want
		}
		return time.Duration(seconds * float64(time.Second)), nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		return 0, want
	}
	return d, nil
}

func level(text string) (slog.Level, error) {
	switch strings.ToLower(text) {
	case "trace":
		return slog.LevelDebug - 4, nil
	case "debug":
		return slog.LevelDebug, nil
	case "info":
		return slog.LevelInfo, nil
	case "warning", "warn":
		return slog.LevelWarn, nil
	case "error":
		return slog.LevelError, nil
	case "fatal":
		return slog.LevelError + 4, nil
	}
	return 0, expected("one of Trace, Debug, Info, Warning, Error, Fatal")
}

func address(ipv6 bool) func(string) (netip.Addr, error) {
	return func(text string) (netip.Addr, error) {
		addr, err := netip.ParseAddr(text)
		if err != nil || addr.Is6() != ipv6 || addr.Is4In6() || addr.Zone() != "" || addr.IsUnspecified() {
			return netip.Addr{}, expected(map[bool]string{false: "an IPv4 address", true: "an IPv6 address"}[ipv6])
		}
		return addr, nil
	}
}

func cidrs(text string) ([]netip.Prefix, error) {
	var all []netip.Prefix
	for _, part := range list(text) {
		if addr, err := netip.ParseAddr(part); err == nil && addr.Zone() == "" {
			all = append(all, netip.PrefixFrom(addr, addr.BitLen()))
			continue
		}
		cidr, err := netip.ParsePrefix(part)
		if err != nil {
			return nil, expected("addresses or CIDRs, separated by commas")
		}
		all = append(all, cidr.Masked())
	}
	return all, nil
}

// list splits text at commas and omits empty parts.
func list(text string) []string {
	var parts []string
	for part := range strings.SplitSeq(text, ",") {
		if part = strings.TrimSpace(part); part != "" {
			parts = append(parts, part)
		}
	}
	return parts
}

func iface(text string) (string, error) {
	if len(text) > maxInterfaceName || strings.ContainsAny(text, "/ \t\n\x00") || text == "." || text == ".." {
		return "", expected("the name of an interface")
	}
	return text, nil
}

func prefixes(text string) ([]string, error) {
	all := list(text)
	for _, p := range all {
		if _, err := iface(p); err != nil {
			all = nil
		}
	}
	if len(all) == 0 {
		return nil, expected("prefixes of names of interfaces, separated by commas")
	}
	return all, nil
}

func exclude(text string) (string, error) {
	var parts []string
	for _, part := range list(text) {
		inner, found := strings.CutPrefix(part, "/")
		inner, closed := strings.CutSuffix(inner, "/")
		if _, err := pattern(inner); found != closed || found && err != nil {
			return "", expected("names of interfaces, or regular expressions between slashes, separated by commas")
		}
		if !found {
			inner = "^" + regexp.QuoteMeta(part) + "$"
		}
		parts = append(parts, "(?:"+inner+")")
	}
	return strings.Join(parts, "|"), nil
}

func pattern(text string) (string, error) {
	if _, err := regexp.Compile(text); err != nil {
		return "", expected("a regular expression of Go's package regexp")
	}
	return text, nil
}

func path(text string) (string, error) {
	if !strings.HasPrefix(text, "/") || strings.Contains(text, "\x00") {
		return "", expected("an absolute path")
	}
	return text, nil
}

func host(text string) (string, error) {
	if strings.ContainsAny(text, "/ \t\n\x00") {
		return "", expected("an address or the name of a host")
	}
	return text, nil
}

// checksumOffload reads Felix's ChecksumOffloadBroken. Other features that Felix detects do not exist in this agent.
func checksumOffload(text string) (Force, error) {
	result, others := AsNeeded, []string(nil)
	for _, part := range list(text) {
		name, value, found := strings.Cut(part, "=")
		broken, err := boolean(value)
		switch {
		case !found || err != nil && value != "":
			return "", expected("a list such as ChecksumOffloadBroken=false")
		case !strings.EqualFold(name, "ChecksumOffloadBroken"):
			others = append(others, name)
		case value != "" && broken:
			result = Off
		case value != "":
			result = On
		}
	}
	if others != nil {
		return result, partial("only ChecksumOffloadBroken has an effect, not " + strings.Join(others, ", "))
	}
	return result, nil
}

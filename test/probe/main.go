// SPDX-License-Identifier: Apache-2.0

// Command probe runs in the pods of the test cluster. Without arguments it keeps the namespaces of a pod, like the
// pause container. Otherwise:
//
//	probe serve PORT              answers "HOSTNAME FROM\n" to every TCP connection and every UDP packet
//	probe ask tcp|udp HOST:PORT   prints the answer, or fails after three seconds
//	probe ask udp HOST:PORT N     the same with a packet of N bytes that must not be fragmented
//	probe pour HOST:PORT BYTES    sends this number of bytes over TCP, waits for the answer, prints the seconds
//	probe drain PORT              reads every TCP connection to its end and then answers
//	probe exit                    exits immediately
package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"
)

const timeout = 3 * time.Second

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "probe:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	switch {
	case len(args) == 0:
		return pause()
	case args[0] == "exit":
		return nil
	case args[0] == "serve" && len(args) == 2:
		return serve(args[1])
	case args[0] == "drain" && len(args) == 2:
		return listen(args[1], func(c net.Conn) error {
			_, err := io.Copy(io.Discard, c)
			return err
		})
	case args[0] == "ask" && len(args) == 3:
		return ask(&net.Dialer{Timeout: timeout}, args[1], args[2], []byte("?"))
	case args[0] == "ask" && len(args) == 4:
		return askWhole(args[1], args[2], args[3])
	case args[0] == "pour" && len(args) == 3:
		return pour(args[1], args[2])
	}
	return errors.New("no such command")
}

// pause waits for a signal to end, and reaps orphans as the first process of a pod.
func pause() error {
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGCHLD)
	for s := range signals {
		if s != syscall.SIGCHLD {
			return nil
		}
		for {
			if pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil); pid <= 0 || err != nil {
				break
			}
		}
	}
	return nil
}

func answer(from net.Addr) []byte {
	name, _ := os.Hostname()
	host, _, _ := net.SplitHostPort(from.String())
	return []byte(name + " " + host + "\n")
}

func serve(port string) error {
	udp, err := net.ListenPacket("udp", ":"+port)
	if err != nil {
		return err
	}
	go func() {
		for {
			buffer := make([]byte, 64)
			if _, from, err := udp.ReadFrom(buffer); err == nil {
				_, _ = udp.WriteTo(answer(from), from)
			}
		}
	}()
	return listen(port, func(c net.Conn) error {
		// Closing a connection with unread data would reset it, and the answer would be lost.
		_, err := c.Read(make([]byte, 1))
		return err
	})
}

// listen answers every connection after handle. It exits on SIGTERM.
func listen(port string, handle func(net.Conn) error) error {
	l, err := net.Listen("tcp", ":"+port)
	if err != nil {
		return err
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM)
	go func() {
		<-signals
		os.Exit(0)
	}()
	for {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		go func() {
			if handle(c) == nil {
				_, _ = c.Write(answer(c.RemoteAddr()))
			}
			_ = c.Close()
		}()
	}
}

// askWhole sends an IPv4 packet of the given size with the don't-fragment flag.
func askWhole(network, address, size string) error {
	n, err := strconv.Atoi(size)
	if err != nil {
		return err
	}
	return ask(&net.Dialer{Timeout: timeout, Control: dontFragment}, network, address, make([]byte, n))
}

func dontFragment(_, _ string, c syscall.RawConn) (err error) {
	return errors.Join(c.Control(func(fd uintptr) {
		err = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_IP, syscall.IP_MTU_DISCOVER, syscall.IP_PMTUDISC_DO)
	}), err)
}

func ask(d *net.Dialer, network, address string, question []byte) error {
	c, err := d.Dial(network, address)
	if err != nil {
		return err
	}
	if err := c.SetDeadline(time.Now().Add(timeout)); err != nil {
		return err
	}
	if _, err := c.Write(question); err != nil {
		return err
	}
	buffer := make([]byte, 512)
	n, err := c.Read(buffer)
	if err != nil {
		return err
	}
	_, err = os.Stdout.Write(buffer[:n])
	return err
}

func pour(address, size string) error {
	bytes, err := strconv.ParseInt(size, 10, 64)
	if err != nil {
		return err
	}
	started := time.Now()
	c, err := net.DialTimeout("tcp", address, timeout)
	if err != nil {
		return err
	}
	zero, err := os.Open("/dev/zero")
	if err != nil {
		return err
	}
	if _, err := io.CopyN(c, zero, bytes); err != nil {
		return err
	}
	if err := c.(*net.TCPConn).CloseWrite(); err != nil {
		return err
	}
	if _, err := io.ReadAll(c); err != nil {
		return err
	}
	fmt.Printf("%.2f\n", time.Since(started).Seconds())
	return nil
}

// Connects to the agent's vsock port from inside a container of the guest and prints the outcome.
package main

import (
	"fmt"
	"os"
	"syscall"
	"unsafe"
)

const (
	afVsock  = 40
	cidLocal = 1
	port     = 1024
)

// struct sockaddr_vm
type address struct {
	family, reserved uint16
	port, cid        uint32
	padding          [4]byte
}

func main() {
	fd, err := syscall.Socket(afVsock, syscall.SOCK_STREAM, 0)
	if err != nil {
		fmt.Println("no socket:", err)
		os.Exit(1)
	}
	to := address{family: afVsock, port: port, cid: cidLocal}
	_, _, errno := syscall.Syscall(syscall.SYS_CONNECT, uintptr(fd), uintptr(unsafe.Pointer(&to)), unsafe.Sizeof(to))
	if errno != 0 {
		fmt.Println("no connection:", errno)
		os.Exit(1)
	}
	timeout := syscall.Timeval{Sec: 20}
	if err := syscall.SetsockoptTimeval(fd, syscall.SOL_SOCKET, syscall.SO_RCVTIMEO, &timeout); err != nil {
		fmt.Println("no time limit:", err)
		os.Exit(1)
	}
	n, err := syscall.Read(fd, make([]byte, 16))
	switch {
	case err == syscall.EAGAIN:
		fmt.Println("accepted")
	case n == 0 || err == syscall.ECONNRESET:
		fmt.Println("rejected")
	default:
		fmt.Println("answered:", n, err)
	}
}

// Command tls-peer verifies an agent's certificate as Go does, and connects to its TLS listener:
//
//	tls-peer ADDRESS AGENT.pem CLIENT.pem CLIENT.key
//
// It prints what it found, one line each, and then what the listener sent first.
package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"time"
)

func main() {
	if err := run(os.Args[1], os.Args[2], os.Args[3], os.Args[4]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(address, agentFile, certFile, keyFile string) error {
	text, err := os.ReadFile(agentFile)
	if err != nil {
		return err
	}
	block, _ := pem.Decode(text)
	agent, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	roots.AddCert(agent)
	for _, usage := range []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth} {
		_, err := agent.Verify(x509.VerifyOptions{
			Roots:       roots,
			KeyUsages:   []x509.ExtKeyUsage{usage},
			CurrentTime: agent.NotBefore.Add(time.Hour),
			DNSName:     "kata-agent",
		})
		if err != nil {
			return err
		}
	}
	fmt.Println("verified", agent.Subject, "until", agent.NotAfter.Format("2006-01-02"))

	own, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		return err
	}
	connection, err := tls.Dial("tcp", address, &tls.Config{
		Certificates:       []tls.Certificate{own},
		NextProtos:         []string{"kata-agent-ttrpc"},
		MinVersion:         tls.VersionTLS13,
		InsecureSkipVerify: true,
		VerifyPeerCertificate: func(raw [][]byte, _ [][]*x509.Certificate) error {
			if len(raw) != 1 || !bytes.Equal(raw[0], block.Bytes) {
				return fmt.Errorf("another certificate")
			}
			return nil
		},
	})
	if err != nil {
		return err
	}
	defer connection.Close()
	buffer := make([]byte, 64)
	count, err := connection.Read(buffer)
	if err != nil {
		return err
	}
	fmt.Println(string(buffer[:count]))
	return nil
}

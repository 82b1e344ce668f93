package main

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// A cosigner verifies Ed25519 cosignatures of c2sp.org/tlog-cosignature, which package note does not know.
type cosigner struct {
	name string
	hash uint32
	key  ed25519.PublicKey
}

func (c *cosigner) Name() string    { return c.name }
func (c *cosigner) KeyHash() uint32 { return c.hash }

func (c *cosigner) Verify(msg, sig []byte) bool {
	if len(sig) != 8+ed25519.SignatureSize {
		return false
	}
	time := binary.BigEndian.Uint64(sig)
	signed := fmt.Sprintf("cosignature/v1\ntime %d\n%s", time, msg)
	return ed25519.Verify(c.key, []byte(signed), sig[8:])
}

func keyHash(name string, key []byte) uint32 {
	sum := sha256.Sum256(append([]byte(name+"\n"), key...))
	return binary.BigEndian.Uint32(sum[:])
}

// verifierOf is note.NewVerifier, and the same for keys of cosigners.
func verifierOf(vkey string) (note.Verifier, error) {
	parts := strings.SplitN(vkey, "+", 3)
	if len(parts) != 3 {
		return nil, errors.New("a key does not have three parts")
	}
	key, err := base64.StdEncoding.DecodeString(parts[2])
	if err != nil {
		return nil, err
	}
	if len(key) != 33 || key[0] != 4 {
		return note.NewVerifier(vkey)
	}
	hash := keyHash(parts[0], key)
	if fmt.Sprintf("%08x", hash) != parts[1] {
		return nil, errors.New("a cosigner's key has another id")
	}
	return &cosigner{parts[0], hash, key[1:]}, nil
}

func openWith(text []byte, vkeys []string) (*note.Note, error) {
	var verifiers []note.Verifier
	for _, vkey := range vkeys {
		verifier, err := verifierOf(vkey)
		if err != nil {
			return nil, err
		}
		verifiers = append(verifiers, verifier)
	}
	return note.Open(text, note.VerifierList(verifiers...))
}

func openNote(text []byte, vkeys []string) (answer, error) {
	opened, err := openWith(text, vkeys)
	if err != nil {
		return answer{}, err
	}
	a := answer{Text: []byte(opened.Text)}
	for _, sig := range opened.Sigs {
		a.Signed = append(a.Signed, sig.Name)
	}
	return a, nil
}

// signCheckpoint makes a key, names it as an agent does, and signs a checkpoint with note.Sign.
func signCheckpoint(size int64, root tlog.Hash) (answer, error) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return answer{}, err
	}
	name := fmt.Sprintf("kata-agent/%x", sha256.Sum256(public))
	encode := func(key []byte) string {
		return base64.StdEncoding.EncodeToString(append([]byte{1}, key...))
	}
	id := fmt.Sprintf("%08x", keyHash(name, append([]byte{1}, public...)))
	signer, err := note.NewSigner("PRIVATE+KEY+" + name + "+" + id + "+" + encode(private.Seed()))
	if err != nil {
		return answer{}, err
	}
	signed, err := note.Sign(&note.Note{Text: fmt.Sprintf("%s\n%d\n%v\n", name, size, root)}, signer)
	return answer{Text: signed, Key: name + "+" + id + "+" + encode(public)}, err
}

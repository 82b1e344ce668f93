// The TCP ports of the relay in a developer's guest, and the key that each connection to them begins with.

/** The agent's vsock port. The relay forwards connections to the TCP port of the same number to it. */
export const agentPort = 1024;

/** Each connection stops the agent, which powers the machine off. */
export const stopPort = 1000;

/** Reads one line and runs it in a shell in the guest. Sends its output, then a line with its exit code. */
export const shellPort = 1001;

/**
 * Reads one line: a vsock port of the guest and, optionally, the source port. Sends an empty line and forwards
 * the connection to that port, or sends a line with the error code.
 */
export const dialPort = 1002;

/** The text that precedes the key in the guest's SMBIOS. */
export const keyName = 'kata-agent-vm-key=';

/** The length of the key: a number of hexadecimal digits, one byte each. */
export const keyBytes = 32;

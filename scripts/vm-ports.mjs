/** The agent's vsock port; the relay listens on the same number over TCP. */
export const agentPort = 1024;

/** Who connects here ends the agent, and so the machine. */
export const stopPort = 1000;

/** Takes one line for the guest's shell; answers what it prints, and its exit code in a last line of its own. */
export const shellPort = 1001;

/**
 * Takes one line, a vsock port of the guest and, if wanted, the one to come from. Answers an empty line, and leads there from
 * then on; or one that says why it could not.
 */
export const dialPort = 1002;

/** Stands before the key in the guest's SMBIOS. Each connection to one of these ports begins with the key. */
export const keyName = 'kata-agent-vm-key=';

/** The key's length, in hexadecimal digits. */
export const keyBytes = 32;

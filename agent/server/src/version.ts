/** This agent's version in logs, records and replies. Shared by all packages; a test compares. */
export const version = '0.1.0';

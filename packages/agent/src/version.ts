/** This agent's version, as logged, recorded and told to runtimes. One for the whole workspace; a test compares. */
export const version = '0.1.0';

/**
 * Options of Node.js for the agent in a guest. By default V8's young generation grows to three spaces of 16
 * MiB, and a busy agent never returns that memory. A limit of 4 MiB per space saves 60 to 70 MiB, and no call
 * is slower (docs/adr/start-and-size.md, "The release of Node.js").
 */
export const agentNodeOptions: readonly string[] = ['--max-semi-space-size=4'];

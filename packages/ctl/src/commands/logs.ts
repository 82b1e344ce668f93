import type { CommandDefinition } from '../cli/definition.js';
import { withAgent } from '../connection/with-agent.js';
import { ExitCode } from '../exit-code.js';
import { write } from '../output/print.js';
import { pumpOutput, type StreamName } from '../run/output-pump.js';

export const logs: CommandDefinition = {
  path: 'logs',
  summary: 'print what a container writes, until it ends',
  details: [
    'Standard output goes to standard output, standard error to standard error. What is read is taken from the agent for good: a runtime that reads the same container gets only the rest.',
    'With --format json, each piece is one line with stream and data, in base64.',
  ],
  operands: [{ syntax: '<container>', says: 'the container’s identifier' }],
  options: [{ flags: '--exec <id>', says: 'read this exec’s streams instead of the first process’s' }],
  examples: [{ line: 'kata-agent-ctl logs web', says: 'Follows the container web to its end.' }],
  connects: true,
  formats: true,
  run: async (invocation) => {
    const { operands, options, io } = invocation;
    const target = { containerId: operands[0] ?? '', execId: options.text('exec') ?? '' };
    const take = (stream: StreamName) => async (data: Uint8Array) => {
      if (!options.json) return await write(io[stream], data);
      const line = { stream, data: Buffer.from(data).toString('base64') };
      return await write(io.stdout, `${JSON.stringify(line)}\n`);
    };
    await withAgent(invocation, async (agent) => {
      await Promise.all([
        pumpOutput(agent, target, 'stdout', take('stdout')),
        pumpOutput(agent, target, 'stderr', take('stderr')),
      ]);
    });
    return ExitCode.Fine;
  },
};

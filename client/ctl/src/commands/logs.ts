import { type CommandDefinition, ExitCode, withAgent, write } from '@kata-agent/cli';
import { pumpOutput, type StreamName } from '../run/output-pump.js';

export const logs: CommandDefinition = {
  path: 'logs',
  summary: 'print a container’s output until it ends',
  details: [
    'Standard output and standard error are printed separately. Reading consumes the output: a runtime that reads the same container gets only the rest.',
    'With --format json, each chunk is one line with stream and data, in base64.',
  ],
  operands: [{ syntax: '<container>', description: 'the container’s ID' }],
  options: [
    { flags: '--exec <id>', description: 'read the streams of this exec instead of the first process' },
  ],
  examples: [
    { line: 'kata-agent-ctl logs web', description: 'Prints the output of the container web until it ends.' },
  ],
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
    return ExitCode.Success;
  },
};

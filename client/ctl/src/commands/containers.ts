import { type CommandDefinition, ExitCode, print, withAgent, write } from '@kata-agent/cli';
import { AgentService } from '@kata-agent/protocol/agent';
import { pumpOutput, type StreamName } from '../run/attach.js';
import { signalNumber } from '../run/signals.js';

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
    {
      flags: '-f, --follow',
      description: 'as without it, for those who know kubectl: output is always followed until the end',
    },
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

export const signal: CommandDefinition = {
  path: 'signal',
  summary: 'send a signal to a container’s process',
  details: [
    'Calls SignalProcess for the first process, or for an exec. KILL to the first process kills all processes of the container; TERM becomes KILL if the first process has no handler for it.',
  ],
  operands: [
    { syntax: '<container>', description: 'the container’s ID' },
    { syntax: '<signal>', description: 'a name or number: TERM, SIGTERM, 15' },
  ],
  options: [
    { flags: '--exec <id>', description: 'signal the process of this exec instead of the first process' },
  ],
  examples: [{ line: 'kata-agent-ctl signal web TERM', description: 'Sends SIGTERM to the container web.' }],
  connects: true,
  formats: true,
  run: async (invocation) => {
    const [containerId = '', name = ''] = invocation.operands;
    const request = {
      containerId,
      execId: invocation.options.text('exec') ?? '',
      signal: signalNumber(name),
    };
    await withAgent(invocation, (agent) => agent.call(AgentService.method.signalProcess, request));
    await print(invocation, {}, () => '');
    return ExitCode.Success;
  },
};

export const pause: CommandDefinition = {
  path: 'pause',
  summary: 'freeze a container’s processes',
  details: [
    'Calls PauseContainer. The processes keep their memory and get no CPU time until kata-agent-ctl resume.',
  ],
  operands: [{ syntax: '<container>', description: 'the container’s ID' }],
  examples: [{ line: 'kata-agent-ctl pause web', description: 'Freezes the container web.' }],
  connects: true,
  formats: true,
  run: async (invocation) => {
    const containerId = invocation.operands[0] ?? '';
    await withAgent(invocation, (agent) => agent.call(AgentService.method.pauseContainer, { containerId }));
    await print(invocation, {}, () => '');
    return ExitCode.Success;
  },
};

export const resume: CommandDefinition = {
  path: 'resume',
  summary: 'resume a paused container',
  details: ['Calls ResumeContainer.'],
  operands: [{ syntax: '<container>', description: 'the container’s ID' }],
  examples: [{ line: 'kata-agent-ctl resume web', description: 'Resumes the container web.' }],
  connects: true,
  formats: true,
  run: async (invocation) => {
    const containerId = invocation.operands[0] ?? '';
    await withAgent(invocation, (agent) => agent.call(AgentService.method.resumeContainer, { containerId }));
    await print(invocation, {}, () => '');
    return ExitCode.Success;
  },
};

const longestSeconds = 3600;

export const rm: CommandDefinition = {
  path: 'rm',
  summary: 'remove a container and kill its processes',
  details: ['Calls RemoveContainer.'],
  operands: [{ syntax: '<container>', description: 'the container’s ID' }],
  options: [
    { flags: '--within <seconds>', description: 'the agent’s timeout for the removal (default: none)' },
  ],
  examples: [{ line: 'kata-agent-ctl rm web', description: 'Removes the container web.' }],
  connects: true,
  formats: true,
  run: async (invocation) => {
    const containerId = invocation.operands[0] ?? '';
    const timeout = invocation.options.whole('within', 1, longestSeconds) ?? 0;
    await withAgent(invocation, (agent) =>
      agent.call(AgentService.method.removeContainer, { containerId, timeout }),
    );
    await print(invocation, {}, () => '');
    return ExitCode.Success;
  },
};

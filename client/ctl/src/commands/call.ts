import { readFile } from 'node:fs/promises';
import { text as readText } from 'node:stream/consumers';
import {
  type CommandDefinition,
  CommandError,
  ExitCode,
  type Invocation,
  print,
  withAgent,
} from '@kata-agent/cli';
import { calls, findCall, messageFromJson, messageToJson, requestTemplate } from '../calls.js';

export const call: CommandDefinition = {
  path: 'call',
  summary: 'call any method with a JSON request, and print the reply',
  details: [
    'Takes all methods of grpc.AgentService, and Health.Check and Health.Version. Fields have the names of the .proto files (container_id) or lowerCamelCase; bytes are base64; 64-bit numbers may be strings. The default request is empty.',
    'The reply is JSON: one line with --format json, indented otherwise.',
  ],
  operands: [
    {
      syntax: '<method>',
      description: 'a method that kata-agent-ctl endpoints lists',
      suggestions: [...calls.keys()],
    },
    { syntax: '[request]', description: 'JSON, @file, or - for standard input' },
  ],
  options: [
    { flags: '--template', description: 'print a request with all fields, to be filled in, and do not call' },
    { flags: '--deadline <duration>', description: 'how long to wait for the reply (default: no limit)' },
  ],
  examples: [
    {
      line: `kata-agent-ctl call StartContainer '{"container_id": "web"}'`,
      description: 'Starts a container that was created before.',
    },
    {
      line: 'kata-agent-ctl call CreateContainer --template > request.json',
      description: 'Prints a request to fill in; send it with call CreateContainer @request.json.',
    },
  ],
  connects: true,
  formats: true,
  run: async (invocation) => {
    const { operands, options } = invocation;
    const method = findCall(operands[0] ?? '');
    if (options.flag('template')) {
      const template = requestTemplate(method.input);
      await print(invocation, template, () => indented(template));
      return ExitCode.Success;
    }
    const { text, source } = await requestText(invocation);
    const request = messageFromJson(method.input, text, source);
    const timeoutMs = options.duration('deadline');
    const reply = await withAgent(invocation, (agent) =>
      agent.call(method, request, timeoutMs === undefined ? {} : { timeoutMs }),
    );
    const value = messageToJson(method.output, reply);
    await print(invocation, value, () => indented(value));
    return ExitCode.Success;
  },
};

async function requestText({ operands, io }: Invocation): Promise<{ text: string; source: string }> {
  const operand = operands[1];
  if (operand === undefined) return { text: '{}', source: 'the empty request' };
  if (operand === '-') return { text: await readText(io.stdin), source: 'standard input' };
  if (!operand.startsWith('@')) return { text: operand, source: 'the request' };
  const file = operand.slice(1);
  try {
    return { text: await readFile(file, 'utf8'), source: file };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new CommandError(ExitCode.Usage, `cannot read the request: ${reason}`, { cause: error });
  }
}

function indented(value: unknown): string {
  return `${JSON.stringify(value, undefined, 2)}\n`;
}

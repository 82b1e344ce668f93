import {
  endpoints as catalogue,
  type Endpoint,
  groups,
  isGroupName,
  isMethodName,
  methodNames,
} from '@kata-agent/catalogue';
import { nearest } from '@kata-agent/config';
import type { CommandDefinition, Invocation } from '../cli/definition.js';
import { CommandError } from '../command-error.js';
import { ExitCode } from '../exit-code.js';
import { endpointPage, endpointsTable, groupPage, groupsTable } from '../output/endpoint-text.js';
import { print } from '../output/print.js';
import { styleFor } from '../output/style.js';

const widest = 100;

export const endpoints: CommandDefinition = {
  path: 'endpoints',
  summary: 'explain the agent’s methods and groups, as documentation',
  details: [
    'Without a name, lists all methods and groups; with one, says what it does, what it exposes, what breaks without it, and when Kata’s runtimes call it. No agent is asked. grpc.Health is always served and in no list.',
  ],
  operands: [{ syntax: '[name]', says: 'a method or an @group' }],
  examples: [
    { line: 'kata-agent-ctl endpoints', says: 'All methods and groups.' },
    { line: 'kata-agent-ctl endpoints ExecProcess', says: 'All that is known of one.' },
    { line: 'kata-agent-ctl endpoints @pod', says: 'What a group is for and has in it.' },
  ],
  formats: true,
  run: async (invocation) => {
    const { operands, io } = invocation;
    const style = styleFor(io.stdout, io.environment);
    const width = Math.min(io.stdout.columns ?? widest, widest);
    const name = operands[0];
    if (name === undefined) {
      const all = [...groups.values()];
      const value = { endpoints: methodNames.map((method) => catalogue[method]), groups: all };
      await print(
        invocation,
        value,
        () => `${endpointsTable(methodNames, style)}\n${groupsTable(all, style)}`,
      );
    } else if (isMethodName(name)) {
      const endpoint: Endpoint = catalogue[name];
      await print(invocation, endpoint, () => endpointPage(endpoint, width, style));
    } else {
      await printGroup(invocation, name, width);
    }
    return ExitCode.Fine;
  },
};

async function printGroup(invocation: Invocation, name: string, width: number): Promise<void> {
  const group = isGroupName(name) ? groups.get(name) : undefined;
  if (group === undefined) throw unknown(name);
  const style = styleFor(invocation.io.stdout, invocation.io.environment);
  await print(invocation, group, () => groupPage(group, width, style));
}

function unknown(name: string): CommandError {
  const guess = nearest(name.replace(/Request$/i, ''), [...methodNames, ...groups.keys()]);
  const health = /^health\b/i.test(name)
    ? ['grpc.Health (Check, Version) is always served and in no list.']
    : [];
  return new CommandError(ExitCode.Usage, `no method or group is called '${name}'`, {
    help: [
      ...(guess === undefined ? [] : [`Did you mean ${guess}?`]),
      ...health,
      'All of them: kata-agent-ctl endpoints',
    ],
  });
}

import {
  announcedMethods,
  endpoints as catalogue,
  type Endpoint,
  groups,
  isGroupName,
  isManagementMethod,
  isMethodName,
  managementEndpoints,
  managementMethods,
  methodNames,
} from '@kata-agent/catalogue';
import { nearest } from '@kata-agent/config';
import {
  type CommandDefinition,
  CommandError,
  ExitCode,
  type Invocation,
  printReport,
  styleFor,
} from '@kata-agent/cli';
import {
  announcedPage,
  endpointPage,
  endpointsTable,
  groupPage,
  groupsTable,
  managementPage,
  managementTable,
} from '../output/endpoint-text.js';

export const endpoints: CommandDefinition = {
  path: 'endpoints',
  summary: 'print documentation of the agent’s methods and groups',
  details: [
    'Without a name, lists all methods and groups, and the methods of the management service. With a name, prints its purpose, its exposure, what breaks without it, and when Kata’s runtimes call it. No agent is called. grpc.Health is always served and cannot be listed in a configuration.',
  ],
  operands: [
    {
      syntax: '[name]',
      description: 'a method or an @group',
      suggestions: [...methodNames, ...groups.keys(), ...managementMethods],
    },
  ],
  examples: [
    { line: 'kata-agent-ctl endpoints', description: 'Lists all methods and groups.' },
    { line: 'kata-agent-ctl endpoints ExecProcess', description: 'Prints the documentation of one method.' },
    { line: 'kata-agent-ctl endpoints @pod', description: 'Prints the purpose and members of a group.' },
  ],
  formats: true,
  run: async (invocation) => {
    const { operands, io } = invocation;
    const style = styleFor(io.stdout, io.environment);
    const name = operands[0];
    if (name === undefined) {
      const all = [...groups.values()];
      const value = {
        endpoints: methodNames.map((method) => catalogue[method]),
        groups: all,
        management: managementEndpoints,
      };
      await printReport(
        invocation,
        value,
        () =>
          `${endpointsTable(methodNames, style)}\n${groupsTable(all, style)}\n${managementTable(managementMethods, style)}`,
      );
    } else if (isMethodName(name)) {
      const endpoint: Endpoint = catalogue[name];
      await printReport(invocation, endpoint, (width) => endpointPage(endpoint, width, style));
    } else if (isManagementMethod(name)) {
      const endpoint = { method: name, ...managementEndpoints[name] };
      await printReport(invocation, endpoint, (width) => managementPage(name, width, style));
    } else if (announcedMethods.has(name)) {
      await printReport(invocation, { method: name, ...announcedMethods.get(name) }, (width) =>
        announcedPage(name, width, style),
      );
    } else {
      await printGroup(invocation, name);
    }
    return ExitCode.Success;
  },
};

async function printGroup(invocation: Invocation, name: string): Promise<void> {
  const group = isGroupName(name) ? groups.get(name) : undefined;
  if (group === undefined) throw unknown(name);
  const style = styleFor(invocation.io.stdout, invocation.io.environment);
  await printReport(invocation, group, (width) => groupPage(group, width, style));
}

function unknown(name: string): CommandError {
  const guess = nearest(name.replace(/Request$/i, ''), [
    ...methodNames,
    ...managementMethods,
    ...groups.keys(),
  ]);
  const health = /^health\b/i.test(name)
    ? ['grpc.Health (Check, Version) is always served and cannot be listed in a configuration']
    : [];
  return new CommandError(ExitCode.Usage, `unknown method or group '${name}'`, {
    help: [
      ...(guess === undefined ? [] : [`did you mean ${guess}?`]),
      ...health,
      'list all: kata-agent-ctl endpoints',
    ],
  });
}

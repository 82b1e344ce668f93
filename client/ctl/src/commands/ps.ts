import { type CommandDefinition, ExitCode, printReport, renderTable, withAgent } from '@kata-agent/cli';
import { type Container, ListContainersResponseSchema, Management } from '@kata-agent/protocol/management';
import { messageToJson } from '../calls.js';

export const ps: CommandDefinition = {
  path: 'ps',
  summary: 'list the containers of an agent',
  details: [
    'Calls Management.ListContainers, on a listener whose management names it. Other commands take the container’s ID.',
    'NAME is what the host says: the container’s name in its pod, or - for the pod’s sandbox. A number after the state is the exit code of the first process. --format json also has the ID and the exit code of each exec.',
  ],
  examples: [
    { line: 'kata-agent-ctl ps -a unix:///run/agent.sock', description: 'Prints a line for each container.' },
    { line: 'kata-agent-ctl ps --format json', description: 'Prints the IDs whole, with each exec.' },
  ],
  connects: true,
  formats: true,
  run: async (invocation) => {
    const reply = await withAgent(invocation, (agent) => agent.call(Management.method.listContainers, {}));
    await printReport(invocation, messageToJson(ListContainersResponseSchema, reply), () =>
      renderTable([['NAME', 'STATE', 'EXECS', 'ID'], ...reply.containers.map(rowOf)]),
    );
    return ExitCode.Success;
  },
};

function rowOf({ id, name, state, exitCode, execs }: Container): readonly string[] {
  const ended = execs.filter((exec) => exec.exitCode !== undefined).length;
  const running = execs.length - ended;
  return [
    name === '' ? '-' : name,
    exitCode === undefined ? state : `${state} ${exitCode}`,
    ended === 0 ? String(running) : `${running}, ${ended} ended`,
    id,
  ];
}

// The part `agent-ctl`: commands of Kata's command line client.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Checks, expect, given, type PartContext, type TestResult } from '../plan/part.js';
import { Agent } from '../guest/agent.js';
import { runProgram } from '../plan/run-program.js';

const commandSeconds = 60;
const shared = '/run/kata-containers/shared/containers';

/** Runs the commands with this agent, and with Kata's if it is given. */
export async function runAgentCtl({ programs, source, work }: PartContext): Promise<readonly TestResult[]> {
  const program = given(programs['agent-ctl'], '--agent-ctl').path;
  const directory = join(work, 'agent-ctl');
  mkdirSync(directory);
  const results = await runCommands(program, directory, await Agent.start(directory));
  const { agent } = programs;
  if (agent === undefined) return results;
  const policy = source === undefined ? undefined : join(source, 'src', 'kata-opa', 'allow-all.rego');
  const kata = await Agent.startKata(directory, agent.path, policy);
  return [...results, ...(await runCommands(program, directory, kata, "Kata's agent: "))];
}

/** Runs one command after another, each on a connection of its own, and stops the agent. */
async function runCommands(
  program: string,
  directory: string,
  agent: Agent,
  prefix = '',
): Promise<readonly TestResult[]> {
  const file = join(directory, 'file');
  writeFileSync(file, 'content\n');
  const checks = new Checks(prefix);
  const run = (command: string, accepted = true): Promise<void | undefined> =>
    checks.run(
      accepted ? command.replace(/ .*/, '') : `${command.replace(/ .*/, '')} that must fail`,
      async () => {
        const address = `unix://${agent.socket}`;
        const args = ['-l', 'info', 'connect', '--server-address', address, '-c', command];
        const { code, output } = await runProgram(program, args, { seconds: commandSeconds });
        expect((code === 0) === accepted, `exit code ${code}: ${output.trimEnd().split('\n').at(-1) ?? ''}`);
      },
    );
  try {
    await run('Check');
    await run('Version');
    await run('GetGuestDetails');
    await run('CreateSandbox json://{"sandbox_id": "pod"}');
    await run('ListInterfaces');
    await run('ListRoutes');
    await run('GetMetrics');
    await run('OnlineCPUMem');
    await run(`CopyFile json://{"src": "${file}", "dest": "${shared}/file"}`);
    await run(`CopyFile json://{"src": "${file}", "dest": "/tmp/file"}`, false);
    await run('StartContainer json://{"container_id": "missing"}', false);
    await run('DestroySandbox');
  } finally {
    await agent.stop();
  }
  return checks.results;
}

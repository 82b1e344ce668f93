import { Evidence, learn } from '@kata-agent/analysis';
import { type CommandDefinition, CommandError, ExitCode, print } from '@kata-agent/cli';
import { programName } from '../../program-name.js';
import { readEvidence } from '../audit/read-evidence.js';

export const configLearn: CommandDefinition = {
  path: 'config learn',
  summary: 'write the smallest configuration that allows the calls in audit logs',
  details: [
    'Prints a TOML configuration: the endpoints that were called, and rules if the log was recorded with [audit] facts = true. Each line names the records that it comes from. Denied calls are listed at the end, as a comment.',
    'Every allowed call in the log is allowed by the result, unwanted ones too: review it. The log is read with its older segments and must verify. Calls that are not in the log are not served: let the workload run through everything it does, until it ends, before you learn from its log.',
  ],
  operands: [{ syntax: '<logs...>', description: 'audit logs; older segments beside each are read too' }],
  options: [
    { flags: '--allow-refused', description: 'also allow the denied calls' },
    {
      flags: '--listener <name>',
      description: 'only calls on this listener; needed if a log has calls on several; may be repeated',
      repeatable: true,
    },
    { flags: '--unverified', description: 'read logs that do not verify' },
  ],
  examples: [
    {
      line: 'kata-agent-ctl config learn /run/kata-agent/audit.log > learnt.toml',
      description: 'Then compare it with the current one: kata-agent-ctl config diff.',
    },
  ],
  formats: true,
  run: async (invocation) => {
    const { io, operands, options } = invocation;
    const listeners = options.texts('listener');
    const evidence = new Evidence(listeners.length === 0 ? undefined : listeners);
    const logs: string[] = [];
    for (const file of operands) {
      const { records, description } = await readEvidence(file, options.flag('unverified'));
      for (const record of records) evidence.add(operands.length === 1 ? '' : file, record);
      logs.push(description);
    }
    if (listeners.length === 0 && evidence.listeners.size > 1) throw mixed([...evidence.listeners]);
    const learnt = learn(evidence, { logs, allowRefused: options.flag('allowRefused') });
    if (!options.json) for (const note of learnt.notes) io.stderr.write(`${programName}: note: ${note}\n`);
    const { asks, refused, notes, text } = learnt;
    const value = {
      configuration: text,
      asks: asks.map(({ method, facts, because }) => ({ method, facts, because })),
      refused,
      notes,
    };
    await print(invocation, value, () => text);
    return ExitCode.Success;
  },
};

/** A configuration from all of them would allow on each listener what was called on another. */
function mixed(names: readonly string[]): CommandError {
  const message = `the calls are on several listeners, ${names.join(', ')}, and each has its own rights`;
  return new CommandError(ExitCode.Usage, message, { help: names.map((name) => `--listener ${name}`) });
}

import { Evidence, learn } from '@kata-agent/analysis';
import type { CommandDefinition } from '../../cli/definition.js';
import { programName } from '../../cli/report.js';
import { ExitCode } from '../../exit-code.js';
import { print } from '../../output/print.js';
import { readEvidence } from '../audit/read-evidence.js';

export const configLearn: CommandDefinition = {
  path: 'config learn',
  summary: 'write the least configuration that would have served what audit logs show',
  details: [
    'Prints a configuration in TOML: the endpoints that were served, and rules when the log was recorded with [audit] facts = true. Each line names the records that asked for it. What was refused stands at the end, as a comment.',
    'What was asked for is what is learnt, also what nobody should have asked for: read the result. A log is read with its older segments, and has to verify. What the log does not show is not served: let the workload do everything that it has to do, its end included, before learning.',
  ],
  operands: [{ syntax: '<logs...>', says: 'the logs; older segments are found beside each' }],
  options: [
    { flags: '--allow-refused', says: 'also allow what was refused' },
    { flags: '--unverified', says: 'read logs that do not verify all the same' },
  ],
  examples: [
    {
      line: 'kata-agent-ctl config learn /run/kata-agent/audit.log > learnt.toml',
      says: 'Then compare it with the one in force: kata-agent-ctl config diff.',
    },
  ],
  formats: true,
  run: async (invocation) => {
    const { io, operands, options } = invocation;
    const evidence = new Evidence();
    const logs: string[] = [];
    for (const file of operands) {
      const { records, says } = await readEvidence(file, options.flag('unverified'));
      for (const record of records) evidence.add(operands.length === 1 ? '' : file, record);
      logs.push(says);
    }
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
    return ExitCode.Fine;
  },
};

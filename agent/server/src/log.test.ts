import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createLog, type LogLevel, logLevel } from './log.js';

function logged(level: LogLevel, use: (log: ReturnType<typeof createLog>) => void): Record<string, string>[] {
  const lines: string[] = [];
  use(createLog({ level, version: '1.2.3', write: (line) => lines.push(line) }));
  for (const line of lines) assert.match(line, /^[^\n]*\n$/);
  return lines.map((line) => JSON.parse(line) as Record<string, string>);
}

describe('the agent log', () => {
  it('has one map of strings per line, as Kata’s log parser reads it', () => {
    const [line = {}] = logged('info', (log) =>
      log('warn', 'two\nlines', { count: 3, open: true, absent: undefined, address: 'unix:///a"b' }),
    );
    const { ts = '', ...rest } = line;
    assert.equal(new Date(ts).toISOString(), ts);
    assert.deepEqual(rest, {
      level: 'WARN',
      name: 'kata-agent',
      source: 'agent',
      subsystem: 'root',
      version: '1.2.3',
      pid: String(process.pid),
      count: '3',
      open: 'true',
      address: 'unix:///a"b',
      msg: 'two\nlines',
    });
  });

  it("has Kata's names for levels, and omits lower levels", () => {
    const levels: LogLevel[] = ['trace', 'debug', 'info', 'warn', 'error', 'fatal'];
    const from = (level: LogLevel): (string | undefined)[] =>
      logged(level, (log) => {
        for (const each of levels) log(each, 'x');
      }).map((line) => line['level']);
    assert.deepEqual(from('trace'), ['TRCE', 'DEBG', 'INFO', 'WARN', 'ERRO', 'CRIT']);
    assert.deepEqual(from('warn'), ['WARN', 'ERRO', 'CRIT']);
    assert.deepEqual(from(logLevel('critical')), ['CRIT']);
  });

  it('keeps its own message whatever the names of the extras', () => {
    const [line = {}] = logged('info', (log) => log('info', 'the message', { msg: 'another' }));
    assert.equal(line['msg'], 'the message');
  });
});

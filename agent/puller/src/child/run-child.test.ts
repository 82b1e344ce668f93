import assert from 'node:assert/strict';
import { type Socket, createConnection, createServer } from 'node:net';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { type ChildOutcome, converse } from './run-child.js';
import { parsePullMessage, type PullQuestion } from './pull-protocol.js';

let directory: string;
let agentEnd: Socket;
let childEnd: Socket;
beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'image-converse-'));
  const server = createServer().listen(join(directory, 's'));
  const accepted = new Promise<Socket>((resolve) => void server.once('connection', resolve));
  childEnd = createConnection(join(directory, 's'));
  agentEnd = await accepted;
  server.close();
});
afterEach(() => {
  agentEnd.destroy();
  childEnd.destroy();
  rmSync(directory, { recursive: true });
});

const question = `${JSON.stringify({ unwrap: { scheme: 'jwe', packet: 'AAAA' } })}\n`;
const parse = (line: string): ChildOutcome<undefined, PullQuestion> => {
  const message = parsePullMessage(line);
  return message.kind === 'documents' || message.kind === 'fetched' ? { kind: 'progress' } : message;
};
let answered: number;
const talk = (answer = async (): Promise<unknown> => ({ options: null })) => {
  answered = 0;
  const counted = (): Promise<unknown> => {
    answered += 1;
    return answer();
  };
  const talk = { verb: 'pulls', requests: [{}], lineLength: 1e6, parse, answer: counted };
  return converse(agentEnd, talk, () => undefined);
};
const messageOf = (end: Awaited<ReturnType<typeof talk>>): string =>
  end?.kind === 'error' ? end.error.message : JSON.stringify(end);

test('questions are answered one after the other, at most a thousand', async () => {
  let left = 1_001;
  childEnd.on('data', () => void (left-- > 0 && childEnd.write(question)));
  const end = await talk();
  assert.match(messageOf(end), /asked more than 1000 questions/);
  assert.equal(answered, 1_000);
});

test('a flood of questions ends the work, with one answer', async () => {
  childEnd.write(question.repeat(10_000));
  childEnd.on('error', () => undefined);
  const end = await talk(() => new Promise((resolve) => void setImmediate(resolve, { options: null })));
  assert.match(messageOf(end), /asked a question before it had the answer to another one/);
  assert.equal(answered, 1);
});

test('a packet that is too large is no question', async () => {
  childEnd.write(`${JSON.stringify({ unwrap: { scheme: 'jwe', packet: 'A'.repeat(200_000) } })}\n`);
  assert.match(messageOf(await talk()), /no known form/);
  assert.equal(answered, 0);
});

import { once } from 'node:events';
import type { Duplex } from 'node:stream';
import { LayerError } from '../unpack/layer-error.js';

/** A message of a child, parsed. */
export type ChildOutcome<Result, Question = never> =
  | { readonly kind: 'progress' }
  | { readonly kind: 'question'; readonly question: Question }
  | { readonly kind: 'result'; readonly result: Result }
  | { readonly kind: 'error'; readonly error: Error };

/** What the agent sends to a child, and how it reads what the child sends. */
export interface Conversation<Result, Question = never> {
  /** What the process does, for messages: `unpacks the image`. */
  readonly verb: string;
  /** Sent as one line of JSON. */
  readonly request: unknown;
  /** Characters of a line that it sends. */
  readonly lineLength: number;
  /** Parses a line. Throws for one of no known form. */
  readonly parse: (line: string) => ChildOutcome<Result, Question>;
  /** Answers a question, as one line of JSON. If it rejects, the work fails with that error. */
  readonly answer?: (question: Question) => Promise<unknown>;
}

/** How a child's work ended. */
export type Answer<Result> = Extract<ChildOutcome<Result>, { readonly kind: 'result' | 'error' }>;

/** An answer costs the agent time and memory. An image has a few for each encrypted layer. */
const maxQuestions = 1_000;

/**
 * Sends the request, reads messages until the socket closes, and returns the last answer. A child that was taken over asks one
 * question after the other, and reads the answers, or its work fails: the agent does other work between them.
 */
export async function converse<Result, Question>(
  socket: Duplex,
  { request, parse, verb, lineLength, answer: answerTo }: Conversation<Result, Question>,
  onLine: () => void,
): Promise<Answer<Result> | undefined> {
  let answer: Answer<Result> | undefined;
  let unanswered: Error | undefined;
  let questions = 0;
  let waits = false;
  const reply = async (question: Question): Promise<void> => {
    if (answerTo === undefined || waits || questions >= maxQuestions)
      throw new LayerError('child', `the process that ${verb} asked ${strange(answerTo, waits)}`);
    questions += 1;
    waits = true;
    const written = socket.write(`${JSON.stringify(await answerTo(question))}\n`);
    if (!written) await once(socket, 'drain');
    waits = false;
  };
  socket.on('error', () => undefined);
  socket.write(`${JSON.stringify(request)}\n`);
  try {
    for await (const line of lines(socket, lineLength, verb)) {
      onLine();
      const message = parse(line);
      if (message.kind === 'question') {
        // Its other messages are read meanwhile.
        reply(message.question).catch((error: Error) => {
          unanswered ??= error;
          socket.destroy();
        });
      } else if (message.kind !== 'progress') answer = message;
    }
  } catch (error) {
    // A connection reset is the end of the process.
    if (error instanceof LayerError) answer = { kind: 'error', error };
  }
  return unanswered === undefined ? answer : { kind: 'error', error: unanswered };
}

function strange(answer: unknown, waits: boolean): string {
  if (answer === undefined) return 'a question';
  return waits ? 'a question before it had the answer to another one' : `more than ${maxQuestions} questions`;
}

async function* lines(socket: Duplex, lineLength: number, verb: string): AsyncGenerator<string> {
  let rest = '';
  for await (const chunk of socket.setEncoding('utf8')) {
    const parts = (rest + String(chunk)).split('\n');
    rest = parts.pop() ?? '';
    if (rest.length > lineLength || parts.some((part) => part.length > lineLength))
      throw new LayerError('child', `the process that ${verb} sent a line that is too long`);
    yield* parts;
  }
}

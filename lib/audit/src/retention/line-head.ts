import type { RecordKind } from '../record/record.js';

/** The members of a record that the selection needs, read without parsing the whole line. */
export interface LineHead {
  readonly sequence: number;
  readonly boot: string;
  readonly kind: RecordKind;
  /** The sequence number of the intent; of an outcome only. */
  readonly intent: number | undefined;
  /** Listener and method are empty in records that are not about a call. */
  readonly listener: string;
  readonly method: string;
  /** Status code of an outcome or a call. */
  readonly code: string | undefined;
  /** Of an intent only. */
  readonly containerId: string | undefined;
  readonly execId: string | undefined;
  /** The directory of the file of a CopyFile; of an intent only. */
  readonly directory: string | undefined;
}

const text = '"((?:[^"\\\\]|\\\\.)*)"';
/** The members in the order in which `seal` writes them. */
const headPattern = new RegExp(
  `^\\{"sequence":(\\d+),"prev":"[0-9a-f]{64}","boot":${text},"monotonic":\\d+,"wall":"[^"]*","kind":"([a-z]+)"` +
    `(?:,"intent":(\\d+))?(?:,"listener":${text},"peer":${text},"method":${text})?`,
);
/** Unambiguous: inside a string these quotes would be escaped. */
const subjectPattern = new RegExp(`,"subject":\\{"containerId":${text}(?:,"execId":${text})?`);
const filePattern = new RegExp(`,"request":\\{"file":\\{"path":${text}`);
const codePattern = /,"result":\{"code":"([^"\\]*)"/;

/** Parses the head of a line; undefined when the line is not a record. Its hash is not checked. */
export function lineHead(line: Buffer): LineHead | undefined {
  const string = line.toString('latin1');
  const match = headPattern.exec(string);
  if (match === null) return undefined;
  const [whole, sequence, boot = '', kind, intent, listener = '', , method = ''] = match;
  const rest = string.slice(whole.length);
  const isDecided = kind === 'outcome' || kind === 'call';
  const subject = kind === 'intent' ? subjectPattern.exec(rest) : null;
  return {
    sequence: Number(sequence),
    boot,
    kind: kind as RecordKind,
    intent: intent === undefined ? undefined : Number(intent),
    listener,
    method,
    code: isDecided ? codePattern.exec(rest)?.[1] : undefined,
    containerId: subject?.[1],
    execId: subject?.[2],
    directory: kind === 'intent' && method === 'CopyFile' ? directoryIn(rest) : undefined,
  };
}

function directoryIn(rest: string): string | undefined {
  const path = filePattern.exec(rest)?.[1];
  return path?.slice(0, Math.max(path.lastIndexOf('/'), 0));
}

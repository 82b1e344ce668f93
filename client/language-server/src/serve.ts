import { type Readable, Writable } from 'node:stream';
import { maxDocumentBytes } from '@kata-agent/config';
import {
  createConnection,
  type Diagnostic,
  TextDocuments,
  TextDocumentSyncKind,
  type WatchDog,
} from 'vscode-languageserver';
import {
  createProtocolConnection,
  type MessageStrategy,
  StreamMessageReader,
  StreamMessageWriter,
} from 'vscode-languageserver-protocol/node';
import { TextDocument } from 'vscode-languageserver-textdocument';
import { complete } from './complete.js';
import { diagnose } from './diagnose.js';
import { format } from './format.js';
import { hover } from './hover.js';

/** What a language server needs of its process. */
export interface LanguageServerOptions {
  readonly input: Readable;
  readonly output: { write(data: Uint8Array, done: (error?: Error | null) => void): unknown };
  /** Of the program, for the client. */
  readonly server: { readonly name: string; readonly version: string };
  /** The page with a section for each code; undefined: diagnostics have no link. */
  readonly codesPage: URL | undefined;
}

/** How a session ended: as the protocol demands, or why not. */
export type SessionEnd =
  | { readonly kind: 'exit' }
  /** The client closed its end, or sent `exit`, without `shutdown`. */
  | { readonly kind: 'no shutdown' }
  /** What the client sent is no message, or nothing can be written to it. */
  | { readonly kind: 'broken'; readonly reason: string };

/** After so many turns without a message, none is waiting: the library reads in one and handles in the next. */
const quietTurns = 8;

/** Serves one client (LSP 3.17) until it ends the session. Rejects for a bug in what it answers unasked. */
export function serveLanguage({
  input,
  output,
  server,
  codesPage,
}: LanguageServerOptions): Promise<SessionEnd> {
  return new Promise((resolve, reject) => {
    const reader = new StreamMessageReader(input);
    // Its timer, only for a log, would keep the process after a message without its end.
    reader.partialMessageTimeout = 0;
    const writer = new StreamMessageWriter(writable(output));
    let isOpen = true;
    // After the end of the input the last messages are still handled, but nothing can be sent beside answers.
    let canSend = true;
    const finish = (end: SessionEnd): void => {
      isOpen = false;
      canSend = false;
      resolve(end);
    };
    const end = (): void => finish({ kind: session.shutdownReceived ? 'exit' : 'no shutdown' });
    let handled = 0;
    const counting: MessageStrategy = {
      handleMessage: (message, next) => {
        handled += 1;
        return next(message);
      },
    };
    // Messages, of which `exit` can be the last, are read and handled one in each turn of the event loop, and so after the end of the input.
    const endOfInput = (before?: number, turns = 0): void => {
      if (!isOpen) return;
      if (handled === before && turns === quietTurns) end();
      else setImmediate(endOfInput, handled, handled === before ? turns + 1 : 0);
    };
    const session: WatchDog = { shutdownReceived: false, initialize: () => undefined, exit: end };
    const connection = createConnection((console) => {
      // The console of the client cannot be reached any more, and throws.
      const log = (write: (text: string) => void) => (text: string) => (canSend ? write(text) : undefined);
      const logger = {
        error: log((text) => console.error(text)),
        warn: log((text) => console.warn(text)),
        info: log((text) => console.info(text)),
        log: log((text) => console.log(text)),
      };
      const protocol = createProtocolConnection(reader, writer, logger, { messageStrategy: counting });
      protocol.onClose(() => {
        canSend = false;
        endOfInput();
      });
      protocol.onError(([error]) => finish({ kind: 'broken', reason: error.message.split('\n')[0] ?? '' }));
      return protocol;
    }, session);
    // A file as standard input ends without being closed.
    input.once('end', () => endOfInput());
    connection.onInitialize(() => ({
      capabilities: {
        textDocumentSync: { openClose: true, change: TextDocumentSyncKind.Incremental, save: true },
        completionProvider: { triggerCharacters: ['"', "'", '.', '[', '@'] },
        hoverProvider: true,
        documentFormattingProvider: true,
      },
      serverInfo: server,
    }));
    const documents = new TextDocuments(TextDocument);
    // Nothing but its diagnostic is known of a document that is larger than one that is read.
    const readable = (uri: string): TextDocument | undefined => {
      const document = documents.get(uri);
      return document === undefined || Buffer.byteLength(document.getText()) > maxDocumentBytes
        ? undefined
        : document;
    };
    // Each text is checked once, though it is asked for again by a save and by each hover.
    const checks = new WeakMap<
      TextDocument,
      { readonly version: number; readonly found: Promise<Diagnostic[]> }
    >();
    const check = (document: TextDocument): Promise<Diagnostic[]> => {
      const { version } = document;
      const known = checks.get(document);
      if (known?.version === version) return known.found;
      const found = diagnose(document, codesPage);
      checks.set(document, { version, found });
      return found;
    };
    const publish = async ({ document }: { readonly document: TextDocument }): Promise<void> => {
      const { uri, version } = document;
      const diagnostics = await check(document);
      // Otherwise those of the newer text follow.
      if (canSend && documents.get(uri)?.version === version)
        await connection.sendDiagnostics({ uri, version, diagnostics });
    };
    documents.onDidChangeContent((event) => void publish(event).catch(reject));
    documents.onDidSave((event) => void publish(event).catch(reject));
    documents.onDidClose(({ document: { uri } }) => {
      if (canSend) connection.sendDiagnostics({ uri, diagnostics: [] }).catch(reject);
    });
    connection.onCompletion(({ textDocument: { uri }, position }) => {
      const document = readable(uri);
      return document === undefined ? [] : complete(document, position);
    });
    connection.onHover(async ({ textDocument: { uri }, position }) => {
      const document = readable(uri);
      return document === undefined ? null : hover(document, position, await check(document));
    });
    connection.onDocumentFormatting(({ textDocument: { uri } }) => {
      const document = readable(uri);
      return document === undefined ? [] : format(document);
    });
    documents.listen(connection);
    connection.listen();
  });
}

function writable(output: LanguageServerOptions['output']): Writable {
  return new Writable({
    write: (chunk: Uint8Array, _encoding, done) => {
      output.write(chunk, done);
    },
  });
}

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  type CompletionItem,
  CompletionRequest,
  createProtocolConnection,
  type Diagnostic,
  DidChangeTextDocumentNotification,
  DidCloseTextDocumentNotification,
  DidOpenTextDocumentNotification,
  DocumentFormattingRequest,
  ExitNotification,
  type Hover,
  HoverRequest,
  InitializedNotification,
  InitializeRequest,
  type InitializeResult,
  type Position,
  type ProtocolConnection,
  type PublishDiagnosticsParams,
  PublishDiagnosticsNotification,
  ShutdownRequest,
  StreamMessageReader,
  StreamMessageWriter,
  type TextEdit,
} from 'vscode-languageserver-protocol/node';

/** How a server's process ended. */
export interface ServerEnd {
  readonly code: number | null;
  readonly stderr: string;
}

/** An editor's side of a language server, which is a process of its own. */
export class Editor {
  readonly #process: ChildProcess;
  readonly #connection: ProtocolConnection;
  readonly #published: PublishDiagnosticsParams[] = [];
  #wake: () => void = () => undefined;
  readonly #ended: Promise<ServerEnd>;

  private constructor(process: ChildProcess, connection: ProtocolConnection) {
    this.#process = process;
    this.#connection = connection;
    let stderr = '';
    process.stderr?.on('data', (data: Buffer) => (stderr += data.toString()));
    this.#ended = once(process, 'close').then(([code]) => ({ code: code as number | null, stderr }));
    connection.onNotification(PublishDiagnosticsNotification.type, (params) => {
      this.#published.push(params);
      this.#wake();
    });
  }

  /** Starts a server: a command with its arguments. */
  static start(command: string, argv: readonly string[]): Editor {
    const child = spawn(command, argv, { stdio: ['pipe', 'pipe', 'pipe'] });
    const connection = createProtocolConnection(
      new StreamMessageReader(child.stdout),
      new StreamMessageWriter(child.stdin),
    );
    connection.listen();
    return new Editor(child, connection);
  }

  async initialize(): Promise<InitializeResult> {
    const result = await this.#connection.sendRequest(InitializeRequest.type, {
      processId: process.pid,
      rootUri: null,
      capabilities: {},
    });
    await this.#connection.sendNotification(InitializedNotification.type, {});
    return result;
  }

  /** Opens a document, and returns its diagnostics. */
  async open(uri: string, text: string): Promise<readonly Diagnostic[]> {
    await this.#connection.sendNotification(DidOpenTextDocumentNotification.type, {
      textDocument: { uri, languageId: 'toml', version: 1, text },
    });
    return this.#diagnostics(uri, 1);
  }

  /** Replaces the text of a document, and returns its diagnostics. */
  async change(uri: string, version: number, text: string): Promise<readonly Diagnostic[]> {
    await this.#connection.sendNotification(DidChangeTextDocumentNotification.type, {
      textDocument: { uri, version },
      contentChanges: [{ text }],
    });
    return this.#diagnostics(uri, version);
  }

  async close(uri: string): Promise<void> {
    await this.#connection.sendNotification(DidCloseTextDocumentNotification.type, { textDocument: { uri } });
  }

  async complete(uri: string, position: Position): Promise<readonly CompletionItem[]> {
    const result = await this.#connection.sendRequest(CompletionRequest.type, {
      textDocument: { uri },
      position,
    });
    return Array.isArray(result) ? result : (result?.items ?? []);
  }

  hover(uri: string, position: Position): Promise<Hover | null> {
    return this.#connection.sendRequest(HoverRequest.type, { textDocument: { uri }, position });
  }

  async format(uri: string): Promise<readonly TextEdit[]> {
    const options = { tabSize: 2, insertSpaces: true };
    const result = await this.#connection.sendRequest(DocumentFormattingRequest.type, {
      textDocument: { uri },
      options,
    });
    return result ?? [];
  }

  /** Ends the session as the protocol demands. */
  async exit(): Promise<ServerEnd> {
    await this.#connection.sendRequest(ShutdownRequest.type);
    await this.#connection.sendNotification(ExitNotification.type);
    return this.#ended;
  }

  /** Writes bytes that need not be a message. */
  write(text: string): void {
    this.#process.stdin?.write(text);
  }

  /** Closes the server's standard input, as an editor that ends without ending the session. */
  async abandon(): Promise<ServerEnd> {
    this.#process.stdin?.end();
    return this.#ended;
  }

  /** Ends the process at once, if a test has not. */
  stop(): void {
    this.#process.kill('SIGKILL');
  }

  get ended(): Promise<ServerEnd> {
    return this.#ended;
  }

  async #diagnostics(uri: string, version: number): Promise<readonly Diagnostic[]> {
    for (;;) {
      const found = this.#published.findLast((each) => each.uri === uri && each.version === version);
      if (found !== undefined) return found.diagnostics;
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }
}

import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

const packageRoot = new URL('..', import.meta.url).pathname;

/** Returns the README's code block that begins with `// NAME`. */
function block(name: string): string {
  const readme = readFileSync(join(packageRoot, 'README.md'), 'utf8');
  const found = new RegExp(`\`\`\`ts\\n(// ${name}\\n[^]*?)\`\`\``).exec(readme);
  assert.ok(found?.[1], `README.md has no block ${name}`);
  return found[1];
}

/** The output of protoc-gen-es for the README's service. */
const generated = `
import { create, createFileRegistry } from '@bufbuild/protobuf';
import { FileDescriptorProtoSchema } from '@bufbuild/protobuf/wkt';
const message = (name, field, type) => ({ name, field: [{ name: field, number: 1, type, label: 1 }] });
const file = create(FileDescriptorProtoSchema, {
  name: 'greeter.proto', syntax: 'proto3',
  messageType: [message('HelloRequest', 'name', 9), message('HelloReply', 'text', 9), message('CountRequest', 'to', 5), message('Number', 'value', 5)],
  service: [{ name: 'Greeter', method: [
    { name: 'Hello', inputType: '.HelloRequest', outputType: '.HelloReply' },
    { name: 'Count', inputType: '.CountRequest', outputType: '.Number', serverStreaming: true },
  ] }],
});
export const Greeter = createFileRegistry(file, () => undefined).getService('Greeter');
`;

async function output(child: ChildProcess): Promise<string> {
  let text = '';
  child.stdout?.on('data', (chunk: Buffer) => (text += chunk.toString()));
  child.stderr?.on('data', (chunk: Buffer) => (text += chunk.toString()));
  await once(child, 'close');
  return text;
}

test('the README’s client and server communicate', async () => {
  const directory = mkdtempSync(join(packageRoot, 'dist', 'readme-'));
  try {
    mkdirSync(join(directory, 'gen'));
    writeFileSync(join(directory, 'gen', 'greeter_pb.js'), generated);
    writeFileSync(join(directory, 'server.mjs'), block('server.ts'));
    writeFileSync(join(directory, 'client.mjs'), block('client.ts'));
    const server = spawn(process.execPath, ['server.mjs'], { cwd: directory });
    const serverOutput = output(server);
    while (!existsSync(join(directory, 'greeter.sock')) && server.exitCode === null)
      await new Promise((resolve) => setTimeout(resolve, 10));
    const printed = await output(spawn(process.execPath, ['client.mjs'], { cwd: directory }));
    assert.equal(printed, 'Hello, world.\n1\n2\n3\nTtrpcError(INVALID_ARGUMENT): the name is empty\n');
    server.kill('SIGTERM');
    assert.equal(await serverOutput, '');
    assert.equal(server.exitCode, 0);
  } finally {
    rmSync(directory, { recursive: true });
  }
});

// Builds the Go programs and descriptor sets of the interoperability tests and the benchmark.
//
//   node tests/interop/build.mjs NAME…
//
// prints the paths of the results as one JSON object by name. Results and caches are below build/. Exits with 3 and one
// line on standard error if Go or a library of its is missing.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));
const out = join(root, 'build', 'go');
const bin = join(root, 'node_modules', '.bin');
const debianGo = '/usr/share/gocode';
const generatedGo = join(out, 'gen');
const gopath = [join(root, 'tests', 'interop', 'go'), join(root, 'bench', 'go'), generatedGo, debianGo];

const protocol = join(root, 'lib', 'protocol');
const artifacts = {
  'interop.binpb': () => descriptorSet('interop.binpb', join(root, 'tests', 'interop', 'proto')),
  'kata.binpb': () => descriptorSet('kata.binpb', protocol),
  'peer-server': () => program('peer-server'),
  'peer-client': () => program('peer-client'),
  'agent-client': () => program('agent-client'),
  'inner-agent': () => program('inner-agent'),
  'tls-peer': () => program('tls-peer'),
  'tlog-peer': () => program('tlog-peer'),
  capture: () => program('capture', join(root, 'tests', 'golden', 'capture')),
  'bench-server': () => benchProgram('bench-server'),
  'bench-client': () => benchProgram('bench-client'),
  'bench-container': () => benchProgram('bench-container'),
  'bench-agent': () => benchProgram('bench-agent'),
  'bench-scale': () => benchProgram('bench-scale'),
};

function run(command, args, options) {
  const env = {
    ...process.env,
    PATH: [bin, process.env.PATH ?? ''].join(delimiter),
    GO111MODULE: 'off',
    GOPATH: gopath.join(delimiter),
    GOCACHE: join(out, 'cache'),
    GOFLAGS: '-trimpath',
    // Without this, Go before 1.20 requires a C compiler, which is not needed.
    CGO_ENABLED: '0',
  };
  const result = spawnSync(command, args, { encoding: 'utf8', env, ...options });
  if (result.status === 0) return;
  const output = `${result.stdout ?? ''}${result.stderr ?? ''}${result.error?.message ?? ''}`;
  process.stderr.write(`${command} ${args.join(' ')} failed:\n${output}\n`);
  process.exit(1);
}

/** Writes a file under a temporary name and renames it, since several test files can build it concurrently. */
function atomically(name, make) {
  const target = join(out, 'bin', name);
  const temporary = `${target}.${process.pid}`;
  mkdirSync(dirname(target), { recursive: true });
  make(temporary);
  renameSync(temporary, target);
  return target;
}

function descriptorSet(name, cwd) {
  return atomically(name, (path) => run('buf', ['build', '-o', `${path}#format=binpb`], { cwd }));
}

function program(name, source = name) {
  return atomically(name, (path) => {
    if (source === name) run('go', ['build', '-o', path, name], { cwd: root });
    else run('go', ['build', '-o', path, '.'], { cwd: source });
  });
}

let generated = false;

/** The benchmark's Go programs use generated code, as Go agents do: reflection would make the Go side slower. */
function benchProgram(name) {
  if (!generated) generateGo();
  generated = true;
  return program(name);
}

function generateGo() {
  const plugin = atomically('protoc-gen-go', (path) => {
    run('go', ['build', '-o', path, 'google.golang.org/protobuf/cmd/protoc-gen-go'], { cwd: root });
  });
  // Kata's contract: our own management service is not part of it.
  const files = ['agent', 'oci', 'csi', 'types', 'health'];
  const template = {
    version: 'v2',
    plugins: [
      {
        local: plugin,
        out: join(generatedGo, 'src'),
        opt: files.map((name) => `M${name}.proto=kata/grpc`),
      },
    ],
  };
  const path = join(out, `buf.gen.${process.pid}.json`);
  mkdirSync(join(generatedGo, 'src'), { recursive: true });
  writeFileSync(path, JSON.stringify(template));
  const paths = files.flatMap((name) => ['--path', join('proto', `${name}.proto`)]);
  run('buf', ['generate', '--template', path, ...paths], { cwd: protocol });
  rmSync(path);
}

const go = {
  what: 'the go command',
  there: () => spawnSync('go', ['version']).status === 0,
  from: 'golang-go',
};
const ttrpc = {
  what: "Go's ttRPC library",
  there: () => existsSync(join(debianGo, 'src/github.com/containerd/ttrpc/server.go')),
  from: 'golang-github-containerd-ttrpc-dev',
};
const mod = {
  what: "Go's x/mod",
  there: () => existsSync(join(debianGo, 'src/golang.org/x/mod/sumdb/note/note.go')),
  from: 'golang-golang-x-mod-dev',
};

function needsOf(name) {
  if (name.endsWith('.binpb')) return [];
  return name === 'tlog-peer' ? [go, mod] : [go, ttrpc];
}

const names = process.argv.slice(2);
for (const name of names) {
  if (artifacts[name] === undefined) {
    process.stderr.write(`no artifact ${name}; known: ${Object.keys(artifacts).join(', ')}\n`);
    process.exit(2);
  }
}
for (const { what, there, from } of new Set(names.flatMap(needsOf))) {
  if (there()) continue;
  process.stderr.write(`${what} is missing (Debian: apt-get install ${from})\n`);
  process.exit(3);
}
process.stdout.write(
  `${JSON.stringify(Object.fromEntries(names.map((name) => [name, artifacts[name]()])))}\n`,
);

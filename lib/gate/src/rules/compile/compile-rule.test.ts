import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { MethodName } from '@kata-agent/catalogue';
import { check, fault } from '../rules.test.fixture.js';

const exec: readonly MethodName[] = ['ExecProcess'];
const creation: readonly MethodName[] = ['CreateContainer'];
const both: readonly MethodName[] = ['ExecProcess', 'CreateContainer'];
const started: readonly MethodName[] = ['ExecProcess', 'StartContainer'];

/** An invalid expression with the words that are marked and the message. */
type Row = readonly [expression: string, methods: readonly MethodName[], words: string, message: string];

const names: readonly Row[] = [
  ['true || request.nope', exec, 'nope', 'ExecProcessRequest has no field "nope"'],
  ['true ? true : request.nope', exec, 'nope', 'ExecProcessRequest has no field "nope"'],
  ['false && args.all(a, request.nope)', exec, 'nope', 'ExecProcessRequest has no field "nope"'],
  [
    'request.proces.Args == []',
    exec,
    'proces',
    'ExecProcessRequest has no field "proces" (did you mean "process"?)',
  ],
  ['request.process.args == []', exec, 'args', 'Process has no field "args" (did you mean "Args"?)'],
  ['arg[0] == "a"', exec, 'arg', 'there is no "arg" here (did you mean "args"?)'],
  ['request == 1', exec, 'request == 1', 'an ExecProcessRequest is never equal to an int'],
  [
    'args == []',
    ['StartContainer'],
    'args',
    'StartContainer has no "args" (CreateContainer and ExecProcess have it',
  ],
  ['mounts == []', exec, 'mounts', 'ExecProcess has no "mounts" (CreateContainer has it'],
  ['container.id == ""', ['CreateSandbox'], 'container', 'CreateSandbox has no "container"'],
  ['request.container_id.x == "a"', exec, 'x', 'a string has no fields'],
  ['container.image == ""', exec, 'image', 'container has no field "image"'],
  [
    'peer.ip == ""',
    exec,
    'ip',
    'peer has no field "ip" (it has kind, cid, uid, subject, sans, fingerprint, claimed_operator)',
  ],
  ['constructor == 1', exec, 'constructor', 'there is no "constructor" here'],
  ['request.toString == ""', exec, 'toString', 'ExecProcessRequest has no field "toString"'],
  ['request.$typeName == ""', exec, '.', '"." is not allowed here'],
  ['args.al(a, a == "")', exec, 'al', 'there is no function "al" (did you mean "all"?)'],
  [
    'args[0].startWith("a")',
    exec,
    'startWith',
    'there is no function "startWith" (did you mean "startsWith"?)',
  ],
  ['args[0].constructor("a")', exec, 'constructor', 'there is no function "constructor"'],
  ['timestamp("x") == 1', exec, 'timestamp', 'a rule has no access to time'],
  ['dyn(args) == 1', exec, 'dyn', 'there is no function "dyn"'],
];

const types: readonly Row[] = [
  ['request.exec_id == 5', exec, 'request.exec_id == 5', 'a string is never equal to an int (write "5")'],
  ['5 != request.exec_id', exec, '5 != request.exec_id', 'an int is never equal to a string (write "5")'],
  [
    '  ( request . exec_id ) == ( 5 )',
    exec,
    'request . exec_id ) == ( 5',
    'a string is never equal to an int',
  ],
  ['[[1]] == [["a"]]', exec, '[[1]] == [["a"]]', 'a list(list(int)) is never equal to a list(list(string))'],
  ['{"a": 1} == {"a": "b"}', exec, '{"a": 1} == {"a": "b"}', 'a map(string, int) is never equal'],
  [
    'request.process.Args',
    exec,
    'request.process.Args',
    'a condition is true or false, and this is a list(string)',
  ],
  ['args && terminal', exec, 'args', 'a condition is true or false, and this is a list(string)'],
  ['!args[0]', exec, 'args[0]', 'a condition is true or false, and this is a string'],
  ['args.all(a, a)', exec, 'a', 'a condition is true or false, and this is a string'],
  ['terminal ? 1 : 2', exec, 'terminal ? 1 : 2', 'a condition is true or false, and this is an int'],
  ['args[0] ? true : false', exec, 'args[0]', 'a condition is true or false, and this is a string'],
  [
    'terminal ? terminal : "a"',
    exec,
    'terminal ? terminal : "a"',
    'the two branches are of different types: bool and string',
  ],
  ['args.all(a, a.startsWith(5))', exec, 'a.startsWith(5)', 'there is no string.startsWith(int)'],
  ['startsWith(args[0], "a")', exec, 'startsWith(args[0], "a")', 'there is no startsWith(string, string)'],
  ['args.startsWith("a")', exec, 'args.startsWith("a")', 'there is no list(string).startsWith(string)'],
  ['size(terminal) == 1', exec, 'size(terminal)', 'there is no size(bool)'],
  ['user.UID + 1 == 0u', exec, 'user.UID + 1', '"+" is not for uint and int (int(…) and uint(…) convert'],
  ['args[0] < 5', exec, 'args[0] < 5', '"<" is not for string and int'],
  ['terminal < terminal', exec, 'terminal < terminal', '"<" is not for bool and bool'],
  ['-args == []', exec, '-args', '"-" is not for list(string)'],
  ['-user.UID == 0', exec, '-user.UID', '"-" is not for uint'],
  [
    'args + ["a", 1] == []',
    exec,
    '1',
    'a list must be of one type: this is an int, the one before is a string',
  ],
  ['args + [1] == []', exec, 'args + [1]', '"+" is not for list(string) and list(int)'],
  ['{"a": 1, "b": "c"} == {}', exec, '"c"', "a map's values must be of one type"],
  ['{args: 1} == {}', exec, '{args: 1}', 'a key is a text, number or bool, not a list(string)'],
  ['{"a": 1, "a": 2}.a == 1', exec, '"a"', 'the map has this key twice'],
  [
    '"a" in args[0]',
    exec,
    'args[0]',
    '"in" looks into a list or a map, and this is a string (text.contains(part)',
  ],
  ['5 in args', exec, '5 in args', 'an int is never in a list(string)'],
  ['5 in env', exec, '5 in env', 'an int is never in a map(string, string)'],
  ['mounts.exists(m, m in mounts)', creation, 'm', 'messages cannot be compared as a whole'],
  ['user == user', exec, 'user == user', 'values of User cannot be compared as a whole'],
  ['mounts == mounts', creation, 'mounts == mounts', 'values of list(Mount) cannot be compared as a whole'],
  ['env[1] == ""', exec, '1', 'the keys of this map are of the type string, and this is an int'],
  ['args["0"] == ""', exec, '"0"', 'a list is indexed by a number, and this is a string'],
  ['args[0][0] == ""', exec, 'args[0]', '[] reads a list or a map, and this is a string'],
  [
    'args[0].all(c, true)',
    exec,
    'args[0]',
    'all() walks through a list or the keys of a map, and this is a string',
  ],
  ['container.state == "runing"', exec, '"runing"', 'it is never "runing" (did you mean "running"?)'],
  ['"puased" != container.state', exec, '"puased"', 'it is never "puased" (did you mean "paused"?)'],
  [
    'peer.kind in ["unix", "ssh"]',
    exec,
    '["unix", "ssh"]',
    'it is never "ssh" (it is one of unix, vsock, tls)',
  ],
  ['file_type == "file"', ['CopyFile'], '"file"', 'it is never "file"'],
];

const values: readonly Row[] = [
  ['1 / 0 == 1', exec, '1 / 0', 'this divides by zero'],
  ['size(args) % 0 == 1', exec, 'size(args) % 0', 'this divides by zero'],
  ['int("x") == 1', exec, 'int("x")', 'this cannot be computed: a text that is not a decimal number'],
  ['int("0x10") == 16', exec, 'int("0x10")', 'this cannot be computed'],
  ['uint(-1) == 1u', exec, 'uint(-1)', 'this cannot be computed: an unsigned number of 64 bits'],
  ['9223372036854775807 + 1 > 0', exec, '9223372036854775807 + 1', 'this cannot be computed'],
  ['9223372036854775808 > 1', exec, '9223372036854775808', 'this number does not fit into 64 bits'],
  ['string(b"\\xff") == ""', exec, 'string(b"\\xff")', 'this cannot be computed: bytes that are not UTF-8'],
  ['args[-1] == ""', exec, '-1', 'the first element of a list is [0]'],
  ['1.5 > 1', exec, '1.5', 'no request has fractions'],
  ['null == args', exec, 'null', 'nothing is ever null'],
  ['grpc.Process{} == user', exec, 'grpc.Process{}', 'a rule creates no messages'],
  ['args[0].matches("(")', exec, '"("', 'the pattern cannot be read: missing closing )'],
  ['args[0].matches("(?=a)")', exec, '"(?=a)"', 'the pattern cannot be read'],
  [
    'args[0].matches("a{900}b{900}")',
    exec,
    '"a{900}b{900}"',
    'the pattern is too large: it becomes 1802 instructions',
  ],
  [
    `args[0].matches("${'a'.repeat(1001)}")`,
    exec,
    `"${'a'.repeat(1001)}"`,
    'a pattern has at most 1000 characters',
  ],
  ['args[0].matches(args[1])', exec, 'args[1]', 'a pattern must be a literal in the rule'],
  ['args.all(a, a.matches(a))', exec, 'a', 'a pattern must be a literal in the rule'],
  ['["^/a", "["].exists(p, args[0].matches(p))', exec, 'p', 'the pattern cannot be read: missing closing ]'],
  ['args[0].matches()', exec, 'args[0].matches()', 'matches() is written text.matches("pattern")'],
  ['terminal.matches("a")', exec, 'terminal', 'matches() is for texts, and this is a bool'],
];

const macros: readonly Row[] = [
  ['args.all(request, true)', exec, 'all', 'the variable "request" of all() hides a name'],
  ['args.all(mounts, true)', exec, 'all', 'the variable "mounts" of all() hides a name'],
  ['args.all(a, args.all(a, true))', exec, 'all', 'the variable "a" of all() hides a name'],
  ['args.all(a)', exec, 'args.all(a)', 'all() is written list.all(item, condition)'],
  ['args.all(a.b, true)', exec, 'args.all(a.b, true)', 'all() is written list.all(item, condition)'],
  ['has()', exec, 'has()', 'has() is written has(message.field)'],
  ['has(args[0])', exec, 'has(args[0])', 'has() is written has(message.field)'],
  ['args.all(a, true) && a == ""', exec, 'a', 'there is no "a" here'],
  ['args.map(a, b).size() == 0', exec, 'b', 'there is no "b" here'],
];

const syntax: readonly Row[] = [
  ['', exec, '', 'the expression is empty'],
  ['// a comment', exec, '// a comment', 'the expression is empty'],
  ['size(args) = 1', exec, '=', '"=" is not allowed here (write == to compare)'],
  ['terminal and true', exec, 'and', '"and" is not allowed here (write &&)'],
  ['terminal; true', exec, ';', '";" is not allowed here (a rule is one expression'],
  ['terminal &&', exec, '&&', 'something must follow "&&"'],
  ['(size(args)', exec, '(', '"(" is never closed (add ")")'],
  ['args] == []', exec, ']', 'nothing is open that "]" could close'],
  ['(args] == []', exec, ']', 'nothing is open that "]" could close'],
  ['args[0] == "abc', exec, '"', 'this text does not end'],
  ['if == 1', exec, 'if', '"if" is a word of the language'],
  ['"\\ud800" == ""', exec, '"\\ud800" == ""', 'surrogate code points are not allowed'],
  ['é == 1', exec, 'é', '"é" is not allowed here'],
  ['terminal \u001b', exec, '\u001b', '"\\u001b" is not allowed here'],
  ['"\\u{1F600}" == ""', exec, '"\\u{1F600}" == ""', 'a text has an escape that means no character'],
  ['"😀" == "" && -args == []', exec, '-args', '"-" is not for list(string)'],
  ['"😀😀" == request.nope', exec, 'nope', 'ExecProcessRequest has no field "nope"'],
];

for (const [topic, rows] of Object.entries({ names, types, values, macros, syntax })) {
  test(`faults in ${topic} are found when the rule is loaded, at their place`, () => {
    for (const [expression, methods, words, message] of rows) {
      const found = fault(expression, ...methods);
      assert.ok(found.startsWith(`${JSON.stringify(words)}: ${message}`), `${expression}\n  ${found}`);
    }
  });
}

test('valid expressions pass', () => {
  const right: readonly (readonly [string, readonly MethodName[]])[] = [
    ['args[0] in ["/bin/healthcheck"] && !terminal', exec],
    ['user.UID == 0 || user.UID > 1000u && user.GID in [0, 1]', exec],
    ['request.process.User.UID < 5 && -5 < user.UID', exec],
    ['env.PATH == "/bin" && env["PATH"] == "/bin" && "PATH" in env && has(env.PATH)', exec],
    ['[] == args && args == [] && [[]] == [args] && {} == env', exec],
    ['["^/a", "^/b"].exists(p, args[0].matches(p)) && args[0].matches("^" + "c")', exec],
    ['args[0].matches(terminal ? "a" : "b")', exec],
    ['args.map(a, a.size()).filter(n, n > 1).exists_one(n, n == 2)', exec],
    ['args.map(a, a != "", [a]).all(l, l[0] in args)', exec],
    ['args // one\n // two\n == []', exec],
    ['r"\\d" + """a"b""" + \'c\' == ""', exec],
    ['[{1: ["a"]}][0][1][0] == "a" && {true: 1}[terminal] == 1', exec],
    ['(terminal ? args : request.process.Env).size() == 1', exec],
    ['request.OCI.Annotations["io.x"] == "y" && has(request.OCI.Hooks)', creation],
    ['has(peer.cid) && peer.cid == 2 || peer.kind == "unix"', exec],
    ['request.data == b"abc" && request.data.size() == 3', ['WriteStdin']],
    ['has(request.disabled) && !request.disabled', ['MemAgentMemcgSet']],
  ];
  for (const [expression, methods] of right) assert.equal(fault(expression, ...methods), 'none', expression);
});

test('has() allows a part that some methods lack', () => {
  const right: readonly (readonly [string, readonly MethodName[]])[] = [
    ['has(request.process) && request.process.Args == []', both],
    ['!has(request.process) || request.process.Args == []', both],
    [
      'has(request.process) ? request.process.Args == [] : has(request.OCI) && request.OCI.Hostname == ""',
      both,
    ],
    ['terminal && has(request.OCI.Hooks) && request.OCI.Hooks.Poststop.size() == 0', both],
    ['has(args) && args == []', started],
    ['!has(args) || args == []', started],
    ['!(has(args) && args.exists(a, a == "")) && container.id != ""', started],
  ];
  for (const [expression, methods] of right) assert.equal(fault(expression, ...methods), 'none', expression);
});

test('has() does not allow a part that all methods lack', () => {
  const rows: readonly Row[] = [
    [
      'has(request.process) && request.process.Args == []',
      creation,
      'process',
      'CreateContainerRequest has no field "process"',
    ],
    [
      'has(request.proces) && request.proces.Args == []',
      both,
      'proces',
      'ExecProcessRequest has no field "proces" (did you mean "process"?)',
    ],
    ['has(request.OCI.Proces)', both, 'Proces', 'Spec has no field "Proces" (did you mean "Process"?)'],
    ['has(arg) && arg == []', started, 'arg', 'there is no "arg" here (did you mean "args"?)'],
    ['has(mounts) && mounts == []', started, 'mounts', 'StartContainer has no "mounts"'],
    ['has(request.process) && request.process.nope == []', both, 'nope', 'Process has no field "nope"'],
    [
      'has(request.process) && request.OCI.Version == ""',
      both,
      'OCI',
      'ExecProcessRequest has no field "OCI"',
    ],
    [
      // Presence is checked on the message too: an ExecProcess without a process would reach the last part.
      'has(request.process) ? terminal : request.OCI.Hostname == ""',
      both,
      'OCI',
      'ExecProcessRequest has no field "OCI"',
    ],
    [
      'request.process.Args == [] && has(request.process)',
      both,
      'process',
      'CreateContainerRequest has no field "process"',
    ],
    ['has(container.x)', exec, 'x', 'container has no field "x"'],
    ['has(env.a.b)', exec, 'b', 'a string has no fields'],
  ];
  for (const [expression, methods, words, message] of rows) {
    const found = fault(expression, ...methods);
    assert.ok(found.startsWith(`${JSON.stringify(words)}: ${message}`), `${expression}\n  ${found}`);
  }
});

test('all faults are reported at once, in order, each once', () => {
  const found = check('request.nope == 1 && args[0] == 5 && args.al(a, a)', 'ExecProcess', 'CreateContainer');
  assert.deepEqual(
    found.map(({ start, end, message }) => [start, end, message]),
    [
      [8, 12, 'ExecProcessRequest has no field "nope"'],
      [8, 12, 'CreateContainerRequest has no field "nope"'],
      [21, 33, 'a string is never equal to an int'],
      [42, 44, 'there is no function "al"'],
    ],
  );
  assert.ok(found.every(({ severity }) => severity === 'error'));
});

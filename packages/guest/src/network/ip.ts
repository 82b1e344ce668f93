import { GuestError } from '../guest-error.js';
import type { Tools } from '../tool/tools.js';

const iproute2 = { program: 'ip', package: 'iproute2' };

/** Runs `ip` (iproute2). Its refusal is an error in the kernel's words, the only place where they are translated. */
export async function ip(tools: Tools, args: readonly string[], input?: Uint8Array): Promise<Buffer> {
  const { status, stdout, stderr } = await tools.run(iproute2, args, input);
  if (status === 0) return stdout;
  throw ipError(args, stderr);
}

function ipError(args: readonly string[], stderr: string): GuestError {
  const said = stderr.replace(/^(RTNETLINK answers|Error|Cannot find device): /gm, '').trim();
  // Kata's Go runtime tries UpdateInterface again when it reads these words (docs/kata-facts.md, "What clients look for
  // in errors").
  if (/Cannot find device|does not exist/.test(stderr)) {
    return new GuestError('not-found', `Link not found (${said})`);
  }
  const invalid = /Invalid argument|Nexthop has invalid gateway|is invalid|Network is unreachable/.test(
    stderr,
  );
  return new GuestError(invalid ? 'invalid' : 'internal', `ip ${args.join(' ')}: ${said}`);
}

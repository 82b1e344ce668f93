import type { ImageAccount } from '@kata-agent/catalogue';

/** The account files of an image. */
export interface AccountFiles {
  readonly passwd: string;
  readonly group: string;
}

/**
 * Resolves a user as container engines do; undefined: a name is in neither file. Empty: root.
 *
 * Source: containerd `WithUser` and `WithAdditionalGIDs` (pkg/oci/spec_opts.go): a number needs no entry, and its group is
 * then 0.
 */
export function accountOf(user: string, { passwd, group }: AccountFiles): ImageAccount | undefined {
  const [name = '', groupName] = (user === '' ? '0' : user).split(':');
  const users = rows(passwd, 4).flatMap(([login = '', , uid, gid]) => {
    const numbers = [numberOf(uid), numberOf(gid)];
    return numbers[0] === undefined || numbers[1] === undefined
      ? []
      : [{ login, uid: numbers[0], gid: numbers[1] }];
  });
  const groups = rows(group, 3).flatMap(([title = '', , gid, members = '']) => {
    const number = numberOf(gid);
    return number === undefined ? [] : [{ title, gid: number, members: members.split(',') }];
  });
  const uid = numberOf(name);
  const entry = users.find((row) => (uid === undefined ? row.login === name : row.uid === uid));
  if (uid === undefined && entry === undefined) return undefined;
  const gid =
    groupName === undefined
      ? (entry?.gid ?? 0)
      : (numberOf(groupName) ?? groups.find(({ title }) => title === groupName)?.gid);
  if (gid === undefined) return undefined;
  const login = entry?.login;
  return {
    uid: uid ?? entry?.uid ?? 0,
    gid,
    groups:
      login === undefined
        ? []
        : groups.filter(({ members }) => members.includes(login)).map((row) => row.gid),
  };
}

function rows(text: string, fields: number): readonly (readonly string[])[] {
  return text
    .split('\n')
    .map((line) => line.trim().split(':'))
    .filter((row) => row.length >= fields);
}

function numberOf(text: string | undefined): number | undefined {
  return text !== undefined && /^\d{1,10}$/.test(text) && Number(text) < 2 ** 32 ? Number(text) : undefined;
}

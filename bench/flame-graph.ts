import { type CallTree, totalTime } from './cpu-profile.js';

/** Pixels. */
const width = 1_600;
const lineHeight = 17;
const characterWidth = 6.6;
/** Functions that take less of the width are left out. */
const minWidth = 0.8;

/**
 * Draws a tree of calls as one SVG file for a browser, callers above: the width of a function is its time with all that it calls. Its
 * tooltip has the full name, the time and the share.
 */
export function flameGraph(tree: CallTree, title: string): string {
  const total = totalTime(tree);
  const boxes: string[] = [];
  let deepest = 0;
  const draw = (node: CallTree, left: number, depth: number): void => {
    const time = totalTime(node);
    const wide = (time / total) * width;
    if (wide < minWidth) return;
    deepest = Math.max(deepest, depth);
    boxes.push(box(node.name, { left, depth, wide, time, total }));
    let next = left;
    for (const child of [...node.children.values()].toSorted((a, b) => a.name.localeCompare(b.name))) {
      draw(child, next, depth + 1);
      next += (totalTime(child) / total) * width;
    }
  };
  if (total > 0) draw({ ...tree, name: title }, 0, 0);
  const height = (deepest + 1) * lineHeight;
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" font-family="monospace" font-size="11">
${boxes.join('\n')}
</svg>
`;
}

interface Box {
  readonly left: number;
  readonly depth: number;
  readonly wide: number;
  readonly time: number;
  readonly total: number;
}

function box(name: string, { left, depth, wide, time, total }: Box): string {
  const top = depth * lineHeight;
  const tip = `${name}: ${(time / 1_000).toFixed(1)} ms, ${((100 * time) / total).toFixed(1)} %`;
  const text = name.slice(0, Math.floor((wide - 4) / characterWidth));
  const label =
    text.length < 3 ? '' : `<text x="${(left + 2).toFixed(1)}" y="${top + 12}">${escaped(text)}</text>`;
  const place = `x="${left.toFixed(1)}" y="${top}" width="${wide.toFixed(1)}" height="${lineHeight - 1}"`;
  return `<g><title>${escaped(tip)}</title><rect ${place} fill="${colour(name)}"/>${label}</g>`;
}

/** The same function has the same colour everywhere. */
function colour(name: string): string {
  let sum = 7;
  for (const character of name) sum = (sum * 31 + (character.codePointAt(0) ?? 0)) % 997;
  return `hsl(${20 + (sum % 40)} 85% ${65 + (sum % 15)}%)`;
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

// What a change does, for people: what it means for cameras, and the lines of perch.toml that go and come, with a little around them.
import { sentence } from '../api';

export interface DiffLine {
  kind: 'comes' | 'goes' | 'stays' | 'gap';
  text: string;
}

/** Reads a unified diff. Lines that are left out between two places are one gap. */
export function diffLines(diff: string): DiffLine[] {
  const lines: DiffLine[] = [];
  let isInside = false;
  for (const line of diff.split('\n')) {
    if (line.startsWith('@@')) {
      isInside = true;
      if (lines.length > 0) lines.push({ kind: 'gap', text: '' });
    } else if (isInside && line !== '' && line[0] !== '\\') {
      const kind = line[0] === '+' ? 'comes' : line[0] === '-' ? 'goes' : 'stays';
      lines.push({ kind, text: line.slice(1) });
    }
  }
  return lines;
}

/** A sentence on a camera, which the box begins with its short name. `nameOf` knows what the camera is called. */
export function effectWords(effect: string, nameOf: (id: string) => string | undefined): string {
  return sentence(effect.replace(/^[a-z0-9_-]+(?=[: ])/, (id) => nameOf(id) ?? id));
}
